/**
 * `npm run build:cuda [-- all|native|80;90] [--toolkit 12|13]`: builds lema_cuda.so and the op suite for devices under
 * build/cuda, and prints registers and spills of every kernel. No device is needed. The object is then put beside the
 * native module, where `lema exec --backend cuda` looks for it.
 *
 * The compiler is the `nvcc` at hand; with --toolkit, or where there is none, the one that scripts/cuda-toolkit.sh gets.
 * A toolkit that was named builds in build/cuda-12 or build/cuda-13, and its object stays there.
 */
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { formatTable } from "../cli/render/table.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
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

/** One line a kernel, one column an architecture: registers, and `+` the bytes spilled where there are any. */
export function resourceTable(resources: readonly KernelResources[]): string[] {
  const numberOf = (architecture: string): number => Number(/\d+/.exec(architecture)?.[0]);
  const architectures = [...new Set(resources.map(({ architecture }) => architecture))].sort(
    (a, b) => numberOf(a) - numberOf(b),
  );
  const kernels = [...new Set(resources.map(({ kernel }) => kernel))].sort();
  const cell = (kernel: string, architecture: string): string => {
    const found = resources.find((one) => one.kernel === kernel && one.architecture === architecture);
    if (found === undefined) return "";
    return found.spilledBytes > 0 ? `${found.registers} +${found.spilledBytes} B` : `${found.registers}`;
  };
  const rows = kernels.map((kernel) => [kernel, ...architectures.map((one) => cell(kernel, one))]);
  return formatTable([["registers +spilled", ...architectures], ...rows], "lr");
}

const hasNvcc = (): boolean =>
  [`${process.env.CUDA_HOME ?? "/usr/local/cuda"}/bin/nvcc`, "nvcc"].some(
    (nvcc) => spawnSync(nvcc, ["--version"]).status === 0,
  );

async function main(argv: readonly string[]): Promise<void> {
  const options = { toolkit: { type: "string" } } as const;
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
  const folder = values.toolkit === undefined ? "build/cuda" : `build/cuda-${values.toolkit}`;
  const fetched = values.toolkit ?? (hasNvcc() ? null : "13");
  const nvcc =
    fetched === null
      ? null
      : (await run("bash", ["scripts/cuda-toolkit.sh", fetched])).trim().split("\n").at(-1);
  const configure = ["-S", "native/cuda/device", "-B", folder];
  await run("cmake", [
    ...configure,
    `-DLEMA_CUDA_ARCHITECTURES=${positionals[0] ?? "all"}`,
    ...(nvcc === null ? [] : [`-DLEMA_NVCC=${nvcc}`]),
  ]);
  const log = await run("cmake", ["--build", folder, "--parallel", JOBS]);
  const file = `${ROOT}/${folder}/resources.json`;
  // All kernels are one object; where it was not compiled again, what it said before still holds.
  const compiled = await demangled(resourcesOf(log));
  const resources =
    compiled.length > 0 ? compiled : (JSON.parse(readFileSync(file, "utf8")) as KernelResources[]);
  writeFileSync(file, `${JSON.stringify(resources, null, 1)}\n`);
  console.log(resourceTable(resources).join("\n"));
  if (values.toolkit !== undefined) return;
  const beside = `${ROOT}/build/native/Release`;
  mkdirSync(beside, { recursive: true });
  copyFileSync(`${ROOT}/${folder}/Release/lema_cuda.so`, `${beside}/lema_cuda.so`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
