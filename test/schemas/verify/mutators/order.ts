/** Waits, and the order and number of instructions. */
import type { Instruction, Plan } from "../../../../schemas/plan.ts";
import { everywhere, find, instructionSites, type Mutator, type Site, type Where } from "../mutator.ts";
import { allUnorderedPairs, declaredEffects, parts, weightsInPlace } from "../naive.ts";

const ordered = (mutant: Plan) => allUnorderedPairs(mutant).length === 0;

/** One site for each wait that passes the filter. */
function waitSites(
  fits: (wait: Instruction["waits"][number], plan: Plan, instruction: Instruction) => boolean,
  change: (instruction: Instruction, wait: number, plan: Plan, where: Where) => void,
): Mutator["sites"] {
  return (plan) =>
    everywhere(plan).flatMap(({ instruction, ...where }) =>
      instruction.waits.flatMap((wait, w): Site[] => {
        if (!fits(wait, plan, instruction)) return [];
        const at = `${instruction.id} waits for ${wait.on} at ${wait.at}`;
        return [{ at, apply: (copy) => change(find(copy, where), w, copy, where) }];
      }),
    );
}

const callsOf = (plan: Plan, instruction: Instruction) =>
  instruction.kind === "run"
    ? plan.procedures.find(({ id }) => id === instruction.procedure)!.calls.length
    : 1;

/** After a change of length the lifetimes move along with the instructions. */
function shiftLifetimes(plan: Plan, { program, part, i }: Where, by: number): void {
  const position = parts
    .slice(0, parts.indexOf(part))
    .reduce((sum, before) => sum + plan.programs[program][before].length, i);
  for (const { lifetime } of plan.buffers) {
    if (lifetime?.program !== program) continue;
    if (lifetime.start > position) lifetime.start += by;
    if (lifetime.end > position) lifetime.end += by;
    if (lifetime.end <= lifetime.start) lifetime.end = lifetime.start + 1;
  }
}

function overlap(a: ReturnType<typeof declaredEffects>["reads"], b: typeof a): boolean {
  return a.some((x) =>
    b.some((y) => x.buffer === y.buffer && x.offset < y.offset + y.bytes && y.offset < x.offset + x.bytes),
  );
}

/** The mutant differs in loads of weights only. */
function sameWork(mutant: Plan, plan: Plan): boolean {
  const work = (one: Plan) =>
    everywhere(one)
      .filter(({ instruction: i }) => !(i.kind === "read" || (i.kind === "copy" && i.unit !== null)))
      .map(({ instruction }) => instruction.id);
  return work(mutant).join() === work(plan).join();
}

const anyMeaning = [
  "verify.contents",
  "verify.undefined-read",
  "verify.semantics",
  "verify.optimizer",
  "verify.residency",
  "verify.state",
  "verify.sink",
] as const;

export const orderMutators: readonly Mutator[] = [
  {
    name: "drop a wait",
    codes: ["verify.race"],
    equivalent: ordered,
    sites: waitSites(
      ({ at }) => at === 0,
      ({ waits }, w) => waits.splice(w, 1),
    ),
  },
  {
    name: "drop a wait inside a procedure",
    codes: ["verify.race"],
    equivalent: ordered,
    sites: waitSites(
      ({ at }) => at > 0,
      ({ waits }, w) => waits.splice(w, 1),
    ),
  },
  {
    name: "wait one call too late",
    codes: ["verify.race"],
    equivalent: ordered,
    sites: waitSites(
      ({ at }, plan, instruction) => at + 1 < callsOf(plan, instruction),
      ({ waits }, w) => {
        waits[w]!.at++;
      },
    ),
  },
  {
    name: "wait for the instruction before the right one",
    codes: ["verify.race", "verify.wait"],
    equivalent: ordered,
    sites: waitSites(
      () => true,
      ({ waits }, w, plan, { program, part }) => {
        const list = plan.programs[program][part];
        const on = list.findIndex(({ id }) => id === waits[w]!.on);
        const before = list.slice(0, on).findLast(({ lane }) => lane === list[on]!.lane);
        if (before) waits[w]!.on = before.id;
        else waits.splice(w, 1);
      },
    ),
  },
  {
    name: "wait past the last call",
    codes: ["verify.wait"],
    sites: waitSites(
      () => true,
      (instruction, w, plan) => {
        instruction.waits[w]!.at = callsOf(plan, instruction);
      },
    ),
  },
  {
    name: "wait forwards",
    codes: ["verify.wait"],
    sites: waitSites(
      () => true,
      ({ waits }, w, plan, { program, part, i }) => {
        waits[w]!.on = plan.programs[program][part].at(i + 1)?.id ?? waits[w]!.on.concat("/later");
      },
    ),
  },
  {
    name: "wait for oneself",
    codes: ["verify.wait"],
    sites: waitSites(
      () => true,
      ({ id, waits }, w) => {
        waits[w]!.on = id;
      },
    ),
  },
  {
    name: "run on the other lane",
    codes: ["verify.race", "verify.lane"],
    // Both lanes see ram; the host does not see vram.
    equivalent: (mutant) => mutant.shape.compute_arena === "ram" && ordered(mutant),
    sites: instructionSites("run", () => (instruction) => {
      instruction.lane = instruction.lane === "compute" ? "host" : "compute";
    }),
  },
  {
    name: "swap dependent neighbours of a lane",
    codes: [...anyMeaning, "verify.wait", "verify.dtype"],
    sites: (plan) =>
      everywhere(plan).flatMap(({ instruction, ...where }): Site[] => {
        const list = plan.programs[where.program][where.part];
        const next = list[where.i + 1];
        if (!next || next.lane !== instruction.lane) return [];
        const { writes } = declaredEffects(plan, instruction);
        if (!overlap(writes, declaredEffects(plan, next).reads)) return [];
        return [
          {
            at: `${instruction.id} ↔ ${next.id}`,
            apply: (copy) => {
              const own = copy.programs[where.program][where.part];
              own.splice(where.i, 2, own[where.i + 1]!, own[where.i]!);
            },
          },
        ];
      }),
  },
  {
    name: "drop an instruction",
    codes: anyMeaning,
    // Some loads bring only what is already there.
    equivalent: (mutant, plan) => sameWork(mutant, plan) && weightsInPlace(mutant),
    sites: (plan) =>
      everywhere(plan).map(({ instruction, ...where }) => ({
        at: instruction.id,
        apply: (copy) => {
          const list = copy.programs[where.program][where.part];
          shiftLifetimes(copy, where, -1);
          list.splice(where.i, 1);
          for (const other of list) {
            const inherited = other.waits.filter(({ on }) => on === instruction.id);
            // What waited for it waits for what it waited for, so that no race stands in for its absence.
            for (const { at } of inherited)
              other.waits.push(...instruction.waits.map(({ on }) => ({ on, at })));
            other.waits = other.waits.filter(({ on }) => on !== instruction.id);
          }
        },
      })),
  },
  {
    name: "do work twice",
    codes: ["verify.semantics", "verify.optimizer", "verify.sink"],
    sites: (plan) =>
      everywhere(plan).flatMap(({ instruction, ...where }): Site[] => {
        const counted =
          instruction.kind === "gather" ||
          instruction.kind === "write" ||
          (instruction.kind === "run" &&
            (instruction.unit !== null ||
              plan.parameters.some(({ value, gradient }) => {
                return declaredEffects(plan, instruction).writes.some((range) =>
                  [value, gradient].some(
                    ({ buffer, offset }) =>
                      range.buffer === buffer &&
                      range.offset <= offset &&
                      offset < range.offset + range.bytes,
                  ),
                );
              })));
        if (!counted) return [];
        return [
          {
            at: instruction.id,
            apply: (copy) => {
              const again = { ...structuredClone(instruction), id: `${instruction.id}/again` };
              shiftLifetimes(copy, where, 1);
              copy.programs[where.program][where.part].splice(where.i + 1, 0, again);
            },
          },
        ];
      }),
  },
  {
    name: "swap micro-batches",
    codes: ["verify.semantics"],
    sites: (plan) =>
      everywhere(plan).flatMap(({ instruction, ...where }): Site[] => {
        const next = plan.programs[where.program][where.part][where.i + 1];
        if (instruction.kind !== "run" || next?.kind !== "run" || instruction.unit === null) return [];
        if (instruction.procedure !== next.procedure || instruction.unit !== next.unit) return [];
        return [
          {
            at: `${instruction.id} ↔ ${next.id}`,
            apply: (copy) => {
              const [a, b] = [find(copy, where), find(copy, { ...where, i: where.i + 1 })];
              if (a.kind === "run" && b.kind === "run") [a.bind, b.bind] = [b.bind, a.bind];
            },
          },
        ];
      }),
  },
];
