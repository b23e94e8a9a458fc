/** The cells that train: data, model, machine's choice, plan, run, evaluation, merge. `SETTINGS` comes before them. */

export const DATA = `
builder = SETTINGS["builder"]
if builder:
    lema("dataset", "build", "-o", builder["path"], "--seed", builder["seed"],
         "--examples", builder["examples"], "--conversations", builder["conversations"],
         "--held-out", builder["heldOut"], "--force")
    if hashlib.sha256((PROJECT / builder["path"]).read_bytes()).hexdigest() != builder["sha256"]:
        raise RuntimeError("the dataset was built differently here than where the notebook was made")
pull = SETTINGS["pull"]
if pull:
    try:  # A model that only some may read: add your token under Add-ons, Secrets, as HF_TOKEN.
        from kaggle_secrets import UserSecretsClient
        os.environ["HF_TOKEN"] = UserSecretsClient().get_secret("HF_TOKEN")
    except Exception:
        pass
    lema("pull", pull["repo"], "--revision", pull["revision"], "-o", pull["directory"])
`;

export const CHOOSE = `
def choose():
    """The backend, and what of the recipe changes on this machine; every change is said."""
    ram, vram = SETTINGS["ram"], SETTINGS["vram"]
    changes = {}
    if MACHINE["gpu"] and "cuda" in BACKENDS and vram:
        backend = "cuda"
        if PROFILE != SETTINGS["hardware"]:
            changes["hardware"] = PROFILE
        if vram > MACHINE["vram_mib"] * 2**20:
            changes["memory.vram"] = f"{int(MACHINE['vram_mib'] * 0.92)} MiB"
        print(f"runs on the GPU: {MACHINE['gpu']}")
    else:
        backend = "cpu"
        why = ("there is none" if not MACHINE["gpu"] else "the recipe asks for no vram" if not vram
               else "there is no CUDA toolkit to build with" if not MACHINE["nvcc"] else "this lema has no CUDA backend")
        print(f"runs on the processor, not on a GPU: {why}")
        changes["hardware"] = "auto"
        if vram:
            changes["memory.vram"] = ""  # An emulated vram would take the same memory twice.
            changes["memory.reserve.vram"] = ""
    if ram > 0.9 * MACHINE["ram"]:
        changes["memory.ram"] = f"{int(MACHINE['ram'] * 0.85 / 2**20)} MiB"
    return backend, changes

BACKEND, changes = choose()
for key, value in changes.items():
    print(f"  {key}: {value or '(removed)'}")
if BACKEND == "cpu" or PROFILE == "auto":
    measure(BACKEND)

RUN, PLAN = KEEP / "run", WORK / "plan.json"

def take_over():
    """Copies the run that an earlier session did not finish: what is attached can only be read."""
    found = [(json.loads(record.read_text()), record.parent) for record in INPUT.glob("**/run/run.json")]
    begun = [(record["steps"], folder) for record, folder in found if record["status"] != "finished"]
    if not begun:
        raise RuntimeError(f"no run that could go on lies in {INPUT}" + (": it is finished" if found else ""))
    steps, folder = max(begun)
    # The lock is of a process on another machine, which nobody here can ask.
    shutil.copytree(folder, RUN, ignore=shutil.ignore_patterns("lock.json", ".*"))
    print(f"goes on with {folder}, {steps} steps of it done")

CONTINUES = SETTINGS["continues"]
if CONTINUES and not RUN.exists():
    take_over()
assignments = [*SETTINGS["overrides"], f"output={RUN}", *(f"{key}={value}" for key, value in changes.items())]
options = [part for assignment in assignments for part in ("--set", assignment)]
lema("validate", "recipe.yaml")
lema("plan", "recipe.yaml", *options, "-o", PLAN)
`;

export const EXECUTE = `
# Of a session that Kaggle ends nothing is kept: lema stops before that, with a checkpoint to go on from.
left = BEGAN + 3600 * SETTINGS["hours"] - time.time()
# Another session may have another processor, and builds the module anew: what follows may differ in its last bits.
resume = ["--resume", "--inexact"] if CONTINUES else []
lema("exec", PLAN, "--backend", BACKEND, "--time-limit", max(0, int(left)), *resume)
RECORD = json.loads((RUN / "run.json").read_text())
FINISHED = RECORD["status"] == "finished"
`;

export const EVALUATE = `
WEIGHTS = sum(path.stat().st_size for path in (PROJECT / SETTINGS["model"]).glob("*.safetensors"))
if not FINISHED:
    print("not before the run is finished")
elif SETTINGS["heldOut"]:
    # A large model takes its time over a reply: it is asked less, and its base is not.
    extent = ["--limit", 20] if WEIGHTS > 2e9 else ["--limit", 100, "--base"]
    lema("eval", RUN, "--backend", BACKEND, "--questions", SETTINGS["heldOut"], *extent)
else:
    print("no held-out questions lie beside the dataset: the validation losses above are the measure")
`;

export const MERGE = `
MERGED = (KEEP if 1.1 * WEIGHTS < shutil.disk_usage(KEEP).free else WORK) / "merged"
if not FINISHED:
    print("not before the run is finished")
elif MERGED.parent != KEEP:
    print(f"a merged model of {WEIGHTS / 1e9:.1f} GB does not fit beside the run: it is written to {MERGED} and goes with the session;")
    print("push it from here, or merge the adapter at home: lema merge ADAPTER -o DIR")
if FINISHED:
    lema("merge", RUN, "-o", MERGED)
`;

export const SUMMARY = `
loss, memory = RECORD["loss"], RECORD["memory"]["ram"]
print(f"{RECORD['status']}: {RECORD['steps']} of {RECORD['total_steps']} steps on {RECORD['device']}")
if loss:
    print(f"loss     {loss['first']:.4f} → {loss['last']:.4f}")
print(f"memory   planned {memory['planned'] / 2**20:.0f} MiB, measured {(memory['measured'] or 0) / 2**20:.0f} MiB")
if FINISHED:
    print(f"adapter  {RUN / 'final'}  (Hugging Face PEFT format)")
    print(f"merged   {MERGED}")
else:
    print("go on in another session: lema kaggle build RECIPE --name ANOTHER --continue", SETTINGS["address"])
`;
