import { describe, expect, it } from "vitest";
import { availableBytes, PeakMemory, residentBytes } from "../../runtime/memory.ts";

const MIB = 2 ** 20;

describe.runIf(process.platform === "linux")("measured memory", () => {
  it("sees what was touched, and keeps the peak after it is freed", () => {
    const before = residentBytes()!;
    const memory = new PeakMemory(1000);
    let held: Uint8Array | null = new Uint8Array(64 * MIB).fill(1);
    const peak = memory.sample()!;
    expect(peak - before).toBeGreaterThan(60 * MIB);
    expect(held.length).toBe(64 * MIB);
    held = null;
    expect(memory.stop()).toBeGreaterThanOrEqual(peak);
  });

  it("knows how much is free", () => {
    expect(availableBytes()).toBeGreaterThan(MIB);
  });
});
