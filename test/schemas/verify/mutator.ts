/**
 * A mutator is a way to spoil a plan: it names the sites it fits and the codes of which at least one must be raised.
 * Mutants are made on a copy and then declare truthfully what they have become, so that neither the plan's digest nor
 * its own bookkeeping gives them away; only `raw` mutators, whose point is a false declaration, are merely sealed.
 */
import type { Instruction, Plan, PlanCall, PlanOperand } from "../../../schemas/plan.ts";
import type { VerifyCode } from "../../../schemas/verify/check.ts";
import { parts, programs, redeclare, seal } from "./naive.ts";

export interface Site {
  readonly at: string;
  readonly apply: (plan: Plan) => void;
}

export interface Mutator {
  readonly name: string;
  readonly codes: readonly VerifyCode[];
  readonly sites: (plan: Plan) => readonly Site[];
  /** The mutant goes on saying what the plan said before. */
  readonly raw?: true;
  /** Not even the digests are brought up to date. */
  readonly unsealed?: true;
  /** Says that a mutant means the same as the plan; the verifier must then accept it. */
  readonly equivalent?: (mutant: Plan, plan: Plan) => boolean;
}

export function mutate(plan: Plan, mutator: Mutator, site: Site): Plan {
  const mutant = structuredClone(plan);
  site.apply(mutant);
  if (!mutator.raw && !mutator.unsealed) redeclare(mutant);
  else if (!mutator.unsealed) seal(mutant);
  return mutant;
}

/** An instruction's position, valid in every copy of the plan. */
export interface Where {
  readonly program: (typeof programs)[number];
  readonly part: (typeof parts)[number];
  readonly i: number;
}

export function find(plan: Plan, { program, part, i }: Where): Instruction {
  return plan.programs[program][part][i]!;
}

export function everywhere(plan: Plan): (Where & { instruction: Instruction; position: number })[] {
  return programs.flatMap((program) => {
    let position = 0;
    return parts.flatMap((part) =>
      plan.programs[program][part].map((instruction, i) => ({
        program,
        part,
        i,
        instruction,
        position: position++,
      })),
    );
  });
}

type OfKind<Kind extends Instruction["kind"]> = Extract<Instruction, { kind: Kind }>;

/** One site for each instruction of a kind for which `edit` offers a change. */
export function instructionSites<Kind extends Instruction["kind"]>(
  kind: Kind,
  edit: (
    instruction: OfKind<Kind>,
    plan: Plan,
  ) => ((instruction: OfKind<Kind>, plan: Plan) => void) | undefined,
): Mutator["sites"] {
  return (plan) =>
    everywhere(plan).flatMap(({ instruction, ...where }) => {
      if (instruction.kind !== kind) return [];
      const change = edit(instruction as OfKind<Kind>, plan);
      if (!change) return [];
      return [
        {
          at: instruction.id,
          apply: (copy) => change(find(copy, where) as OfKind<Kind>, copy),
        } satisfies Site,
      ];
    });
}

/** One site for each call for which `edit` offers a change. */
export function callSites(
  edit: (
    call: PlanCall,
    context: { plan: Plan; procedure: number; index: number },
  ) => ((call: PlanCall) => void) | undefined,
): Mutator["sites"] {
  return (plan) =>
    plan.procedures.flatMap(({ id, calls }, procedure) =>
      calls.flatMap((call, index) => {
        const change = edit(call, { plan, procedure, index });
        if (!change) return [];
        const at = `${id}, call ${index} (${call.op})`;
        return [{ at, apply: (copy: Plan) => change(copy.procedures[procedure]!.calls[index]!) }];
      }),
    );
}

/** One site for each operand of each call for which `edit` offers a change. */
export function operandSites(
  edit: (operand: PlanOperand, name: string, call: PlanCall) => ((operand: PlanOperand) => void) | undefined,
): Mutator["sites"] {
  return (plan) =>
    plan.procedures.flatMap(({ id, calls }, procedure) =>
      calls.flatMap((call, index) =>
        Object.entries(call.operands).flatMap(([name, operand]) => {
          const change = edit(operand, name, call);
          if (!change) return [];
          const at = `${id}, call ${index} (${call.op}.${name})`;
          return [
            { at, apply: (copy: Plan) => change(copy.procedures[procedure]!.calls[index]!.operands[name]!) },
          ];
        }),
      ),
    );
}

/** One site for each item of one of the plan's lists for which `edit` offers a change. */
export function itemSites<
  Key extends
    | "buffers"
    | "units"
    | "tensors"
    | "parameters"
    | "procedures"
    | "bounds"
    | "sinks"
    | "residency"
    | "step_inputs"
    | "step_outputs",
>(
  key: Key,
  edit: (
    item: Plan[Key][number],
    plan: Plan,
    i: number,
  ) => ((item: Plan[Key][number], plan: Plan) => void) | undefined,
): Mutator["sites"] {
  return (plan) =>
    (plan[key] as Plan[Key][number][]).flatMap((item, i) => {
      const change = edit(item, plan, i);
      return change
        ? [{ at: `${key}[${i}]`, apply: (copy: Plan) => change(copy[key][i] as Plan[Key][number], copy) }]
        : [];
    });
}

/** A single site. */
export function once(
  at: string,
  apply: (plan: Plan) => void,
  fits: (plan: Plan) => boolean = () => true,
): Mutator["sites"] {
  return (plan) => (fits(plan) ? [{ at, apply }] : []);
}
