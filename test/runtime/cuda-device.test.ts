/** The devices that the native module finds: the emulated one always, an NVIDIA one where it is, else a reason. */
import { describe, expect, it } from "vitest";
import { machineOf, nativeDevice } from "../../runtime/addon.ts";
import { checkExecutable } from "../../runtime/preflight.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import { codesOf, toyPlan } from "./helpers.ts";

describe("nativeDevice", () => {
  it("describes the emulated device, through the door that the real one uses", () => {
    const device = nativeDevice("cuda-emulated");
    expect(device).toMatchObject({ name: "emulated device", capability: 80, totalBytes: 2 ** 34 });
    expect(device.freeBytes).toBeLessThanOrEqual(device.totalBytes);
    expect(machineOf("cuda-emulated")).toEqual({
      backend: "cuda-emulated",
      device: "emulated device (sm_80)",
      build: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
  });

  it("finds an NVIDIA device, or says which of object, driver and device is missing", () => {
    try {
      expect(nativeDevice("cuda").totalBytes).toBeGreaterThan(0);
    } catch (error) {
      expect(error).toBeInstanceOf(DiagnosticError);
      const [problem] = (error as DiagnosticError).diagnostics;
      expect(problem?.code).toBe("run.no-device");
      expect(problem?.summary).toMatch(
        /has not been built|no NVIDIA driver|driver is too old|no NVIDIA device|cannot load/,
      );
      expect(problem?.hint).toContain("--backend cpu");
    }
  });
});

it("a plan that computes in ram is refused on a device", async () => {
  const plan = toyPlan();
  const inRam = { ...plan, shape: { ...plan.shape, compute_arena: "ram" as const } };
  expect(await codesOf(() => checkExecutable(inRam, "cuda"))).toEqual(["plan.no-vram"]);
  expect(() => checkExecutable(inRam, "cpu")).not.toThrow();
});
