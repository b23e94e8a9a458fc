/** What the encoder itself refuses, and that equal plans give equal bytes; the decoder's side is tested natively. */
import { describe, expect, test } from "vitest";
import { ByteWriter } from "../../runtime/byte-writer.ts";
import { encodePlan, encodeRun } from "../../runtime/encode.ts";
import type { Plan } from "../../schemas/plan.ts";
import { tiny } from "./tiny-plan.ts";

describe("encodePlan", () => {
  test("begins with magic and version, and depends on nothing but the plan", () => {
    const { plan } = tiny();
    const bytes = encodePlan(plan);
    expect(Buffer.from(bytes.subarray(0, 4)).toString()).toBe("LEMA");
    expect(bytes[4]).toBe(1);
    expect(encodePlan(structuredClone(plan))).toEqual(bytes);
    const other = structuredClone(plan);
    other.buffers[0]!.offset += 4096;
    expect(encodePlan(other)).not.toEqual(bytes);
  });

  const contradictions: [string, RegExp, (plan: Plan) => void][] = [
    [
      "a read from elsewhere",
      /reads w from another place/,
      (plan) => {
        const read = plan.programs["train-step"].steady[0]!;
        if (read.kind === "read") read.segments[0]!.offset += 2;
      },
    ],
    [
      "an unknown buffer",
      /unknown buffer: nowhere/,
      (plan) => {
        const read = plan.programs["train-step"].steady[0]!;
        if (read.kind === "read") read.segments[0]!.to.buffer = "nowhere";
      },
    ],
    [
      "an unknown op",
      /calls dance/,
      (plan) => {
        plan.procedures[0]!.calls[0]!.op = "dance";
      },
    ],
    [
      "an attribute that is missing",
      /fill without value/,
      (plan) => {
        plan.procedures[0]!.calls[0]!.attributes = {};
      },
    ],
    [
      "a formal that is not bound",
      /does not bind z/,
      (plan) => {
        const run = plan.programs["train-step"].steady[1]!;
        if (run.kind === "run") delete run.bind.z;
      },
    ],
    [
      "a wait for another part",
      /unknown instruction: write\/y/,
      (plan) => {
        plan.programs["train-step"].steady[1]!.waits.push({ on: "write/y", at: 0 });
      },
    ],
    [
      "two instructions of one id",
      /two of one name: instruction/,
      (plan) => {
        plan.programs["train-step"].steady[1]!.id = plan.programs["train-step"].steady[0]!.id;
      },
    ],
    [
      "a fraction of a byte",
      /0\.5 is not a byte count/,
      (plan) => {
        plan.buffers[0]!.offset = 0.5;
      },
    ],
  ];

  test.each(contradictions)("%s", (_, message, change) => {
    const plan = structuredClone(tiny().plan);
    change(plan);
    expect(() => encodePlan(plan)).toThrow(message);
  });
});

test("encodeRun names programs, inputs and sinks by number", () => {
  const { plan } = tiny();
  const bytes = encodeRun(plan, {
    program: "checkpoint",
    part: "steady",
    inputs: [{ name: "tokens", bytes: Uint8Array.of(1, 2) }],
    sinks: [{ sink: "result", path: "é", base: 2 ** 33 }],
    sync: true,
  });
  const expected = [
    [2, 1, 1],
    [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 2],
    [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0, 2, 0, 0, 0],
  ];
  expect([...bytes]).toEqual(expected.flat());
  expect(() =>
    encodeRun(plan, { program: "evaluate", part: "steady", sinks: [{ sink: "x", path: "", base: 0 }] }),
  ).toThrow(/unknown sink/);
});

test("a value that crosses the end of the writer's buffer survives its growth", () => {
  for (let lead = 4080; lead <= 4096; ++lead) {
    const writer = new ByteWriter();
    writer.bytes(new Uint8Array(lead));
    writer.u8(1);
    writer.u32(0x05040302);
    writer.u64(0x0f_0e0d_0c0b);
    writer.f64(Number.NEGATIVE_INFINITY);
    const view = new DataView(writer.finish().slice().buffer);
    expect(view.getUint8(lead)).toBe(1);
    expect(view.getUint32(lead + 1, true)).toBe(0x05040302);
    expect(Number(view.getBigUint64(lead + 5, true))).toBe(0x0f_0e0d_0c0b);
    expect(view.getFloat64(lead + 13, true)).toBe(Number.NEGATIVE_INFINITY);
    expect(view.byteLength).toBe(lead + 21);
  }
});
