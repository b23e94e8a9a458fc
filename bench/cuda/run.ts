/**
 * Everything that a GPU is needed for, step by step into one JSON file: the machine, the build, the kernels against the
 * reference, whole steps bit for bit, compute-sanitizer, times of kernels and of training steps. Called by run.sh.
 *
 * A step that fails does not stop those that do not need it; the exit code is 1 when one failed.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname } from "node:path";

const out = process.argv[2] ?? "bench/results/cuda.json";
const GIB = 2 ** 30;
const JOBS = String(Math.max(1, cpus().length));
const TSX = ["--import", "tsx"];
/** Llama-2 7B, random. */
const MODEL = "scratch/cuda/llama-7b";
const SHAPE =
  "--hidden 4096 --layers 32 --heads 32 --kv-heads 32 --intermediate 11008 --vocab 32000 --dtype bf16 --seed 1";

interface Step {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** The last lines of what it printed. */
  readonly output: string;
}

const steps: Step[] = [];

function save(): void {
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, `${JSON.stringify({ ok: steps.every(({ ok }) => ok), steps }, null, 2)}\n`);
}

const KEPT_LINES = 60;

/** Runs a program; its output goes to the results, and a line to the terminal. */
function step(name: string, program: string, argv: readonly string[]): boolean {
  process.stderr.write(`${name} … `);
  const began = performance.now();
  const { status, stdout, stderr, error } = spawnSync(program, argv, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  const lines = `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trimEnd().split("\n");
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  steps.push({ name, ok: status === 0, seconds, output: lines.slice(-KEPT_LINES).join("\n") });
  save();
  process.stderr.write(`${status === 0 ? "ok" : "FAILED"}, ${seconds} s\n`);
  if (status !== 0) process.stderr.write(`${lines.slice(-10).join("\n")}\n`);
  return status === 0;
}

const has = (program: string): boolean => spawnSync(program, ["--version"]).status === 0;

function machine(): void {
  step("device", "nvidia-smi", [
    "--query-gpu=name,compute_cap,memory.total,driver_version,clocks.max.sm,pcie.link.gen.max,pcie.link.width.max",
    "--format=csv",
  ]);
  step("toolkit", existsSync("/usr/local/cuda/bin/nvcc") ? "/usr/local/cuda/bin/nvcc" : "nvcc", [
    "--version",
  ]);
}

function build(): boolean {
  const addon = ["node_modules/cmake-js/bin/cmake-js", "build", "--out", "build/native", "--parallel", JOBS];
  return (
    step("build: native module", "node", addon) &&
    step("build: CUDA object", "node", [...TSX, "scripts/build-cuda.ts", "native"])
  );
}

function check(): void {
  step("doctor", "node", [...TSX, "cli/main.ts", "doctor", "--json"]);
  step("conformance", "build/native/bin/lema_native_tests", []);
  step("op suite on the device", "build/cuda/bin/lema_op_suite_cuda", []);
  step("steps: streamed as resident, cpu's numbers", "node", [
    "node_modules/vitest/vitest.mjs",
    "run",
    "test/end-to-end/cuda.test.ts",
  ]);
  if (!has("compute-sanitizer")) return;
  for (const tool of ["memcheck", "racecheck"]) {
    for (const op of [
      "rms_norm",
      "linear",
      "attention",
      "attention_backward",
      "cross_entropy_tile",
      "square_sum",
    ]) {
      const argv = ["--tool", tool, "--error-exitcode", "1", "build/cuda/bin/lema_op_suite_cuda", op];
      step(`${tool}: ${op}`, "compute-sanitizer", argv);
    }
  }
}

function time(): void {
  step("times of kernels", "build/cuda/bin/lema_op_bench_cuda", []);
  if (!existsSync(MODEL)) {
    if (
      !step("a random Llama-2 7B", "node", [
        ...TSX,
        "scripts/make-llama.ts",
        "--out",
        MODEL,
        ...SHAPE.split(" "),
      ])
    )
      return;
  }
  const ram = String(Math.floor(Math.min(totalmem() * 0.6, 40 * GIB)));
  for (const [name, vram, batch] of [
    ["resident, 8 × 512", 60 * GIB, 8],
    ["resident, 32 × 512", 60 * GIB, 32],
    ["3 GiB, 8 × 512", 3 * GIB, 8],
    ["3 GiB, 32 × 512", 3 * GIB, 32],
  ] as const) {
    const sizes = ["--model", MODEL, "--arena", ram, "--vram", String(vram), "--batch", String(batch)];
    const how = [
      "--hardware",
      "h200",
      "--backend",
      "cuda",
      "--precision",
      "bf16",
      "--warmup",
      "2",
      "--steps",
      "5",
    ];
    step(`times of steps: ${name}`, "node", [...TSX, "bench/lema-steps.ts", ...sizes, ...how]);
  }
}

machine();
if (build()) {
  check();
  time();
}
save();
process.exitCode = steps.every(({ ok }) => ok) ? 0 : 1;
