/**
 * What no replacement policy can better, found by trying all: the least that has to be loaded per repetition of a
 * touch sequence that repeats for ever. States are what memory holds; the best policy is the cycle of least mean cost
 * (Karp 1978) among the ways from state to state over one repetition. Only for a handful of units.
 */

/** Whatever memory holds at one moment, as text; and what one touch makes of it, each with its cost. */
type Touch = (state: string) => readonly { readonly state: string; readonly cost: number }[];

export interface Sized {
  readonly unit: string;
  readonly bytes: number;
}

/** Fewest bytes into one memory of `capacity` bytes that holds whole units. */
export function leastBytes(cycle: readonly Sized[], capacity: number): number {
  const bytes = new Map(cycle.map(({ unit, bytes: size }) => [unit, size]));
  const size = (units: readonly string[]) => units.reduce((sum, unit) => sum + bytes.get(unit)!, 0);
  const touches = cycle.map(
    ({ unit }): Touch =>
      (state) => {
        const held = unitsOf(state);
        if (held.includes(unit)) return [{ state, cost: 0 }];
        return subsets(held)
          .map((kept) => [...kept, unit])
          .filter((units) => size(units) <= capacity)
          .map((units) => ({ state: textOf(units), cost: bytes.get(unit)! }));
      },
  );
  return leastMeanCost(touches, textOf([]));
}

/**
 * Fewest reads from disk when what is touched has to be in one of `near` slots, may come there from one of `far`
 * slots, and cannot go back: a unit that leaves the near memory is in the far one only if it stayed there.
 */
export function leastReads(cycle: readonly string[], near: number, far: number): number {
  const touches = cycle.map(
    (unit): Touch =>
      (state) => {
        const [here = "", there = ""] = state.split("|");
        if (unitsOf(here).includes(unit)) return [{ state, cost: 0 }];
        const nearer = withOneMore(unitsOf(here), unit, near);
        if (unitsOf(there).includes(unit))
          return nearer.map((units) => ({ state: `${units}|${there}`, cost: 0 }));
        const farther = [there, ...(far > 0 ? withOneMore(unitsOf(there), unit, far) : [])];
        return nearer.flatMap((a) => farther.map((b) => ({ state: `${a}|${b}`, cost: 1 })));
      },
  );
  return leastMeanCost(touches, "|");
}

function withOneMore(held: readonly string[], unit: string, slots: number): readonly string[] {
  if (held.length < slots) return [textOf([...held, unit])];
  return held.map((victim) => textOf([...held.filter((other) => other !== victim), unit]));
}

function leastMeanCost(touches: readonly Touch[], start: string): number {
  const edges = new Map<string, ReadonlyMap<string, number>>();
  for (const open = [start]; open.length > 0; ) {
    const from = open.pop()!;
    if (edges.has(from)) continue;
    const after = repetition(touches, from);
    edges.set(from, after);
    open.push(...after.keys());
  }
  return leastMeanCycle(edges);
}

/** The cheapest way to every state that one repetition can end in. */
function repetition(touches: readonly Touch[], from: string): ReadonlyMap<string, number> {
  let costs = new Map([[from, 0]]);
  for (const touch of touches) {
    const next = new Map<string, number>();
    for (const [state, cost] of costs) {
      for (const after of touch(state)) {
        const total = cost + after.cost;
        if (total < (next.get(after.state) ?? Number.POSITIVE_INFINITY)) next.set(after.state, total);
      }
    }
    costs = next;
  }
  return costs;
}

function leastMeanCycle(edges: ReadonlyMap<string, ReadonlyMap<string, number>>): number {
  const states = [...edges.keys()];
  const walks = [new Map(states.map((state) => [state, 0]))];
  for (let length = 1; length <= states.length; length++) {
    const next = new Map<string, number>();
    for (const [from, cost] of walks[length - 1]!) {
      for (const [to, edge] of edges.get(from)!) {
        next.set(to, Math.min(next.get(to) ?? Number.POSITIVE_INFINITY, cost + edge));
      }
    }
    walks.push(next);
  }
  const means = states.map((state) => {
    const longest = walks[states.length]!.get(state) ?? Number.POSITIVE_INFINITY;
    return Math.max(
      ...walks
        .slice(0, -1)
        .map(
          (costs, length) =>
            (longest - (costs.get(state) ?? Number.POSITIVE_INFINITY)) / (states.length - length),
        )
        .filter((mean) => !Number.isNaN(mean)),
    );
  });
  return Math.min(...means);
}

function unitsOf(state: string): readonly string[] {
  return state === "" ? [] : state.split(" ");
}

function textOf(units: readonly string[]): string {
  return units.toSorted().join(" ");
}

function subsets([first, ...rest]: readonly string[]): readonly (readonly string[])[] {
  if (first === undefined) return [[]];
  const without = subsets(rest);
  return [...without, ...without.map((others) => [first, ...others])];
}
