/** What the cells ask of lema on a machine with a GPU: they run in Python, with a stand-in for lema and for the GPU. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { MEASURE } from "../../kaggle/cells/install.ts";
import { MACHINE } from "../../kaggle/cells/machine.ts";
import { REPLY } from "../../kaggle/cells/reply.ts";
import { CHOOSE, EVALUATE } from "../../kaggle/cells/train.ts";
import { pythonValue } from "../../kaggle/notebook.ts";

const python = spawnSync("python3", ["--version"]).status === 0;

interface Session {
  readonly gpu: string;
  readonly backends: readonly string[];
  /** Whether the GPU has been measured before. */
  readonly measured?: true;
}

/** What the cells before have left; `doctor` finds the processor's profile always. */
const before = ({ gpu, backends, measured }: Session): string => `
import json, os, pathlib, shutil, sys, tempfile, time
CALLS = []
def lema(*argv, lines=()):
    CALLS.append(" ".join(str(part) for part in argv))
def ask(*argv):
    return ${pythonValue(`${gpu}, 15360, 7.5`)} if argv[0] == "nvidia-smi" else None
def doctor():
    return {name: {"status": "ok"} for name in ["hardware profile", *(["device profile"] if ${measured ? "True" : "False"} else [])]}
KEEP = INPUT = WORK = PROJECT = pathlib.Path(tempfile.mkdtemp())
BACKENDS = ${pythonValue(backends)}
SETTINGS = ${pythonValue({ ram: 1, vram: 2 ** 30, hardware: "p100", overrides: [], continues: false, heldOut: "held.jsonl", model: "model", chat: true })}
`;

/** The commands of lema that the cells call, in order. */
function calls(session: Session, ...cells: readonly string[]): string[] {
  const source = [before(session), MACHINE, MEASURE, ...cells, "print(); print(json.dumps(CALLS))"].join(
    "\n",
  );
  const { status, stdout, stderr } = spawnSync("python3", ["-"], { input: source, encoding: "utf8" });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as string[];
}

const train = (session: Session): string[] => calls(session, CHOOSE, "FINISHED = True", EVALUATE);
const reply = (session: Session): string[] =>
  calls(session, "MODEL, OPTIONS, QUESTIONS, LONGEST = 'm', ['--base', 'b'], ['?'], 9", REPLY);

const BOTH = ["cpu", "cuda"];

describe.runIf(python)("on a GPU", () => {
  it("a trained model is asked on the GPU that trained it", () => {
    const [validate, plan, evaluate, ...others] = train({ gpu: "Tesla T4", backends: BOTH });
    expect(validate).toBe("validate recipe.yaml");
    expect(plan).toContain("--set hardware=t4 ");
    expect(evaluate).toMatch(/^eval .*\/run --backend cuda --questions held\.jsonl --limit 100 --base$/);
    expect(others).toEqual([]);
  });

  it("one that no profile ships for is measured once, and planned for as it was measured", () => {
    const session = { gpu: "NVIDIA L4", backends: BOTH };
    const [probe, , plan] = train(session);
    expect(probe).toMatch(/^probe --quick --backend cuda --directory /);
    expect(plan).toContain("--set hardware=auto ");
    const again = train({ ...session, measured: true });
    expect(again.filter((call) => call.startsWith("probe"))).toEqual([]);
  });

  it("replies come from it", () => {
    expect(reply({ gpu: "Tesla P100-PCIE-16GB", backends: BOTH })).toEqual([
      "chat m --base b --backend cuda --max-tokens 9",
    ]);
    const [probe, chat] = reply({ gpu: "NVIDIA L4", backends: BOTH });
    expect(probe).toMatch(/^probe --quick --backend cuda/);
    expect(chat).toContain("--backend cuda");
  });

  it("that lema has no backend for, the processor does all of it", () => {
    const session = { gpu: "Tesla T4", backends: ["cpu"] };
    const [, plan, evaluate] = train(session);
    expect(plan).toContain("--set hardware=auto ");
    expect(evaluate).toContain("--backend cpu");
    expect(reply(session)).toEqual(["chat m --base b --backend cpu --max-tokens 9"]);
  });
});
