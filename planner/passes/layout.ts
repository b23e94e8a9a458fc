/**
 * layout: an offset and a lifetime for every value.
 *
 * Requires: tasks in their final serial order.
 * Guarantees: buffers with overlapping lifetimes have disjoint, aligned bytes. Persistent buffers stand first, the
 * buffers of each program share the bytes above them; an arena is as large as its largest program needs.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { ArenaName, PlanBuffer, ProgramName } from "../../schemas/plan.ts";
import { alignUp } from "../../schemas/units.ts";
import { forEachBuffer } from "../ir/effects.ts";
import { ALIGNMENT } from "../ir/procedure.ts";
import type {
  ArenaLayout,
  LaidOut,
  Lived,
  Programs,
  Rolled,
  Task,
  TaskParts,
  Value,
} from "../ir/schedule.ts";
import { PAGE } from "../ir/values.ts";
import { type Block, maxLive, pack } from "../layout/pack.ts";
import { mapPrograms } from "./residency.ts";

type Lifetime = { start: number; end: number };

export function layout(rolled: Rolled): LaidOut {
  const lifetimes = allLifetimes(rolled);
  const ram = layoutArena("ram", rolled.values, lifetimes);
  const vram = layoutArena("vram", rolled.values, lifetimes);
  return {
    ...rolled,
    buffers: [...ram.buffers, ...vram.buffers],
    arenas: { ram: ram.arena, vram: vram.arena },
  };
}

/** Bytes of an arena at its fullest moment: what it takes unless fragments waste some, without finding any offset. */
export function fullest(rolled: Rolled): Readonly<Record<ArenaName, number>> {
  const lifetimes = allLifetimes(rolled);
  const arena = (name: ArenaName) => {
    const here = rolled.values.filter((value) => value.arena === name && value.bytes > 0);
    const { end } = stack(here.filter(({ program }) => program === null));
    const tallest = Object.values(
      mapPrograms(lifetimes, (known, program) =>
        mostAlive(
          here.filter((value) => value.program === program),
          known,
          rolled.parts[program]!,
        ),
      ),
    );
    return alignUp(alignUp(end, ALIGNMENT) + Math.max(...tallest), PAGE);
  };
  return { ram: arena("ram"), vram: arena("vram") };
}

/** What needs no address, such as a bound of traffic, of a schedule without any. */
export function withLifetimes(rolled: Rolled): Lived {
  const lifetimes = allLifetimes(rolled);
  const buffers = rolled.values
    .filter(({ bytes }) => bytes > 0)
    .map(({ id, arena, bytes, alignment, holds, program }) => {
      const lifetime = program && { program, ...lifetimeOf(id, lifetimes[program]!) };
      return { id, arena, bytes, alignment, holds, lifetime };
    });
  return { ...rolled, buffers };
}

/** The largest sum of bytes of the values alive at one of a program's tasks. */
function mostAlive(
  values: readonly Value[],
  lifetimes: ReadonlyMap<string, Lifetime>,
  { prologue, steady, epilogue }: TaskParts,
): number {
  const change = new Float64Array(prologue.length + steady.length + epilogue.length + 1);
  for (const { id, bytes } of values) {
    const { start, end } = lifetimeOf(id, lifetimes);
    change[start]! += bytes;
    change[end]! -= bytes;
  }
  let alive = 0;
  return change.reduce((most, bytes) => {
    alive += bytes;
    return Math.max(most, alive);
  }, 0);
}

function allLifetimes({ parts }: Rolled): Programs<ReadonlyMap<string, Lifetime>> {
  return mapPrograms(parts, ({ prologue, steady, epilogue }) =>
    lifetimesOf([...prologue, ...steady, ...epilogue]),
  );
}

/** First and last task of a program that touches each buffer. */
function lifetimesOf(tasks: readonly Task[]): ReadonlyMap<string, Lifetime> {
  const lifetimes = new Map<string, Lifetime>();
  let index = 0;
  const touch = (buffer: string) => {
    const lifetime = lifetimes.get(buffer);
    if (lifetime) lifetime.end = index + 1;
    else lifetimes.set(buffer, { start: index, end: index + 1 });
  };
  for (; index < tasks.length; index++) forEachBuffer(tasks[index]!, touch);
  return lifetimes;
}

function layoutArena(
  arena: ArenaName,
  values: readonly Value[],
  lifetimes: Programs<ReadonlyMap<string, Lifetime>>,
): { buffers: readonly PlanBuffer[]; arena: ArenaLayout } {
  const here = values.filter((value) => value.arena === arena && value.bytes > 0);
  const persistent = stack(here.filter(({ program }) => program === null));
  const buffers = persistent.placed.map(({ value, offset }) => bufferOf(value, offset, null));
  const base = alignUp(persistent.end, ALIGNMENT);
  const floor = persistent.placed.reduce((sum, { value }) => sum + value.bytes, 0);
  let bytes = persistent.end;
  let live = floor;
  for (const program of Object.keys(lifetimes) as ProgramName[]) {
    const own = here.filter((value) => value.program === program);
    if (own.length === 0) continue;
    const blocks = blocksOf(own, program, lifetimes[program]!);
    const { offsets, height } = pack(blocks, Math.max(0, bytes - base));
    own.forEach((value, index) => {
      const { start, end: last } = blocks[index]!;
      buffers.push(bufferOf(value, base + offsets[index]!, { program, start, end: last }));
    });
    bytes = Math.max(bytes, base + height);
    live = Math.max(live, floor + maxLive(blocks));
  }
  return { buffers, arena: { bytes: alignUp(bytes, PAGE), maxLive: live } };
}

/** Persistent buffers one above the other; large alignments first, so that no padding stands between them. */
function stack(values: readonly Value[]): { placed: { value: Value; offset: number }[]; end: number } {
  let end = 0;
  const placed = values
    .toSorted((a, b) => b.alignment - a.alignment)
    .map((value) => {
      const offset = alignUp(end, value.alignment);
      end = offset + value.bytes;
      return { value, offset };
    });
  return { placed, end };
}

function blocksOf(
  values: readonly Value[],
  program: ProgramName,
  lifetimes: ReadonlyMap<string, Lifetime>,
): readonly Block[] {
  return values
    .filter((value) => value.program === program)
    .map(({ id, bytes, alignment }) => {
      const { start, end } = lifetimeOf(id, lifetimes);
      return { start, end, bytes, alignment };
    });
}

function lifetimeOf(id: string, lifetimes: ReadonlyMap<string, Lifetime>): Lifetime {
  const lifetime = lifetimes.get(id);
  invariant(lifetime, `${id} is never used`);
  return lifetime;
}

function bufferOf(value: Value, offset: number, lifetime: PlanBuffer["lifetime"]): PlanBuffer {
  const { id, arena, bytes, alignment, holds } = value;
  return { id, arena, offset, bytes, alignment, holds, lifetime };
}
