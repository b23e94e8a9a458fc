import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  deviceHardware,
  loadRecipe,
  ownHardware,
  probedProfilePath,
  shippedProfiles,
  tryLoadRecipe,
} from "../../cli/load-recipe.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import { MINIMAL } from "../schemas/recipe-fixtures.ts";
import { directoryWith } from "./run-in-process.ts";

const PROBED = `name: mine
compute: {kind: cpu, threads: 8, matrix_rate: {f32: 1 TFLOP/s}, memory_bandwidth: 50 GB/s}
disk: {bandwidth: 3 GB/s, latency_ns: 50000, direct_io: true}
memory: {ram: 32 GiB}
reserve: {ram: 256 MiB}
`;

const DEVICE = `name: my device
compute: {kind: cuda, matrix_rate: {f32: 10 TFLOP/s, f16: 10 TFLOP/s}, memory_bandwidth: 700 GB/s}
disk: {bandwidth: 3 GB/s, latency_ns: 50000, direct_io: true}
links: {h2d_bandwidth: 11 GB/s, d2h_bandwidth: 11 GB/s, pinned: true}
memory: {ram: 32 GiB, vram: 16 GiB}
reserve: {ram: 1 GiB, vram: 300 MiB}
`;

describe("hardware: auto", () => {
  const cwd = directoryWith({ "recipe.yaml": MINIMAL, "config/lema/hardware.yaml": PROBED });
  const load = (env: Record<string, string>, ...overrides: string[]) =>
    loadRecipe("recipe.yaml", overrides, { cwd, env });

  it("is the probed profile", () => {
    const { hardware, diagnostics } = load({ XDG_CONFIG_HOME: join(cwd, "config") });
    expect(hardware.name).toBe("mine");
    expect(diagnostics).toEqual([]);
  });

  it("falls back to a shipped profile of the recipe's shape, and says so", () => {
    const env = { HOME: cwd };
    expect(load(env).hardware.name).toBe("cpu-2core");
    expect(load(env, "memory.vram=1 GiB").hardware.name).toBe("cpu-emulated-gpu");
    expect(load(env).diagnostics).toMatchObject([{ code: "hardware.not-probed", severity: "warning" }]);
  });

  it("is the device's probed profile where there is a vram budget, else the processor's", () => {
    const both = directoryWith({
      "recipe.yaml": MINIMAL,
      "config/lema/hardware.yaml": PROBED,
      "config/lema/hardware-cuda.yaml": DEVICE,
    });
    const machine = { cwd: both, env: { XDG_CONFIG_HOME: join(both, "config") } };
    const name = (...overrides: string[]) => loadRecipe("recipe.yaml", overrides, machine).hardware.name;
    expect(name("memory.vram=1 GiB")).toBe("my device");
    expect(name()).toBe("mine");
    expect(deviceHardware("NVIDIA A100", machine).name).toBe("my device");
    expect(ownHardware("ram and vram", machine).name).toBe("mine");
  });

  it("is checked against the recipe", () => {
    const env = { XDG_CONFIG_HOME: join(cwd, "config") };
    expect(() => load(env, "training.precision=bf16")).toThrow("hardware.precision");
    expect(() => load(env, "memory.vram=1 GiB")).toThrow("hardware.no-vram-tier");
  });
});

it("finds the probed profile where the desktop keeps configuration", () => {
  expect(probedProfilePath({ HOME: "/home/a" }, "cpu")).toBe("/home/a/.config/lema/hardware.yaml");
  const env = { HOME: "/home/a", XDG_CONFIG_HOME: "/etc/a" };
  expect(probedProfilePath(env, "cpu")).toBe("/etc/a/lema/hardware.yaml");
  expect(probedProfilePath(env, "cuda")).toBe("/etc/a/lema/hardware-cuda.yaml");
});

it("resolves a shipped profile by name", () => {
  const cwd = directoryWith({ "recipe.yaml": MINIMAL });
  for (const name of shippedProfiles()) {
    expect(loadRecipe("recipe.yaml", [`hardware=${name}`], { cwd, env: {} }).hardware.name).toBe(name);
  }
});

it("knows a device by the name that its driver gives, and no other", () => {
  const machine = { cwd: "/", env: {} };
  const names = {
    "Tesla T4": "t4",
    "Tesla P100-PCIE-16GB": "p100",
    "NVIDIA GeForce RTX 4090": "rtx4090",
    "NVIDIA H200": "h200",
  };
  for (const [device, name] of Object.entries(names)) expect(deviceHardware(device, machine).name).toBe(name);
  expect(() => deviceHardware("NVIDIA A100", machine)).toThrow("no profile ships for NVIDIA A100");
});

it("refuses a file that is not UTF-8, such as Windows' UTF-16", () => {
  const cwd = directoryWith({});
  writeFileSync(join(cwd, "recipe.yaml"), Buffer.from(`\ufeff${MINIMAL}`, "utf16le"));
  const { diagnostics } = tryLoadRecipe("recipe.yaml", [], { cwd, env: {} });
  expect(diagnostics).toMatchObject([
    { code: "cli.unreadable-file", summary: "cannot read recipe.yaml: it is not UTF-8 text" },
  ]);
});

it("throws or returns the same problems", () => {
  const cwd = directoryWith({ "recipe.yaml": "lema: 2\n" });
  const { diagnostics } = tryLoadRecipe("recipe.yaml", [], { cwd, env: {} });
  expect(diagnostics.length).toBeGreaterThan(3);
  try {
    loadRecipe("recipe.yaml", [], { cwd, env: {} });
    expect.unreachable();
  } catch (error) {
    expect((error as DiagnosticError).diagnostics).toEqual(diagnostics);
    expect(error).toBeInstanceOf(DiagnosticError);
  }
});
