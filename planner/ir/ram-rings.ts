/**
 * The way of streamed units through ram to vram: which places of ram they take turns in.
 *
 * What vram loads in a step is itself a sequence of touches, of ram. Belady's replacement over it keeps at each turn the
 * units next to those that vram holds, and lets pass what it would only hold until after them: 2(L − k_v − k_r) units of
 * a chain of L come from disk. A place is free as soon as its unit is in vram, long before the unit that takes it is
 * needed, so that the disk reads far ahead. Other programs take what is there and change nothing.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { Residency } from "../../schemas/plan.ts";
import { type Passage, replaceOrPass, type Slots, steadyStateBeside } from "./belady.ts";
import type { RamRing, Shape, Value } from "./schedule.ts";
import { ramRingSlot } from "./values.ts";

/** How a load of vram gets some of the unit's bytes. */
export interface Route {
  readonly from: number;
  readonly to: number;
  /** Place in ram of the first of these bytes; `null` where they pass through. */
  readonly slot: string | null;
  /** Whether they have to be read first. */
  readonly reads: boolean;
  readonly evicts: string | null;
}

/** All of a unit, by the places that units pass through. */
export const passesThrough: readonly Route[] = [
  { from: 0, to: Number.POSITIVE_INFINITY, slot: null, reads: true, evicts: null },
];

/** The rings of one class, and how the loads of its units come through them. */
export class RamRings {
  readonly #cycle: readonly string[];
  readonly #served: readonly ServedRing[];
  /** Bytes of a unit. */
  readonly #bytes: number;

  /** `cycle` are the units that vram loads in the program that repeats, in order, without those that ram keeps. */
  constructor(rings: readonly NamedRing[], bytes: number, cycle: readonly string[]) {
    this.#cycle = cycle;
    this.#served = rings.map((ring) => serve(ring, cycle));
    this.#bytes = bytes;
  }

  get residency(): Residency {
    return this.#served.flatMap(({ ring: { name, from, to }, state }) =>
      state.flatMap((unit, slot) => {
        invariant(unit !== null, `${name} has more slots than units`);
        const resident = { buffer: ramRingSlot(name, slot), unit };
        const whole = from === 0 && to === this.#bytes;
        return [whole ? resident : { ...resident, part: { from, bytes: to - from } }];
      }),
    );
  }

  /** Of each load of the program that repeats, in order: the unit's bytes in order. */
  inTurn(): readonly (readonly Route[])[] {
    return this.#cycle.map((_, load) =>
      this.#routes(this.#served.map(({ ring, passages }) => routeOf(ring, passages[load]!))),
    );
  }

  /** Of a load of another program, which changes nothing in ram. */
  asHeld(unit: string): readonly Route[] {
    return this.#routes(
      this.#served.map(({ ring, state }) => {
        const held = state.indexOf(unit);
        return routeOf(ring, { unit, slot: held < 0 ? null : held, loads: held < 0, evicts: null });
      }),
    );
  }

  /** What no ring has places for passes through. */
  #routes(known: readonly Route[]): readonly Route[] {
    const passing = (from: number, to: number): readonly Route[] =>
      from === to ? [] : [{ from, to, slot: null, reads: true, evicts: null }];
    return [
      ...known.flatMap((route, index) => [...passing(known[index - 1]?.to ?? 0, route.from), route]),
      ...passing(known.at(-1)?.to ?? 0, this.#bytes),
    ];
  }
}

export interface NamedRing extends RamRing {
  readonly name: string;
}

/** The rings of a class, in order of their bytes, named after it and numbered where there are several. */
export function ringsOf({ ramRings }: Shape, unitClass: string): readonly NamedRing[] {
  const own = ramRings.filter((ring) => ring.unitClass === unitClass).toSorted((a, b) => a.from - b.from);
  return own.map((ring, index) => ({
    ...ring,
    name: own.length === 1 ? unitClass : `${unitClass}.${index + 1}`,
  }));
}

/** The places of a class's rings. */
export function ringValues(rings: readonly NamedRing[]): readonly Pick<Value, "id" | "bytes">[] {
  return rings.flatMap(({ name, from, to, slots }) =>
    Array.from({ length: slots }, (_, slot) => ({ id: ramRingSlot(name, slot), bytes: to - from })),
  );
}

interface ServedRing {
  readonly ring: NamedRing;
  /** What its slots hold when a program starts and ends. */
  readonly state: Slots;
  readonly passages: readonly Passage[];
}

function serve(ring: NamedRing, cycle: readonly string[]): ServedRing {
  const state = steadyStateBeside(cycle, ring.slots);
  const { passages, final } = replaceOrPass(cycle, state, cycle);
  invariant(
    final.every((unit, slot) => unit === state[slot]),
    "what ram holds does not come back",
  );
  return { ring, state, passages };
}

function routeOf({ name, from, to }: NamedRing, { slot, loads, evicts }: Passage): Route {
  return { from, to, slot: slot === null ? null : ramRingSlot(name, slot), reads: loads, evicts };
}
