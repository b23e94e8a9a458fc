/**
 * The planner's intermediate representation: one schedule per program, refined pass by pass.
 *
 * expand-step  → tasks in serial order, weights named by unit, no loads
 * residency    → + loads; every `weights` formal is bound to a slot
 * prefetch     → the same tasks, loads moved up
 * roll         → prologue, steady part, epilogue; the steady state closes
 * layout       → + a byte offset and a lifetime for every value
 * sync         → + waits, from the bytes that tasks really share
 *
 * A value is a buffer without an address. A task is an instruction without addresses and waits.
 */
import type {
  ArenaName,
  PlanBuffer,
  PlanProcedure,
  PlanUnit,
  ProgramName,
  Residency,
  Wait,
} from "../../schemas/plan.ts";

export interface Value {
  readonly id: string;
  readonly arena: ArenaName;
  readonly bytes: number;
  readonly alignment: number;
  readonly holds: PlanBuffer["holds"];
  /** `null`: alive from load to close. Else its lifetime is what the tasks of that program touch. */
  readonly program: ProgramName | null;
}

export interface ValuePlace {
  readonly buffer: string;
  readonly offset: number;
}

export interface ValueRange extends ValuePlace {
  readonly bytes: number;
}

interface TaskBase {
  readonly id: string;
}

export interface RunTask extends TaskBase {
  readonly kind: "run";
  readonly lane: "compute" | "host";
  readonly procedure: string;
  readonly bind: Readonly<Record<string, ValuePlace>>;
  /** Unit that the formal `weights` needs; residency binds it. */
  readonly unit: string | null;
}

export interface ReadTask extends TaskBase {
  readonly kind: "read";
  readonly lane: "disk";
  readonly unit: string;
  /** The parts of the unit that this read brings. */
  readonly parts: PlanUnit["parts"];
  readonly evicts: string | null;
  readonly to: string;
}

export interface GatherTask extends TaskBase {
  readonly kind: "gather";
  readonly lane: "disk";
  readonly tensor: string;
  readonly indices: ValueRange;
  readonly to: ValuePlace;
}

export interface CopyTask extends TaskBase {
  readonly kind: "copy";
  readonly lane: "h2d" | "d2h";
  readonly from: ValuePlace;
  readonly to: ValuePlace;
  readonly bytes: number;
  readonly unit: string | null;
}

export interface WriteTask extends TaskBase {
  readonly kind: "write";
  readonly lane: "disk";
  readonly sink: string;
  readonly offset: number;
  readonly from: ValueRange;
}

export type Task = RunTask | ReadTask | GatherTask | CopyTask | WriteTask;

/** One item for each program of the plan in the making: those of a training, or of a generation. */
export type Programs<Item> = Readonly<Partial<Record<ProgramName, Item>>>;

/** What choose-shape decides; everything after it is a consequence. */
export interface Shape {
  readonly tiers: "disk-ram" | "disk-ram-vram";
  /** What moves together: whole blocks, or the stages that a block's graph declares. */
  readonly unitSize: UnitSize;
  /** Sequences that move together; one in a generation. */
  readonly microBatch: number;
  /** Positions of a generation's prefill step; 0 in a training, where a step has whole rows. */
  readonly chunk: number;
  /** Units that stay in the compute tier for the whole run. */
  readonly pinned: readonly string[];
  /** Slots of the compute tier that the other units of each class take turns in; fewer where fewer units do. */
  readonly ring: number;
  /** Units that the compute tier streams but ram keeps; empty with two tiers. */
  readonly ramPinned: readonly string[];
  /** Places of ram that other streamed units take turns in; empty with two tiers. */
  readonly ramRings: readonly RamRing[];
  /** Places of ram that units pass through on their way from disk to vram, tensor by tensor; 0 with two tiers. */
  readonly passing: number;
  /** How many forwards (of a unit with a micro-batch), the last of a step, keep their activations where they compute. */
  readonly keep: number;
  /** How many of the others keep theirs in ram (kept.ts); 0 with two tiers. What is not kept is recomputed. */
  readonly keepInRam: number;
  /** How many of the first blocks put their input aside in ram until their backward; 0 with two tiers. */
  readonly offload: number;
  /** Whether vram holds the whole adapter, or each block's part only while the block runs. */
  readonly adapter: "resident" | "streamed";
  readonly embedding: "gather" | "resident";
}

/** Places of ram for a range of the bytes of each unit of a class. The ranges of a class's rings are disjoint. */
export interface RamRing {
  readonly unitClass: string;
  /** Bytes of a slot, from the first of a tensor to the first of another, or to the end. */
  readonly from: number;
  readonly to: number;
  readonly slots: number;
}

export type UnitSize = "block" | "stage";

/** After expand-step. */
export interface Expanded {
  readonly shape: Shape;
  readonly values: readonly Value[];
  readonly procedures: readonly PlanProcedure[];
  readonly programs: Programs<readonly Task[]>;
  /** The program whose steady part a run repeats; its prologue comes before every other program. */
  readonly cycle: ProgramName;
  /** How a step goes through the blocks: up and down again, or round and round. */
  readonly order: "there and back" | "round";
  /** What its prologue does once the weights are there, such as the first copies of the adapter to vram. */
  readonly beginning: readonly Task[];
}

/** After residency and prefetch: what each slot holds when the steady part of any program starts and ends. */
export interface Resident extends Expanded {
  readonly residency: Residency;
}

export interface TaskParts {
  readonly prologue: readonly Task[];
  readonly steady: readonly Task[];
  readonly epilogue: readonly Task[];
}

/** After roll. */
export interface Rolled extends Resident {
  readonly parts: Programs<TaskParts>;
}

export interface ArenaLayout {
  readonly bytes: number;
  readonly maxLive: number;
}

/** With the lifetime of every value, but not its place. */
export interface Lived extends Rolled {
  readonly buffers: readonly Omit<PlanBuffer, "offset">[];
}

/** After layout. */
export interface LaidOut extends Lived {
  readonly buffers: readonly PlanBuffer[];
  readonly arenas: Readonly<Record<ArenaName, ArenaLayout>>;
}

export interface SyncedTask {
  readonly task: Task;
  readonly waits: readonly Wait[];
}

export interface SyncedParts {
  readonly prologue: readonly SyncedTask[];
  readonly steady: readonly SyncedTask[];
  readonly epilogue: readonly SyncedTask[];
}

/** After sync. */
export interface Synced extends LaidOut {
  readonly synced: Programs<SyncedParts>;
}
