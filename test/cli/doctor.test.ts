/** `lema doctor` as a user meets it, and each finding where it is not as on this machine. */
import { chmodSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { askWith, findCuda } from "../../cli/doctor/cuda.ts";
import type { Finding } from "../../cli/doctor/finding.ts";
import { findNode } from "../../cli/doctor/machine.ts";
import { findNative } from "../../cli/doctor/native.ts";
import { findStorage } from "../../cli/doctor/storage.ts";
import { packageVersion } from "../../cli/package.ts";
import { opTableHash } from "../../schemas/op-table.ts";
import { directoryWith, lema } from "./run-in-process.ts";

const PROFILE = `
name: mine
source: measured by hand
compute: {kind: cpu, threads: 2, matrix_rate: {f32: 1 GFLOP/s, bf16: 1 GFLOP/s, f16: 1 GFLOP/s}, memory_bandwidth: 1 GB/s}
disk: {bandwidth: 1 GB/s, latency_ns: 1, direct_io: true}
memory: {ram: 4 GiB}
reserve: {ram: 0}
`;

/** Only what is given: no driver, no toolkit, no profile of this machine gets in. */
const surroundings = (files: Readonly<Record<string, string>> = {}) => {
  const cwd = directoryWith({ "bin/none": "", ...files });
  return { cwd, env: { HOME: cwd, XDG_CONFIG_HOME: join(cwd, "config"), PATH: join(cwd, "bin") } };
};

const named = (findings: readonly Finding[], name: string): Finding =>
  findings.find((finding) => finding.name === name)!;

describe("lema doctor", () => {
  it("names the device's profile where there is one, and how to measure it again", async () => {
    const path = "config/lema/hardware-cuda.yaml";
    const sound = PROFILE.replace("kind: cpu, threads: 2", "kind: cuda")
      .replace("memory: {ram: 4 GiB}", "memory: {ram: 4 GiB, vram: 1 GiB}")
      .replace("reserve:", "links: {h2d_bandwidth: 1 GB/s, d2h_bandwidth: 1 GB/s, pinned: true}\nreserve:");
    const found = async (files: Readonly<Record<string, string>>) => {
      const { stdout } = await lema(["doctor", "--json"], surroundings(files));
      return named((JSON.parse(stdout) as { findings: Finding[] }).findings, "device profile");
    };
    expect(await found({})).toBeUndefined();
    expect(await found({ [path]: sound })).toMatchObject({ status: "ok", facts: { valid: true } });
    const broken = await found({ [path]: "name: 1" });
    expect(broken).toMatchObject({ status: "problem", hint: "measure again: `lema probe --backend cuda`" });
  });

  it("says what is there, on a line each, and that lema can run", async () => {
    const { exit, stdout, stderr } = await lema(["doctor"], surroundings());
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.at(-1)).toBe("lema can run here.");
    for (const name of ["lema", "node", "system", "addon", "op table", "processor", "gpu", "memory", "disk"])
      expect(lines.filter((line) => new RegExp(`^(?:ok|note) +${name}  `).test(line))).toHaveLength(1);
    expect(stdout).toMatch(/^note +hardware profile +none at .*config\/lema\/hardware\.yaml/m);
    expect(stdout).toContain("→ measure this machine once: `lema probe`");
  });

  it("says the same as JSON", async () => {
    const { exit, stdout } = await lema(
      ["doctor", "--json"],
      surroundings({ "config/lema/hardware.yaml": PROFILE }),
    );
    expect(exit).toBe(0);
    const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
    expect(ok).toBe(true);
    expect(named(findings, "op table").facts.hash).toBe(opTableHash());
    expect(named(findings, "addon").facts).toMatchObject({ package: null, version: null });
    expect(named(findings, "node").facts.version).toBe(process.versions.node);
    expect(named(findings, "hardware profile")).toMatchObject({
      status: "ok",
      summary: expect.stringMatching(/hardware\.yaml: measured by hand$/),
    });
  });

  it("exits with 1 when something keeps lema from running", async () => {
    const broken = surroundings({ "config/lema/hardware.yaml": "name: 5\n" });
    const { exit, stdout } = await lema(["doctor"], broken);
    expect(exit).toBe(1);
    expect(stdout).toMatch(/^PROBLEM +hardware profile +.*is not sound/m);
    expect(stdout).toContain("lema cannot run here: 1 problem.");
    const { exit: code, stdout: json } = await lema(["doctor", "--json"], broken);
    expect(code).toBe(1);
    expect(JSON.parse(json).ok).toBe(false);
  });
});

describe("the findings", () => {
  it("name a Node.js that is too old", () => {
    expect(findNode("18.20.8")).toMatchObject({
      status: "problem",
      hint: expect.stringContaining("20 or newer"),
    });
    expect(findNode("20.0.0").status).toBe("ok");
  });

  it("tell the addon's place, and call another version a problem only in a package", () => {
    expect(named(findNative(packageVersion()), "addon").status).toBe("ok");
    expect(named(findNative("9.9.9"), "addon").status).toBe("ok"); // It was built here.
  });

  it("name devices, driver and toolkit, as the programs on the search path tell them", () => {
    const { env, cwd } = surroundings({
      "bin/nvidia-smi":
        "#!/bin/sh\necho 'Tesla T4, 15360, 7.5, 570.10'\necho 'Tesla T4, 15360, 7.5, 570.10'\n",
      "bin/nvcc": "#!/bin/sh\necho 'Cuda compilation tools, release 12.8, V12.8.93'\n",
    });
    for (const program of ["nvidia-smi", "nvcc"]) chmodSync(join(cwd, "bin", program), 0o755);
    const [gpu, toolkit] = findCuda(askWith({ PATH: [env.PATH, "/bin"].join(delimiter) }), undefined);
    const device = "Tesla T4, 15360 MiB, compute capability 7.5";
    expect(gpu!.facts).toEqual({ devices: [device, device], driver: "570.10" });
    expect(gpu!.summary).toBe(`${device}; ${device}; driver 570.10`);
    expect(toolkit!.facts).toEqual({ version: "12.8", nvcc: "nvcc" });
  });

  it("say why there is no GPU and no toolkit", () => {
    const [gpu, toolkit] = findCuda(() => null, undefined);
    expect(gpu!.summary).toBe("none: nvidia-smi is not there or finds no driver");
    expect(toolkit!.summary).toBe("none: nvcc and /usr/local/cuda/bin/nvcc are not there");
    const [blind, named] = findCuda((program) => (program === "nvidia-smi" ? "\n" : null), "/opt/cuda");
    expect(blind!.summary).toBe("none: the driver sees no device");
    expect(named!.summary).toBe("none: /opt/cuda/bin/nvcc is not there");
  });

  it("look at the nearest folder that exists, and leave nothing there", () => {
    const folder = mkdtempSync(join(tmpdir(), "lema-doctor-"));
    const [disk, direct] = findStorage(join(folder, "runs/deep"));
    expect(disk!.facts.folder).toBe(folder);
    expect(disk!.facts.free).toBeGreaterThan(0);
    expect(["ok", "note"]).toContain(direct!.status);
    expect(() => mkdirSync(join(folder, "runs"))).not.toThrow();
  });

  it.runIf(process.platform === "linux")("name a folder that cannot be written", () => {
    const [, direct] = findStorage("/proc/nowhere");
    expect(direct).toMatchObject({ status: "problem", facts: { direct: null } });
    expect(direct!.summary).toContain("cannot write in /proc");
  });
});
