/**
 * The engine, typed: the only file that imports the native module.
 *
 * An engine loads one plan and then runs parts of its programs, one at a time. Reading and writing arena bytes is for
 * the time between runs. `close` may be called at any moment, also twice: it cancels what runs, waits for it and frees
 * the arenas; every later call is refused. All failures are DiagnosticErrors.
 */
import { DiagnosticError, diagnostic, invariant } from "../schemas/diagnostic.ts";
import type { LaneName, Place, PlanProgram, ProgramName } from "../schemas/plan.ts";
import type { RunRecord } from "../schemas/run.ts";
import { type EnginePlan, encodePlan, encodeRun } from "./encode.ts";
import {
  deviceBuild,
  type LoadedInfo,
  loadModule,
  moduleInfo,
  type NativeEngine,
  nativeDevice,
  type RunStats,
  toDiagnostic,
} from "./native-module.ts";

export {
  type DeviceBackend,
  findModule,
  type LoadedInfo,
  type ModuleInfo,
  moduleInfo,
  type NativeDevice,
  nativeDevice,
  PLATFORM_PACKAGE,
  type RunStats,
} from "./native-module.ts";

/** `reference`: plain loops, for comparison. `cuda-emulated`: the device's code on the processor, for tests. */
export type Backend = "cpu" | "reference" | "cuda" | "cuda-emulated";

/** What a run's bits depend on beside its plan. */
export type Machine = Pick<RunRecord, "backend" | "device" | "build">;

/** Throws `run.no-addon`, `run.addon-mismatch` and `run.no-device`. */
export function machineOf(backend: Backend): Machine {
  if (backend === "cpu" || backend === "reference") {
    const { device, build } = moduleInfo();
    return { backend, device, build };
  }
  const { name, capability, products } = nativeDevice(backend);
  return {
    backend,
    device: `${name} (sm_${capability}${products === "" ? "" : `, ${products}`})`,
    build: deviceBuild(backend),
  };
}

export interface EngineOptions {
  readonly backend: Backend;
  /** One thread runs all lanes in the plan's serial order: the same bits, no overlap. */
  readonly serialLanes: boolean;
  /** Bytes a second that the disk lane may read; null: no limit. */
  readonly diskThrottle: number | null;
}

export type PartName = keyof PlanProgram;

export interface RunRequest {
  readonly program: ProgramName;
  readonly part: PartName;
  /** Whole step inputs, by name; those not given keep their values. */
  readonly inputs?: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** A file for each sink that the part writes; `base`: where its payload begins. */
  readonly sinks?: readonly { readonly sink: string; readonly path: string; readonly base: number }[];
  /** fsync the sinks before the promise resolves. */
  readonly sync?: boolean;
}

/** When an instruction of the last run began and ended, in nanoseconds since the run began. */
export interface InstructionSpan {
  readonly id: string;
  readonly lane: LaneName;
  readonly start: number;
  /** Null when the run failed or was stopped before it ended. */
  readonly end: number | null;
  /** Time inside [start, end) that it waited for other lanes. */
  readonly waited: number;
}

export interface Engine {
  /** Allocates the arenas, opens the files (id → path) and prepares every call. */
  load(plan: EnginePlan, paths: ReadonlyMap<string, string>): Promise<LoadedInfo>;
  run(request: RunRequest): Promise<RunStats>;
  readTensor(place: Place, bytes: number): Uint8Array;
  writeTensor(place: Place, bytes: Uint8Array): void;
  /** SHA-256 of each range of the ram arena, one after the other. */
  digest(ranges: readonly { readonly at: Place; readonly bytes: number }[]): Promise<Uint8Array>;
  trace(): readonly InstructionSpan[];
  /** Bytes in use on the device now, by whomever; 0: no device. */
  deviceBytes(): number;
  /** Stops the run under way, if there is one: its promise rejects with `run.cancelled`. */
  cancel(): void;
  close(): void;
}

/** Reads at once; more help no disk, and each costs a thread. */
const DISK_WORKERS = 4;

/** Throws `run.no-addon`. */
export function openEngine({ backend, serialLanes, diskThrottle }: EngineOptions): Engine {
  const { Engine } = loadModule();
  return new LoadedEngine(
    new Engine({ backend, serialLanes, diskWorkers: DISK_WORKERS, diskThrottle: diskThrottle ?? 0 }),
  );
}

class LoadedEngine implements Engine {
  #native: NativeEngine | null;
  #plan: EnginePlan | null = null;
  #buffers: ReadonlyMap<string, number> = new Map();
  #last: { readonly program: ProgramName; readonly part: PartName } | null = null;

  constructor(native: NativeEngine) {
    this.#native = native;
    process.once("exit", this.#atExit);
  }

  /** Node waits for its thread pool before a process ends, and so for a run that nobody will hear of. */
  readonly #atExit = (): void => this.cancel();

  async load(plan: EnginePlan, paths: ReadonlyMap<string, string>): Promise<LoadedInfo> {
    const files = plan.inputs.files.map(({ id }) => {
      const path = paths.get(id);
      invariant(path !== undefined, `no path for the plan's file ${id}`);
      return path;
    });
    const info = await this.#ask((native) => native.load(encodePlan(plan), files));
    this.#plan = plan;
    this.#buffers = new Map(plan.buffers.map(({ id }, index) => [id, index]));
    return info;
  }

  async run(request: RunRequest): Promise<RunStats> {
    const plan = this.#loaded();
    this.#last = { program: request.program, part: request.part };
    return this.#ask((native) => native.run(encodeRun(plan, request)));
  }

  readTensor({ buffer, offset }: Place, bytes: number): Uint8Array {
    return this.#tell((native) => native.readTensor(this.#buffer(buffer), offset, bytes));
  }

  writeTensor({ buffer, offset }: Place, bytes: Uint8Array): void {
    this.#tell((native) => native.writeTensor(this.#buffer(buffer), offset, bytes));
  }

  digest(ranges: readonly { readonly at: Place; readonly bytes: number }[]): Promise<Uint8Array> {
    const flat = ranges.flatMap(({ at, bytes }) => [this.#buffer(at.buffer), at.offset, bytes]);
    return this.#ask((native) => native.digest(Float64Array.from(flat)));
  }

  trace(): readonly InstructionSpan[] {
    if (this.#last === null) return [];
    const { program, part } = this.#last;
    const times = this.#tell((native) => native.trace());
    return this.#loaded().programs[program]![part].map(({ id, lane }, index) => {
      const [start = 0, end = 0, waited = 0] = times.subarray(3 * index, 3 * index + 3);
      return { id, lane, start, end: end === 0 ? null : end, waited };
    });
  }

  deviceBytes(): number {
    return this.#tell((native) => native.deviceBytes());
  }

  cancel(): void {
    this.#native?.cancel();
  }

  close(): void {
    process.off("exit", this.#atExit);
    this.#native?.close();
    this.#native = null;
  }

  #loaded(): EnginePlan {
    if (this.#plan === null) throw misuse("No plan is loaded.");
    return this.#plan;
  }

  #buffer(id: string): number {
    const index = this.#buffers.get(id);
    invariant(index !== undefined, `the plan has no buffer ${id}`);
    return index;
  }

  #tell<Result>(call: (native: NativeEngine) => Result): Result {
    if (this.#native === null) throw misuse("The engine is closed.");
    try {
      return call(this.#native);
    } catch (error) {
      throw toDiagnostic(error);
    }
  }

  async #ask<Result>(call: (native: NativeEngine) => Promise<Result>): Promise<Result> {
    try {
      return await this.#tell(call);
    } catch (error) {
      throw toDiagnostic(error);
    }
  }
}

function misuse(summary: string): DiagnosticError {
  return new DiagnosticError(diagnostic("run.engine", { summary }));
}
