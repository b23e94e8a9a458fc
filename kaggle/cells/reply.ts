/** The cells that reply. `SETTINGS` comes before them. */

export const FIND = `
def find():
    """The merged model, else the run of the adapter, with its base fetched. Also where they lie deeper."""
    for config in sorted(INPUT.glob("**/merged/config.json")):
        return config.parent, []
    for config in sorted(INPUT.glob("**/run/final/adapter_config.json")):
        pull = SETTINGS["pull"]
        if pull:
            lema("pull", pull["repo"], "--revision", pull["revision"], "-o", pull["directory"])
        return config.parent.parent, ["--base", PROJECT / SETTINGS["model"]]
    raise RuntimeError(f"no output of a training notebook lies in {INPUT}: attach it under Add input, Notebooks")

MODEL, OPTIONS = find()
print("model:", MODEL)
`;

export const QUESTIONS = `
QUESTIONS = [
    "What is the capital of France?",
    "Who wrote Hamlet?",
]
LONGEST = 200  # tokens
`;

export const REPLY = `
BACKEND = BACKENDS[-1]
if BACKEND == "cuda" and PROFILE == "auto":
    measure(BACKEND)
options = [*OPTIONS, "--backend", BACKEND, "--max-tokens", LONGEST]
for question in QUESTIONS:
    print()
    if SETTINGS["chat"]:
        lema("chat", MODEL, *options, lines=[question])
    else:  # It was not trained on conversations: it writes on behind the question.
        lema("generate", MODEL, *options, "--prompt", SETTINGS["prompt"].replace("QUESTION", question))
`;
