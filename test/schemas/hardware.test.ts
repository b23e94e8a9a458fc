import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { checkHardware } from "../../schemas/check-hardware.ts";
import { type HardwareProfile, parseHardware } from "../../schemas/hardware.ts";
import { brief, parseWith, recipeWith } from "./recipe-fixtures.ts";

const DIRECTORY = "recipes/hardware";
const FILES = readdirSync(DIRECTORY).sort();

const CPU = `name: here
compute:
  kind: cpu
  threads: 2
  matrix_rate: {f32: 150 GFLOP/s}
  memory_bandwidth: 20 GB/s
disk: {bandwidth: 500 MB/s, latency_ns: 100000, direct_io: true}
memory: {ram: 8 GiB}
reserve: {ram: 256 MiB}
`;

function profileOf(text: string): HardwareProfile {
  const { profile, diagnostics } = parseHardware(text, { file: "profile.yaml" });
  if (profile === undefined) throw new Error(brief(diagnostics).join("\n"));
  return profile;
}

describe("shipped profiles", () => {
  it("are the machines that the recipes name", () => {
    expect(FILES).toEqual([
      "cpu-2core.yaml",
      "cpu-emulated-gpu.yaml",
      "h200.yaml",
      "laptop-cpu.yaml",
      "p100.yaml",
      "rtx4090.yaml",
      "t4.yaml",
    ]);
  });

  it.each(FILES)("%s is sound and carries its file's name", (file) => {
    const profile = profileOf(readFileSync(`${DIRECTORY}/${file}`, "utf8"));
    expect(`${profile.name}.yaml`).toBe(file);
    expect(profile.compute.kind === "cuda").toBe(profile.host !== undefined);
    // A data sheet's transposed digits would show as a machine that is out of proportion.
    expect(profile.compute.memory_bandwidth).toBeGreaterThan(profile.disk.bandwidth);
    expect(profile.reserve.ram).toBeLessThan(profile.memory.ram / 4);
  });

  it.each(FILES)("%s says where each of its figures comes from", (file) => {
    const text = readFileSync(`${DIRECTORY}/${file}`, "utf8");
    const unsourced = text
      .split("\n")
      .filter((line) => /^ +\w+: /.test(line) && !/^ +kind: /.test(line) && !/ # \S/.test(line));
    expect(unsourced).toEqual([]);
    expect(text).toMatch(/^source: \S/m);
  });
});

it("reads rates and sizes in plain units", () => {
  expect(profileOf(CPU)).toEqual({
    name: "here",
    compute: {
      kind: "cpu",
      threads: 2,
      matrix_rate: { f32: 150e9 },
      memory_bandwidth: 20e9,
      dtypes: ["f32"],
    },
    disk: { bandwidth: 500e6, latency_ns: 100_000, direct_io: true },
    memory: { ram: 8 * 2 ** 30 },
    reserve: { ram: 256 * 2 ** 20 },
  });
});

it.each([
  ["a rate of another unit", CPU.replace("150 GFLOP/s", "150 GB/s"), "compute.matrix_rate.f32"],
  ["a rate of nothing", CPU.replace("150 GFLOP/s", "0 GFLOP/s"), "compute.matrix_rate.f32"],
  ["an unknown key", `${CPU}speed: 3\n`, "speed"],
  ["a missing section", CPU.replace(/^disk.*\n/m, ""), "disk"],
  ["a cpu without threads", CPU.replace("  threads: 2\n", ""), "compute.threads"],
  ["a gpu without links", CPU.replace("cpu\n  threads: 2", "cuda"), "links"],
  ["vram without links", CPU.replace("{ram: 8 GiB}", "{ram: 8 GiB, vram: 1 GiB}"), "links"],
  ["a key given twice", `${CPU}name: b\n`, undefined],
  ["no YAML", "name: [", undefined],
])("refuses %s", (_, text, path) => {
  const { profile, diagnostics } = parseHardware(text, { file: "profile.yaml" });
  expect(profile).toBeUndefined();
  expect(diagnostics[0]).toMatchObject({ code: "hardware.invalid-profile", where: { file: "profile.yaml" } });
  expect(diagnostics[0]?.where?.path).toBe(path);
});

describe("a recipe on a machine", () => {
  const emulated = profileOf(
    CPU.replace("{ram: 8 GiB}", "{ram: 8 GiB, vram: 1 GiB}").concat(
      "links: {h2d_bandwidth: 8 GB/s, d2h_bandwidth: 8 GB/s, pinned: false}\n",
    ),
  );
  const check = (profile: HardwareProfile, ...overrides: string[]) =>
    checkHardware(recipeWith(...overrides), profile, parseWith(...overrides).placeOf);

  it("has nothing to complain about when it fits", () => {
    expect(check(profileOf(CPU))).toEqual([]);
    expect(check(emulated, "memory.vram=1 GiB")).toEqual([]);
  });

  it("is refused in a precision that the machine lacks, which names the others", () => {
    const [problem] = check(profileOf(CPU), "training.precision=bf16");
    expect(problem).toMatchObject({ code: "hardware.precision", severity: "error" });
    expect(problem?.where?.path).toBe("training.precision");
    expect(problem?.hint).toBe("use `f32`; the weights may be stored in any dtype");
  });

  it("is refused a vram budget where there is no such tier", () => {
    expect(check(profileOf(CPU), "memory.vram=1 GiB")).toMatchObject([
      { code: "hardware.no-vram-tier", where: { path: "memory.vram" } },
    ]);
  });

  it("is warned about budgets beyond the installed memory, one byte more than fits", () => {
    expect(check(emulated, `memory.vram=${2 ** 30 + 1}`, "memory.ram=9 GiB")).toMatchObject([
      { code: "hardware.beyond-memory", severity: "warning", where: { path: "memory.ram" } },
      { code: "hardware.beyond-memory", severity: "warning", where: { path: "memory.vram" } },
    ]);
  });
});
