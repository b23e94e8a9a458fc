/**
 * Everything that a GPU is needed for, step by step into one JSON file: the machine, the build, the kernels against the
 * reference, whole steps bit for bit, times beside PyTorch's, compute-sanitizer. Called by run.sh:
 *
 *   bash bench/cuda/run.sh [results.json] [--minutes 9] [--parts check,time,kernels,p100,t4,sanitize]
 *
 * What matters most comes first, and every result is in the file as soon as it is there; when the time is over, what is
 * left is marked `late`. A step that fails does not stop those that do not need it; the exit code is 1 when one failed.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { type Program, type Step, Steps } from "./steps.ts";

const { values: options, positionals } = parseArgs({
  options: {
    minutes: { type: "string", default: "9" },
    parts: { type: "string", default: "check,time,kernels,p100,t4,sanitize" },
  },
  allowPositionals: true,
});
const wanted = new Set(options.parts.split(","));
const steps = new Steps(positionals[0] ?? "bench/results/cuda.json", 60 * Number(options.minutes));

const GIB = 2 ** 30;
const JOBS = String(Math.max(1, cpus().length));
const TSX = ["--import", "tsx"];
const PYTHON = "python3";
const OBJECT = "build/native/Release/lema_cuda.so";
/** Built by `npm run pack:gpu`, where a compiler that knows the P100 can be had. */
const P100 = "build/cuda-12";
/** For what the T4 has: products in f16. */
const T4 = "build/cuda-75";
/** Llama-2 7B, random. */
const MODEL = "scratch/cuda/llama-7b";
const BATCHES = [8, 32];
/** What `lema probe` measured in this run. */
const PROBED = "scratch/cuda/probed.yaml";

/** What is compiled for an older device runs as there: the driver compiles the PTX in it for this one. */
const AS_COMPILED = { CUDA_FORCE_PTX_JIT: "1" };

const node = (name: string, ...argv: string[]): Program => ({ name, command: ["node", ...argv] });
/** The command line from its sources; it says something, or it was not the command line. */
const lemaCommand = (name: string, ...argv: string[]): Program => ({
  ...node(name, ...TSX, "test/cli/exec-process.ts", ...argv),
  expects: /\S/,
});
const python = (name: string, ...argv: string[]): Program => ({ name, command: [PYTHON, ...argv] });

async function machine(): Promise<void> {
  const query =
    "name,compute_cap,memory.total,driver_version,clocks.max.sm,pcie.link.gen.max,pcie.link.width.max";
  await steps.run({ name: "device", command: ["nvidia-smi", `--query-gpu=${query}`, "--format=csv"] });
  const nvcc = "/usr/local/cuda/bin/nvcc";
  await steps.run({ name: "toolkit", command: [existsSync(nvcc) ? nvcc : "nvcc", "--version"] });
}

/** The host's part and the device's at once, and the model meanwhile. */
async function build(): Promise<boolean> {
  const addon = ["node_modules/cmake-js/bin/cmake-js", "build", "--out", "build/native", "--parallel", JOBS];
  const results = await Promise.all([
    steps.run(node("build: native module", ...addon, "--CDLEMA_CUDA=OFF")),
    steps.run(node("build: CUDA object", ...TSX, "scripts/build-cuda.ts", "native")),
    ...(wanted.has("time") ? [makeModel()] : []),
  ]);
  return results.slice(0, 2).every(({ status }) => status === "ok");
}

function makeModel(): Promise<Step> {
  const how = ["--make-model", MODEL, "--shape", "llama2-7b", "--device", "cuda"];
  return steps.run(python("a random Llama-2 7B", "bench/peft_baseline.py", ...how));
}

/** Who computes matrix products: cuBLASLt, which must be there, or lema's own kernels. */
const LIBRARY = { LEMA_CUBLASLT: "on" };
const OWN = { LEMA_CUBLASLT: "off" };

/** Only on the real device; when the name matches none, all are skipped and nothing has passed. */
const stepTest = (name: string, env: Readonly<Record<string, string>>): Program => ({
  ...node(name, "node_modules/vitest/vitest.mjs", "run", "test/end-to-end/cuda.test.ts", "-t", "on 'cuda' "),
  env: { NO_COLOR: "1", ...env },
  expects: /Tests +.*\d+ passed/,
});

async function check(): Promise<void> {
  await steps.run(lemaCommand("doctor", "doctor", "--json"));
  await steps.run({ name: "conformance", command: ["build/native/bin/lema_native_tests"] });
  const library = ["build/cuda/bin/lema_cuda_library"] as const;
  await steps.run({ name: "matrix library on the device", command: library, env: LIBRARY });
  await steps.run({ name: "op suite on the device", command: ["build/cuda/bin/lema_op_suite_cuda"] });
  await steps.run(stepTest("steps by cuBLASLt: streamed as resident, the reference's numbers", LIBRARY));
  await steps.run(
    stepTest("steps by lema's own kernels: streamed as resident, the reference's numbers", OWN),
  );
}

interface Timed {
  readonly tokens_per_second?: number;
  readonly predicted_seconds?: number;
  readonly seconds?: readonly number[];
  readonly device?: { readonly before: number; readonly loaded: number; readonly peak: number } | null;
  readonly device_peak_bytes?: number | null;
  readonly vram_arena_bytes?: number | null;
}

const timed = new Map<string, Timed>();

async function timeStep(name: string, program: Program): Promise<void> {
  const { facts, status } = await steps.run(program);
  if (status !== "ok") return;
  timed.set(name, (facts.at(-1) ?? {}) as Timed);
  steps.summarize(summary());
}

async function peft(name: string, batch: number): Promise<void> {
  const sizes = ["--batch", String(batch), "--length", "512", "--warmup", "1", "--steps", "3"];
  const device = ["--device", "cuda", "--gradient-checkpointing", "--threads", JOBS];
  const argv = ["bench/peft_baseline.py", "--model", MODEL, ...sizes, ...device];
  await timeStep(name, python(`times of steps: ${name}`, ...argv));
}

async function lema(
  name: string,
  batch: number,
  vram: number,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ram = String(Math.floor(Math.min(totalmem() * 0.6, 40 * GIB)));
  const sizes = ["--model", MODEL, "--arena", ram, "--vram", String(vram), "--batch", String(batch)];
  const how = [
    "--hardware",
    existsSync(PROBED) ? PROBED : "h200",
    "--backend",
    "cuda",
    "--precision",
    "bf16",
    "--threads",
    JOBS,
  ];
  const count = ["--warmup", "1", "--steps", "3", "--digests", "scratch/cuda/digests"];
  const program = node(`times of steps: ${name}`, ...TSX, "bench/lema-steps.ts", ...sizes, ...how, ...count);
  await timeStep(name, { ...program, env });
}

async function kernels(): Promise<void> {
  await steps.run({ name: "times of kernels", command: ["build/cuda/bin/lema_op_bench_cuda"] });
  await steps.run(python("times of PyTorch's kernels and of copies", "bench/cuda/yardsticks.py"));
  await steps.run({
    name: "build: matrix products one by one",
    command: ["cmake", "--build", "build/cuda", "--parallel", JOBS, "--target", "lema_cuda_products"],
  });
  await steps.run({ name: "matrix products on the device", command: ["build/cuda/bin/lema_cuda_products"] });
}

/** What the device has, less a tenth for its context and for what the driver keeps. */
function residentBytes(): number {
  const query = ["--query-gpu=memory.total", "--format=csv,noheader,nounits"];
  return Math.floor(0.9 * 2 ** 20 * Number.parseInt(spawnSync("nvidia-smi", query).stdout.toString(), 10));
}

async function time(): Promise<void> {
  if (!existsSync(`${MODEL}/config.json`)) return;
  // On the disk that holds the weights; predictions of steps are from this profile.
  const probed = ["--backend", "cuda", "--quick", "--directory", MODEL, "-o", PROBED];
  await steps.run(lemaCommand("probe", "probe", ...probed));
  const resident = residentBytes();
  for (const batch of BATCHES.toReversed()) {
    await peft(`PEFT resident, ${batch} × 512`, batch);
    await lema(`lema 3 GiB, ${batch} × 512`, batch, 3 * GIB);
    await lema(`lema resident, ${batch} × 512`, batch, resident);
  }
  await lema("lema resident by its own kernels, 8 × 512", 8, resident, OWN);
}

/** Tokens a second and shares of PEFT resident, of what was timed in this run. */
function summary(): unknown {
  return Object.fromEntries(
    [...timed].map(([name, facts]) => {
      const resident = timed.get(`PEFT resident, ${name.split(", ").at(-1)}`);
      const speed = facts.tokens_per_second ?? null;
      const measured = facts.seconds?.toSorted((a, b) => a - b)[facts.seconds.length >> 1];
      return [
        name,
        {
          tokens_per_second: speed,
          of_peft_resident: speed && resident?.tokens_per_second ? speed / resident.tokens_per_second : null,
          predicted_of_measured:
            measured && facts.predicted_seconds ? facts.predicted_seconds / measured : null,
          device_bytes: facts.device ? facts.device.peak : (facts.device_peak_bytes ?? null),
          planned_device_bytes: facts.vram_arena_bytes ?? null,
        },
      ];
    }),
  );
}

/** The P100's PTX, compiled by the driver for this device: kernels and whole steps. */
async function p100(): Promise<void> {
  const suite = `${P100}/bin/lema_op_suite_cuda`;
  if (!existsSync(suite)) return;
  await steps.run({ name: "compute_60: op suite", command: [suite], env: AS_COMPILED });
  await stepsBy(`${P100}/Release/lema_cuda.so`, "compute_60: steps, streamed as resident");
}

async function stepsBy(object: string, name: string): Promise<void> {
  const own = `${OBJECT}.own`;
  copyFileSync(OBJECT, own);
  copyFileSync(object, OBJECT);
  await steps.run(stepTest(name, AS_COMPILED));
  copyFileSync(own, OBJECT);
}

/**
 * The same of the T4's, which multiplies in f16 and is built here: correct as there, and its times those of m16n8k8 and
 * of factors that come through registers, on this device.
 */
async function t4(): Promise<void> {
  const configure = ["-S", "native/cuda/device", "-B", T4, "-DLEMA_CUDA_ARCHITECTURES=75"];
  await steps.run({ name: "compute_75: configure", command: ["cmake", ...configure] });
  const built = await steps.run({
    name: "compute_75: build",
    command: ["cmake", "--build", T4, "--parallel", JOBS, "--target", "all", "lema_cuda_products"],
  });
  if (built.status !== "ok") return;
  for (const program of ["lema_op_suite_cuda", "lema_cuda_products", "lema_op_bench_cuda"]) {
    await steps.run({ name: `compute_75: ${program}`, command: [`${T4}/bin/${program}`], env: AS_COMPILED });
  }
  await stepsBy(`${T4}/Release/lema_cuda.so`, "compute_75: steps, streamed as resident");
}

/** What the sanitizer runs: every kernel at odd shapes, and a step of small models that stream all they can. */
async function sanitize(): Promise<void> {
  const sanitizer = ["compute-sanitizer", "/usr/local/cuda/bin/compute-sanitizer"].find(
    (program) => spawnSync(program, ["--version"]).status === 0,
  );
  if (sanitizer === undefined) return;
  const models = [
    ["bf16_shards", "bf16"],
    ["fp16", "fp16"],
    ["accumulation", "f32"],
  ] as const;
  for (const tool of ["memcheck", "racecheck"]) {
    const how = [sanitizer, "--tool", tool, "--error-exitcode", "1", "--target-processes", "all"] as const;
    for (const [model, precision] of models) {
      const sizes = ["--arena", String(GIB), "--vram", "400000", "--batch", "2", "--length", "32"];
      const count = ["--hardware", "h200", "--backend", "cuda", "--warmup", "0", "--steps", "2"];
      const argv = [
        "--model",
        `test/golden/parity/${model}/model`,
        "--precision",
        precision,
        ...sizes,
        ...count,
      ];
      await steps.run({
        name: `${tool}: steps of ${model} in ${precision}`,
        command: [...how, "node", ...TSX, "bench/lema-steps.ts", ...argv],
        env: OWN,
      });
    }
    await steps.run({ name: `${tool}: op suite`, command: [...how, "build/cuda/bin/lema_op_suite_cuda"] });
  }
}

await machine();
if (await build()) {
  for (const [name, part] of Object.entries({ check, time, kernels, p100, t4, sanitize })) {
    if (wanted.has(name)) await part();
  }
}
process.exitCode = steps.failed ? 1 : 0;
