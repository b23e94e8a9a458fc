/**
 * A hardware profile: the rates, latencies and capacities that predictions are made from.
 *
 * Integers: bytes, bytes per second, floating-point operations per second, nanoseconds. A profile never changes what
 * a plan computes, only which plan is chosen and what time it predicts. Written by hand in `recipes/hardware/`, or by
 * `lema probe`.
 */
import * as z from "zod";
import { checkDocument } from "./check-document.ts";
import { type Diagnostic, exitCodeOf } from "./diagnostic.ts";
import { type OpName, ops } from "./ops/index.ts";
import { size, sizeOrNone, text } from "./recipe/values.ts";
import { type DocumentCodes, readYaml } from "./yaml-source.ts";

const RATE_FACTORS: Readonly<Record<string, number>> = { M: 1e6, G: 1e9, T: 1e12 };

/** `9.3 TFLOP/s`, `150 GFLOP/s`, or a whole number of operations per second. */
const flopRate = rate("FLOP", "a rate such as `9.3 TFLOP/s`");
/** `732 GB/s`, `500 MB/s`, or a whole number of bytes per second. */
const byteRate = rate("B", "a rate such as `732 GB/s`");

function rate(unit: string, expected: string) {
  const error = `expected ${expected}`;
  const pattern = new RegExp(`^\\s*(\\d+(?:\\.\\d+)?)\\s*([MGT])${unit}/s\\s*$`);
  return z
    .union(
      [
        z
          .string()
          .regex(pattern, { error })
          .transform((value) => {
            const [, amount, prefix] = pattern.exec(value)!;
            return Math.round(Number(amount) * RATE_FACTORS[prefix!]!);
          })
          .pipe(z.int().positive()),
        z.int({ error }).positive({ error }),
      ],
      { error },
    )
    .meta({ title: "rate" });
}

const count = z.int().positive();

const work = z.int().nonnegative();

/** One op call that was timed. */
const measuredCall = z.strictObject({
  op: z.enum(ops.map(({ name }) => name) as [OpName, ...OpName[]]).describe("The op."),
  product: z
    .enum(["f32", "bf16", "f16"])
    .optional()
    .describe("Of a matrix product, the dtype that it runs in."),
  flops: work.describe("Operations of the call."),
  read: work.describe("Bytes that it reads, every operand once."),
  written: work.describe("Bytes that it writes."),
  width: count.optional().describe("Elements of a row of its first operand."),
  ns: count.describe("How long it took, in nanoseconds."),
});

const compute = z
  .strictObject({
    kind: z.enum(["cpu", "cuda"]).describe("The backend that computes."),
    threads: count.optional().describe("Compute threads of a cpu; absent for cuda."),
    matrix_rate: z
      .strictObject({
        f32: flopRate.describe("Matrix products in float32."),
        bf16: flopRate.optional().describe("Matrix products of bfloat16 with float32 accumulation."),
        f16: flopRate
          .optional()
          .describe("Matrix products of fp16 with float32 accumulation (on a cpu: widened to float32)."),
      })
      .describe(
        "Operations per second of large matrix products, all threads together; absent dtypes are not computed.",
      ),
    memory_bandwidth: byteRate.describe("Of the memory that the backend computes in."),
    submission: z
      .strictObject({
        call_ns: work.describe("For each call."),
        instruction_ns: work.describe("For an instruction, beside its calls."),
      })
      .optional()
      .describe(
        "Of a device: nanoseconds that the host takes to hand over work. An instruction takes no less than that.",
      ),
    calls: z
      .array(measuredCall)
      .optional()
      .describe(
        "Timed calls; predictions of other shapes are interpolated between them. `lema probe` writes them.",
      ),
  })
  .refine(({ kind, threads }) => (kind === "cpu") === (threads !== undefined), {
    path: ["threads"],
    error: "expected `threads` for a cpu, and only there",
  })
  .transform((value) => ({
    ...value,
    threads: value.threads ?? null,
    /** The dtypes with a rate. */
    dtypes: (["f32", "bf16", "f16"] as const).filter((dtype) => value.matrix_rate[dtype] !== undefined),
  }));

const disk = z.strictObject({
  bandwidth: byteRate.describe("Sequential reads of several MiB, several in flight."),
  latency_ns: z.int().nonnegative().describe("Of one read, in nanoseconds."),
  direct_io: z.boolean().describe("Whether the file system takes O_DIRECT."),
});

const links = z.strictObject({
  h2d_bandwidth: byteRate.describe("Copies from ram to vram."),
  d2h_bandwidth: byteRate.describe("Copies from vram to ram."),
  pinned: z.boolean().describe("Whether the ram arena is page-locked, as the two rates assume."),
});

const host = z.strictObject({
  threads: count.describe("Threads of the host."),
  memory_bandwidth: byteRate.describe("Of the host's memory."),
  calls: z
    .array(measuredCall)
    .optional()
    .describe("Timed calls of the optimizer on the host's lane. `lema probe` writes them."),
});

/** The profile document; its output is {@link HardwareProfile}. */
export const hardwareSchema = z
  .strictObject({
    name: text("a name").describe("Name in plans and reports."),
    source: text("where the figures come from").optional().describe("Where the figures come from."),
    compute: compute.describe("The processor that runs the kernels."),
    disk: disk.describe("The disk that holds the weights."),
    links: links.optional().describe("Copies between ram and vram; without it the machine has no vram tier."),
    host: host.optional().describe("The machine around a cuda device; the optimizer's host lane runs there."),
    memory: z
      .strictObject({
        ram: size.describe("Installed ram."),
        vram: size.optional().describe("Installed vram; on a cpu profile, the emulated tier's limit."),
      })
      .describe("What is installed; budgets above it are warned about."),
    reserve: z
      .strictObject({
        ram: sizeOrNone.describe("Ram for the process itself: Node, libraries, driver."),
        vram: sizeOrNone.optional().describe("Vram for the driver's context and library workspaces."),
      })
      .describe("The part of a budget that the arena may not use, unless the recipe says otherwise."),
  })
  .refine(({ links: present, memory }) => (present === undefined) === (memory.vram === undefined), {
    path: ["links"],
    error: "expected `links` and `memory.vram` together",
  })
  .refine(({ compute: { kind }, links: present }) => kind !== "cuda" || present !== undefined, {
    path: ["links"],
    error: "expected `links` for a cuda device",
  })
  .meta({ title: "lema hardware profile" });

export type HardwareProfile = z.output<typeof hardwareSchema>;

const CODE = "hardware.invalid-profile";
const CODES: DocumentCodes = {
  syntax: CODE,
  duplicateKey: CODE,
  unknownKey: CODE,
  missingKey: CODE,
  invalidValue: CODE,
};

/** Profile text → {@link HardwareProfile}, or all that is wrong with it. Does no I/O; `file` is its name in diagnostics. */
export function parseHardware(
  content: string,
  { file }: { readonly file: string },
): { profile?: HardwareProfile; diagnostics: readonly Diagnostic[] } {
  const { source, diagnostics } = readYaml(content, file, CODES);
  if (exitCodeOf(diagnostics) !== 0) return { diagnostics };
  const { value, diagnostics: problems } = checkDocument(hardwareSchema, source, CODES);
  return value === undefined ? { diagnostics: problems } : { profile: value, diagnostics: problems };
}
