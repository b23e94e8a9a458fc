/**
 * `npm run build:cuda [-- all|native|80;90]`: builds lema_cuda.so and the op suite for devices under build/cuda, and
 * prints registers, spills and shared memory of every kernel. No device is needed. The object is then put beside the
 * native module, where `lema exec --backend cuda` looks for it.
 */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { formatTable } from "../cli/render/table.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FOLDER = "build/cuda";
const JOBS = "2";

/** What ptxas says of one kernel for one architecture. */
export interface KernelResources {
  readonly kernel: string;
  readonly architecture: string;
  readonly registers: number;
  readonly spilledBytes: number;
  readonly sharedBytes: number;
}

/** From the output of `nvcc --resource-usage`; names as the linker has them. */
export function resourcesOf(log: string): KernelResources[] {
  const found: KernelResources[] = [];
  let entry: { kernel: string; architecture: string } | null = null;
  let spilledBytes = 0;
  for (const line of log.split("\n")) {
    const begins = /Compiling entry function '(\S+)' for '(\S+)'/.exec(line);
    if (begins) entry = { kernel: begins[1]!, architecture: begins[2]! };
    const spills = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (spills) spilledBytes = Number(spills[1]) + Number(spills[2]);
    const registers = /Used (\d+) registers/.exec(line);
    if (!registers || entry === null) continue;
    const sharedBytes = Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0);
    found.push({ ...entry, registers: Number(registers[1]), spilledBytes, sharedBytes });
    entry = null;
  }
  return found;
}

/** Runs a program, shows what it says on stderr, and returns it. */
function run(program: string, argv: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, argv, { cwd: ROOT });
    let output = "";
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ${argv.join(" ")} ended with ${code}:\n${output}`));
    });
    child.stdin.end(input);
  });
}

async function demangled(kernels: readonly KernelResources[]): Promise<KernelResources[]> {
  const names = (await run("c++filt", [], kernels.map(({ kernel }) => kernel).join("\n")))
    .trimEnd()
    .split("\n");
  const short = (name: string): string =>
    name.replaceAll(/lema::cuda::|\(anonymous namespace\)::|^void /g, "").replace(/\(.*$/, "");
  return kernels.map((one, index) => ({ ...one, kernel: short(names[index]!) }));
}

/** Objects that did not change are not compiled again, and say nothing: what they said before still holds. */
function merge(before: readonly KernelResources[], now: readonly KernelResources[]): KernelResources[] {
  const all = new Map([...before, ...now].map((one) => [`${one.kernel} ${one.architecture}`, one]));
  return [...all.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

async function main([architectures = "all"]: readonly string[]): Promise<void> {
  const configure = ["-S", "native/cuda/device", "-B", FOLDER, `-DLEMA_CUDA_ARCHITECTURES=${architectures}`];
  await run("cmake", configure);
  const log = await run("cmake", ["--build", FOLDER, "--parallel", JOBS]);
  const file = `${ROOT}/${FOLDER}/resources.json`;
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as KernelResources[]) : [];
  const resources = merge(before, await demangled(resourcesOf(log)));
  writeFileSync(file, `${JSON.stringify(resources, null, 1)}\n`);
  const rows = resources.map(({ kernel, architecture, registers, spilledBytes, sharedBytes }) => [
    kernel,
    architecture,
    `${registers}`,
    `${spilledBytes}`,
    `${sharedBytes}`,
  ]);
  console.log(
    formatTable([["kernel", "for", "registers", "spilled B", "shared B"], ...rows], "llrrr").join("\n"),
  );
  const beside = `${ROOT}/build/native/Release`;
  mkdirSync(beside, { recursive: true });
  copyFileSync(`${ROOT}/${FOLDER}/Release/lema_cuda.so`, `${beside}/lema_cuda.so`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
