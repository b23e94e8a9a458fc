/**
 * The places of weights, and how a unit gets to one of them: with two tiers read from disk; with three copied from its
 * place in ram, into which it may have to be read, or read and copied tensor by tensor through the few that it passes
 * through.
 */
import type { ArenaName, ProgramName, Residency } from "../../schemas/plan.ts";
import { ALIGNMENT } from "./procedure.ts";
import { type Route, ringsOf, ringValues } from "./ram-rings.ts";
import type { Programs, Shape, Task, Value } from "./schedule.ts";
import { halfTransfers, rangeTransfer, type Transfer, type Units, wholeTransfer } from "./units.ts";
import {
  at,
  computeArena,
  passingBytes,
  passingSlot,
  pinnedSlot,
  ramPinnedSlot,
  ringSlot,
  slotBytes,
} from "./values.ts";

export interface Bringing {
  /** What the loads' ids end with. */
  readonly id: string;
  readonly evicts: string | null;
  readonly program: ProgramName;
}

/** Some consecutive parts of a unit on their way through a place in ram; `null`: one that they pass through. */
interface Move {
  readonly transfer: Transfer;
  readonly slot: string | null;
  readonly reads: boolean;
  readonly evicts: string | null;
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
    const gathered = shape.embedding === "gather" ? [units.embedding] : [];
    this.#passingBytes = passingBytes(units, new Set([...this.#inRam, ...gathered]));
    for (const unit of shape.pinned)
      this.#declare(pinnedSlot(unit), computeArena(shape), this.#bytes(unit), null);
    for (const unit of shape.ramPinned) this.#declare(ramPinnedSlot(unit), "ram", this.#bytes(unit), null);
    for (const unitClass of units.classes.keys()) {
      for (const { id, bytes } of ringValues(ringsOf(shape, unitClass))) {
        this.#declare(id, "ram", bytes, null);
      }
    }
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

  /** The loads that bring a unit to a place where kernels compute; `routes` tell how its bytes come through ram. */
  bring(unit: string, to: string, routes: readonly Route[], bringing: Bringing): readonly Task[] {
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
    const tensors = this.#units.throughRam.get(unit)!.transfers;
    const moves = routes.flatMap((route): readonly Move[] =>
      route.slot === null
        ? tensors
            .filter(({ from }) => route.from <= from && from < route.to)
            .map((transfer) => ({ transfer, slot: null, reads: true, evicts: null }))
        : [{ ...route, transfer: rangeTransfer(whole, route) }],
    );
    return moves.flatMap(({ transfer, slot, reads, evicts }, index) => {
      const numbered = { ...transfer, suffix: moves.length === 1 ? "" : `/${index + 1}` };
      const place = at(slot ?? this.#passing(bringing.program), -transfer.from);
      const copy = this.#copy(unit, numbered, place, to, bringing);
      return reads ? [this.#read(unit, numbered, place, 0, { ...bringing, evicts }), copy] : [copy];
    });
  }

  /** Reads what a place of ram keeps into it. */
  keep({ unit, buffer, part }: Residency[number], bringing: Bringing): readonly Task[] {
    const whole = this.#units.byId.get(unit)!;
    const { from, bytes } = part ?? { from: 0, bytes: whole.bytes };
    const range = { from, to: from + bytes };
    const place = at(buffer, -range.from);
    const suffix = part === undefined ? "" : `/${from}`;
    return [this.#read(unit, { ...rangeTransfer(whole, range), suffix }, place, 0, bringing)];
  }

  /** The next of the places that units pass through. */
  #passing(program: ProgramName): string {
    const slot = `${passingSlot(this.#turn++ % this.#shape.passing)}@${program}`;
    this.#declare(slot, "ram", this.#passingBytes, program);
    return slot;
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
      parts: place.offset === 0 ? parts : parts.map((part) => ({ ...part, at: part.at + place.offset })),
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
