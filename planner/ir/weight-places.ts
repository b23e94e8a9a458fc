/**
 * The places of weights, and how a unit gets to one of them: with two tiers read from disk; with three copied from the
 * place in ram that keeps it, or read and copied tensor by tensor through the few that it passes through.
 */
import type { ArenaName, ProgramName } from "../../schemas/plan.ts";
import { alignUp } from "../../schemas/units.ts";
import { ALIGNMENT } from "./procedure.ts";
import type { Programs, Shape, Task, Value } from "./schedule.ts";
import {
  halfTransfers,
  largestTransfer,
  type Transfer,
  tensorTransfers,
  type Units,
  wholeTransfer,
} from "./units.ts";
import { at, computeArena, passingSlot, pinnedSlot, ramPinnedSlot, ringSlot, slotBytes } from "./values.ts";

export interface Bringing {
  /** What the loads' ids end with. */
  readonly id: string;
  readonly evicts: string | null;
  readonly program: ProgramName;
}

export class WeightPlaces {
  readonly #shape: Shape;
  readonly #units: Units;
  readonly #inRam: ReadonlySet<string>;
  readonly #values = new Map<string, Value>();
  readonly #passingBytes: number;
  #turn = 0;

  constructor(shape: Shape, units: Units) {
    this.#shape = shape;
    this.#units = units;
    this.#inRam = new Set(shape.ramPinned);
    const passing = units.all.filter(({ id, kind }) => kind !== "embedding" && !this.#inRam.has(id));
    this.#passingBytes = Math.max(0, ...passing.map((unit) => alignUp(largestTransfer(unit), ALIGNMENT)));
    for (const unit of shape.pinned)
      this.#declare(pinnedSlot(unit), computeArena(shape), this.#bytes(unit), null);
    for (const unit of shape.ramPinned) this.#declare(ramPinnedSlot(unit), "ram", this.#bytes(unit), null);
  }

  get values(): readonly Value[] {
    return [...this.#values.values()];
  }

  /** Declares the slots of a class that a program uses. */
  declareRing(
    ring: {
      readonly unitClass: string;
      readonly lasting: boolean;
      readonly slots: readonly unknown[];
      readonly loads: Programs<readonly { readonly slot: number }[]>;
    },
    program: ProgramName,
  ): void {
    const arena = computeArena(this.#shape);
    const bytes = slotBytes(this.#units, ring.unitClass);
    const used = new Set(ring.loads[program]!.map(({ slot }) => slot));
    ring.slots.forEach((_, slot) => {
      const id = ringSlot(ring.unitClass, slot);
      if (ring.lasting) this.#declare(id, arena, bytes, null);
      else if (used.has(slot)) this.#declare(`${id}@${program}`, arena, bytes, program);
    });
  }

  /** The loads that bring a unit to a place where kernels compute. */
  bring(unit: string, to: string, bringing: Bringing): readonly Task[] {
    const whole = this.#units.byId.get(unit)!;
    if (this.#shape.tiers === "disk-ram") {
      return halfTransfers(whole).map((transfer, index) =>
        this.#read(unit, transfer, at(to), index, bringing),
      );
    }
    if (this.#inRam.has(unit)) {
      return wholeTransfer(whole).map((transfer) =>
        this.#copy(unit, transfer, at(ramPinnedSlot(unit)), to, bringing),
      );
    }
    return tensorTransfers(whole).flatMap((transfer) => {
      const slot = `${passingSlot(this.#turn++ % this.#shape.passing)}@${bringing.program}`;
      this.#declare(slot, "ram", this.#passingBytes, bringing.program);
      const passing = at(slot, -transfer.from);
      const brought = { ...bringing, evicts: null };
      return [
        this.#read(unit, transfer, passing, 0, brought),
        this.#copy(unit, transfer, passing, to, bringing),
      ];
    });
  }

  /** Reads a unit to the place in ram that keeps it. */
  keep(unit: string, bringing: Bringing): readonly Task[] {
    const [transfer] = wholeTransfer(this.#units.byId.get(unit)!);
    return [this.#read(unit, transfer!, at(ramPinnedSlot(unit)), 0, bringing)];
  }

  /** `place` is where the unit's first byte stands, or would stand if all of it were there. */
  #read(
    unit: string,
    { parts, suffix }: Transfer,
    place: { buffer: string; offset: number },
    index: number,
    { id, evicts }: Bringing,
  ): Task {
    return {
      kind: "read",
      id: `read/${id}${suffix}`,
      lane: "disk",
      unit,
      parts: parts.map((part) => ({ ...part, at: part.at + place.offset })),
      evicts: index === 0 ? evicts : null,
      to: place.buffer,
    };
  }

  #copy(
    unit: string,
    { suffix, from, bytes }: Transfer,
    place: { buffer: string; offset: number },
    to: string,
    { id }: Bringing,
  ): Task {
    const ends = { from: at(place.buffer, place.offset + from), to: at(to, from) };
    return { kind: "copy", id: `copy/${id}${suffix}`, lane: "h2d", ...ends, bytes, unit };
  }

  #bytes(unit: string): number {
    return this.#units.byId.get(unit)!.bytes;
  }

  #declare(id: string, arena: ArenaName, bytes: number, program: ProgramName | null): void {
    if (this.#values.has(id)) return;
    this.#values.set(id, { id, arena, bytes, alignment: ALIGNMENT, holds: "weights", program });
  }
}
