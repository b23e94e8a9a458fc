/** Small plans through the whole native engine: the same bytes in every way of running, and every failure named. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Engine, type EngineOptions, openEngine } from "../../runtime/addon.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import type { Plan } from "../../schemas/plan.ts";
import { OFFSET, type Tiny, tiny } from "./tiny-plan.ts";

const plain: EngineOptions = { backend: "cpu", serialLanes: false, diskThrottle: null };
const step = { program: "train-step", part: "steady" } as const;

async function open(
  { plan, paths }: Pick<Tiny, "plan" | "paths">,
  options: Partial<EngineOptions> = {},
): Promise<Engine> {
  const engine = openEngine({ ...plain, ...options });
  onTestFinished(() => engine.close());
  await engine.load(plan, paths);
  return engine;
}

function floats(engine: Engine, buffer: string, elements: number): Float32Array {
  const bytes = engine.readTensor({ buffer, offset: 0 }, 4 * elements);
  return new Float32Array(bytes.buffer, bytes.byteOffset, elements);
}

/** Compares bits; a matcher would look at millions of numbers one by one. */
function same(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  );
}

/** What this process has open, by its name; none where the system does not tell. */
function openFiles(): string[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // The one that the listing itself had open.
    }
  });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => "no error",
    (thrown: unknown) => thrown,
  );
  return error instanceof DiagnosticError ? error.diagnostics[0]!.code : String(error);
}

const ways: [string, Parameters<typeof tiny>[0], Partial<EngineOptions>][] = [
  ["ram, one thread a lane", {}, {}],
  ["ram, serial lanes", {}, { serialLanes: true }],
  ["ram, reference kernels", {}, { backend: "reference" }],
  ["vram, one thread a lane", { tiers: "disk-ram-vram", turns: 5 }, {}],
  ["vram, serial lanes", { tiers: "disk-ram-vram", turns: 5 }, { serialLanes: true }],
  ["a tensor of many pieces", { elements: 3_000_001, turns: 3 }, {}],
];

describe("a plan runs", () => {
  test.each(ways)("%s", async (_, shape, options) => {
    const made = tiny(shape);
    const engine = await open(made, options);
    const stats = await engine.run(step);
    const buffer = made.plan.step_outputs[0]!.at.buffer;
    expect(same(floats(engine, buffer, made.values.length), made.values)).toBe(true);
    expect(floats(engine, "z", 3)).toEqual(Float32Array.of(2.5, 2.5, 2.5));
    const weights = 2 * made.values.length * (shape?.turns ?? 2);
    expect(stats.bytesRead).toBeGreaterThanOrEqual(weights);
    expect(stats.tensorsVerified).toBe(1);
    await engine.run(step); // and again: the steady part repeats
    expect(same(floats(engine, buffer, made.values.length), made.values)).toBe(true);
  });

  test("constants and step inputs arrive, and leave their range in vain", async () => {
    const engine = await open(tiny());
    const inputs = (first: number) => [
      { name: "tokens", bytes: new Uint8Array(Int32Array.of(first, 9).buffer) },
    ];
    await engine.run({ ...step, inputs: inputs(3) });
    expect(new Int32Array(engine.readTensor({ buffer: "input", offset: 0 }, 16).slice().buffer)).toEqual(
      Int32Array.of(3, 9, 41, 42),
    );
    expect(await codeOf(engine.run({ ...step, inputs: inputs(10) }))).toBe("run.engine");
    const short = [{ name: "tokens", bytes: new Uint8Array(4) }];
    expect(await codeOf(engine.run({ ...step, inputs: short }))).toBe("run.engine");
  });

  test("a checkpoint is written behind the header that stands there", async () => {
    const made = tiny();
    const engine = await open(made);
    await engine.run(step);
    const path = join(made.directory, "result.bin");
    writeFileSync(path, "header!!");
    const checkpoint = { program: "checkpoint", part: "steady" } as const;
    const stats = await engine.run({ ...checkpoint, sinks: [{ sink: "result", path, base: 8 }], sync: true });
    expect(stats.bytesWritten).toBe(4 * made.values.length);
    const written = readFileSync(path);
    expect(written.subarray(0, 8).toString()).toBe("header!!");
    expect(new Float32Array(new Uint8Array(written.subarray(8)).buffer)).toEqual(made.values);
    expect(openFiles()).not.toContain(path);
    expect(await codeOf(engine.run(checkpoint))).toBe("run.engine"); // no file for the sink
  });

  test.runIf(process.platform === "linux")("a full disk is told with the file and a way out", async () => {
    const engine = await open(tiny());
    await engine.run(step);
    const sinks = [{ sink: "result", path: "/dev/full", base: 0 }];
    const writing = engine.run({ program: "checkpoint", part: "steady", sinks, sync: true });
    const error = await writing.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    // Else what is removed there would not make room.
    expect(openFiles()).not.toContain("/dev/full");
    expect(error).toMatchObject({
      diagnostics: [
        {
          code: "run.io-error",
          summary: "cannot write /dev/full at byte 0: No space left on device",
          hint: expect.stringContaining("--resume"),
        },
      ],
    });
  });

  test("bytes can be written between runs and never outside their buffer", async () => {
    const engine = await open(tiny());
    engine.writeTensor({ buffer: "z", offset: 4 }, Uint8Array.of(1, 2, 3));
    expect(engine.readTensor({ buffer: "z", offset: 3 }, 5)).toEqual(Uint8Array.of(0, 1, 2, 3, 0));
    expect(() => engine.readTensor({ buffer: "z", offset: 20_000 }, 1)).toThrow(/z/);
    expect(() => engine.writeTensor({ buffer: "z", offset: 19_999 }, new Uint8Array(2))).toThrow(/z/);
    expect(() => engine.readTensor({ buffer: "z", offset: 0 }, Number.MAX_SAFE_INTEGER)).toThrow(/z/);
  });
});

test("ranges of ram are digested side by side, each as a whole, and never outside their buffer", async () => {
  const engine = await open(tiny());
  const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
  engine.writeTensor({ buffer: "z", offset: 4 }, bytes);
  const ranges = [
    { at: { buffer: "z", offset: 4 }, bytes: 1000 },
    { at: { buffer: "z", offset: 5 }, bytes: 64 },
    { at: { buffer: "z", offset: 4 }, bytes: 0 },
  ];
  const expected = [bytes, bytes.subarray(1, 65), bytes.subarray(0, 0)].map((part) =>
    createHash("sha256").update(part).digest(),
  );
  expect(Buffer.from(await engine.digest(ranges))).toEqual(Buffer.concat(expected));
  expect(await engine.digest([])).toEqual(new Uint8Array());
  await expect(engine.digest([{ at: { buffer: "z", offset: 19_999 }, bytes: 2 }])).rejects.toThrow(/z/);
});

describe("gather", () => {
  const ROW = 10; // elements
  /** The first instruction fetches two rows of the tensor, seen as a table, instead of reading it. */
  function gathering(): Tiny {
    const made = tiny();
    const plan = structuredClone(made.plan);
    const [read] = plan.programs["train-step"].steady;
    if (read?.kind !== "read") throw new Error("not a read");
    const { id, lane, waits, reads, writes, staging } = read;
    plan.programs["train-step"].steady = [
      {
        ...{ id, lane, waits, reads, writes, staging },
        kind: "gather",
        bytes: 2 * 8192,
        file: "w",
        offset: OFFSET,
        row_bytes: 2 * ROW,
        table_rows: 500,
        tensor: "w",
        indices: { buffer: "input", offset: 0, bytes: 8 },
        to: { buffer: "slot/0", offset: 6 },
      },
    ];
    return { ...made, plan };
  }
  const choose = (engine: Engine, ...rows: number[]): void =>
    engine.writeTensor({ buffer: "input", offset: 0 }, new Uint8Array(Int32Array.from(rows).buffer));

  test("rows arrive one after another, whatever their order", async () => {
    const made = gathering();
    const engine = await open(made);
    choose(engine, 499, 3);
    const { bytesRead } = await engine.run(step);
    const got = engine.readTensor({ buffer: "slot/0", offset: 6 }, 4 * ROW);
    const file = readFileSync(made.file);
    const row = (index: number) => file.subarray(OFFSET + 2 * ROW * index, OFFSET + 2 * ROW * (index + 1));
    expect(Buffer.from(got).equals(Buffer.concat([row(499), row(3)]))).toBe(true);
    expect(bytesRead).toBeLessThanOrEqual(2 * 8192);
  });

  test("rows of one block are read at once, and one that is asked for twice is read once", async () => {
    const made = gathering();
    const engine = await open(made);
    const file = readFileSync(made.file);
    for (const rows of [
      [8, 3],
      [5, 5],
    ] as const) {
      choose(engine, ...rows);
      const { bytesRead } = await engine.run(step);
      const row = (index: number) => file.subarray(OFFSET + 2 * ROW * index, OFFSET + 2 * ROW * (index + 1));
      const got = engine.readTensor({ buffer: "slot/0", offset: 6 }, 4 * ROW);
      expect(Buffer.from(got).equals(Buffer.concat(rows.map(row)))).toBe(true);
      expect(bytesRead).toBe(4096);
    }
  });

  test.each([500, -1])("row %i does not exist", async (row) => {
    const engine = await open(gathering());
    choose(engine, 0, row);
    const error = await engine.run(step).catch((thrown: unknown) => thrown);
    expect(String(error)).toMatch(new RegExp(`row ${row} of w, which has 500 rows`));
  });

  test.each([
    ["more rows than the tensor has", { table_rows: 501 }],
    ["less disk traffic than the rows may take", { bytes: 8191 }],
    ["rows outside their buffer", { to: { buffer: "slot/0", offset: 9980 } }],
    ["indices outside their buffer", { indices: { buffer: "input", offset: 12, bytes: 8 } }],
  ])("refuses %s", async (_, change) => {
    const made = gathering();
    Object.assign(made.plan.programs["train-step"].steady[0]!, change);
    expect(await codeOf(open(made))).toBe("run.engine");
  });
});

describe("lanes", () => {
  const slow = { elements: 200_000, turns: 4 };
  /** Instructions of one lane that were under way while one of the other was. */
  const overlaps = (engine: Engine, one: string, other: string): number => {
    const spans = engine.trace();
    expect(spans.every(({ end }) => end !== null)).toBe(true);
    const of = (lane: string) => spans.filter((span) => span.lane === lane);
    return of(one).filter((a) => of(other).some((b) => a.start < b.end! && b.start < a.end!)).length;
  };

  test("disk and compute overlap when the disk is slow", async () => {
    const engine = await open(tiny(slow), { diskThrottle: 20_000_000 });
    await engine.run(step);
    expect(overlaps(engine, "disk", "compute")).toBeGreaterThan(0);
    const second = engine.trace().find(({ id }) => id === "widen/1")!;
    expect(second.waited).toBeGreaterThan(0); // began with its first call, and waited for its weights inside
  });

  test("serial lanes never overlap", async () => {
    const engine = await open(tiny(slow), { diskThrottle: 20_000_000, serialLanes: true });
    await engine.run(step);
    expect(overlaps(engine, "disk", "compute")).toBe(0);
  });

  test("a cancel stops a run in the middle of a read; only a prologue may follow", async () => {
    const engine = await open(tiny({ elements: 2_000_000 }), { diskThrottle: 100_000 });
    const run = codeOf(engine.run(step));
    setTimeout(() => engine.cancel(), 30);
    expect(await run).toBe("run.cancelled");
    expect(engine.trace().some(({ end }) => end === null)).toBe(true);
    expect(await codeOf(engine.run(step))).toBe("run.engine");
    await engine.run({ program: "train-step", part: "prologue" });
  });

  test("a cancel right after the call is heard, and none is kept for the next run", async () => {
    const engine = await open(tiny());
    engine.cancel(); // nothing runs
    const run = codeOf(engine.run(step));
    engine.cancel();
    expect(["run.cancelled", "no error"]).toContain(await run); // it may have been over already
    await engine.run({ program: "train-step", part: "prologue" });
    await engine.run(step);
  });

  test("a process that exits while a run is under way just exits", () => {
    const script = fileURLToPath(new URL("exit-while-running.ts", import.meta.url));
    const made = tiny({ elements: 2_000_000 });
    const description = join(made.directory, "made.json");
    writeFileSync(description, JSON.stringify({ plan: made.plan, file: made.file }));
    const { status, signal, stderr } = spawnSync(process.execPath, ["--import", "tsx", script, description], {
      encoding: "utf8",
      timeout: 60_000,
    });
    expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: "" });
  });

  test("closing cancels what runs; a closed engine refuses", async () => {
    const engine = await open(tiny({ elements: 2_000_000 }), { diskThrottle: 100_000 });
    const run = codeOf(engine.run(step));
    await expect(engine.run(step)).rejects.toThrow(/busy/);
    engine.close();
    expect(await run).toBe("run.cancelled");
    engine.close();
    expect(await codeOf(engine.run(step))).toBe("run.engine");
    expect(() => engine.readTensor({ buffer: "z", offset: 0 }, 1)).toThrow(/closed/);
  });
});

describe("bad files", () => {
  const edit = (path: string, at: number, bytes: Uint8Array): void => {
    const data = readFileSync(path);
    data.set(bytes, at);
    writeFileSync(path, data);
  };

  test("a changed byte is a digest mismatch that names tensor and instruction", async () => {
    const made = tiny();
    edit(made.file, OFFSET + 4001, Uint8Array.of(0x12));
    const engine = await open(made);
    const error = await engine.run(step).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DiagnosticError);
    const [found] = (error as DiagnosticError).diagnostics;
    expect(found).toMatchObject({
      code: "weights.digest-mismatch",
      summary: expect.stringContaining("tensor w"),
    });
    expect(found!.detail).toMatch(/instruction read\/0, at native\/io\/verification\.cc:\d+/);
  });

  test("NaN is refused, also where no digest is planned", async () => {
    const made = tiny();
    edit(made.file, OFFSET + 4000, Uint8Array.of(0xc0, 0x7f));
    const tensors = made.plan.tensors.map((tensor) => ({ ...tensor, digest: null }));
    const engine = await open({ ...made, plan: { ...made.plan, tensors } });
    expect(await codeOf(engine.run(step))).toBe("weights.non-finite");
  });

  test("a file of another size is refused when the plan is loaded", async () => {
    const made = tiny();
    writeFileSync(made.file, readFileSync(made.file).subarray(0, -40));
    expect(await codeOf(open(made))).toBe("weights.truncated");
  });

  test("a file that shrinks afterwards is an error, not a signal", async () => {
    const made = tiny({ elements: 1_000_000 });
    const engine = await open(made);
    const file = openSync(made.file, "r+");
    ftruncateSync(file, 1_234_567);
    closeSync(file);
    const error = await engine.run(step).catch((thrown: unknown) => thrown);
    expect((error as DiagnosticError).diagnostics[0]).toMatchObject({
      code: "weights.truncated",
      summary: expect.stringMatching(/w\.bin ends at byte 1234567/),
    });
  });

  test("what the system refuses to read is an error with file and offset", async () => {
    const made = tiny();
    const directory = join(made.directory, "folder");
    mkdirSync(directory);
    expect(await codeOf(open({ ...made, paths: new Map([["w", directory]]) }))).toBe("run.io-error");
    expect(await codeOf(open({ ...made, paths: new Map([["w", "/nowhere"]]) }))).toBe("run.io-error");
  });
});

describe("the engine does not trust the plan", () => {
  type Edit = (plan: Plan) => void;
  const instruction = (plan: Plan, id: string) =>
    plan.programs["train-step"].steady.find((candidate) => candidate.id === id)!;
  const edits: [string, Edit][] = [
    [
      "a buffer outside its arena",
      (plan) => {
        plan.buffers.at(-1)!.bytes += 2 ** 20;
      },
    ],
    [
      "a buffer that is not aligned",
      (plan) => {
        plan.buffers[1]!.offset += 64;
      },
    ],
    [
      "an alignment that is no power of two",
      (plan) => {
        plan.buffers[0]!.alignment = 3;
      },
    ],
    [
      "a tensor outside its file",
      (plan) => {
        plan.tensors[0]!.bytes += 34;
      },
    ],
    [
      "a constant outside its buffer",
      (plan) => {
        plan.constants[0]!.at.offset = 12;
      },
    ],
    [
      "a step input outside its buffer",
      (plan) => {
        plan.step_inputs[0]!.shape = [5];
      },
    ],
    [
      "an operand outside its formal",
      (plan) => {
        plan.procedures[0]!.calls[1]!.operands.x!.offset = 2;
      },
    ],
    [
      "an operand of a dtype that the op does not take",
      (plan) => {
        plan.procedures[0]!.calls[0]!.operands.y!.dtype = "bf16";
      },
    ],
    [
      "shapes that disagree",
      (plan) => {
        plan.procedures[0]!.calls[1]!.operands.x!.shape = [17];
      },
    ],
    [
      "a missing operand",
      (plan) => {
        delete plan.procedures[0]!.calls[1]!.operands.x;
      },
    ],
    [
      "an op that writes what is only read",
      (plan) => {
        plan.procedures[0]!.formals[2]!.access = "read";
      },
    ],
    [
      "a formal bound past its buffer",
      (plan) => {
        const run = instruction(plan, "widen/0");
        if (run.kind === "run") run.bind.y!.offset = 4;
      },
    ],
    [
      "an operand that is not aligned",
      (plan) => {
        plan.procedures[0]!.formals[1]!.bytes += 2;
        plan.procedures[0]!.calls[1]!.operands.y!.offset = 2;
      },
    ],
    [
      "a formal bound to the wrong arena",
      (plan) => {
        plan.shape.compute_arena = "vram";
      },
    ],
    [
      "a wait for a later instruction",
      (plan) => {
        instruction(plan, "read/0").waits.push({ on: "widen/0", at: 0 });
      },
    ],
    [
      "a wait before a call that does not exist",
      (plan) => {
        instruction(plan, "widen/0").waits[0]!.at = 2;
      },
    ],
    [
      "a read past its slot",
      (plan) => {
        const read = instruction(plan, "read/0");
        if (read.kind === "read") read.segments[0]!.to.offset = 1;
      },
    ],
    [
      "a read past its tensor",
      (plan) => {
        const read = instruction(plan, "read/0");
        if (read.kind === "read") read.segments[0]!.bytes += 2;
      },
    ],
    [
      "an instruction on the wrong lane",
      (plan) => {
        Object.assign(instruction(plan, "read/0"), { lane: "compute" });
      },
    ],
    [
      "a write past its sink",
      (plan) => {
        plan.sinks[0]!.bytes -= 1;
      },
    ],
    [
      "staging too small for a block",
      (plan) => {
        const read = instruction(plan, "read/0");
        if (read.kind === "read") read.staging.bytes = 4095;
      },
    ],
    [
      "no threads",
      (plan) => {
        plan.shape.threads = 0;
      },
    ],
  ];

  test.each(edits)("%s", async (_, change) => {
    const made = tiny();
    const plan = structuredClone(made.plan);
    change(plan);
    expect(await codeOf(open({ ...made, plan }))).toBe("run.engine");
  });

  test("another op table", async () => {
    const made = tiny();
    expect(await codeOf(open({ ...made, plan: { ...made.plan, op_table: "sha256:0" } }))).toBe(
      "plan.op-table",
    );
  });

  test("an arena that cannot be had", async () => {
    const made = tiny();
    const { ram } = made.plan.budgets;
    const budgets = { ...made.plan.budgets, ram: { ...ram, arena: 2 ** 50 } };
    expect(await codeOf(open({ ...made, plan: { ...made.plan, budgets } }))).toBe("run.out-of-memory");
  });
});
