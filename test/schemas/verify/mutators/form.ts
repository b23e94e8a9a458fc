/** Ids, references, digests, false declarations and bounds. */
import type { Plan } from "../../../../schemas/plan.ts";
import { everywhere, find, instructionSites, itemSites, type Mutator, once } from "../mutator.ts";
import { seal } from "../naive.ts";

const lists = ["units", "buffers", "procedures", "sinks"] as const;

export const formMutators: readonly Mutator[] = [
  {
    name: "edit without a new digest",
    codes: ["verify.plan-id"],
    unsealed: true,
    sites: (plan) => [
      { at: "seed", apply: (copy: Plan) => void copy.inputs.seed++ },
      { at: "decisions", apply: (copy: Plan) => void copy.decisions.pop() },
      { at: "steps", apply: (copy: Plan) => void copy.training.steps++ },
      { at: "predictions", apply: (copy: Plan) => void copy.predictions.pop() },
      { at: "plan_id", apply: (copy: Plan) => void Object.assign(copy, { plan_id: plan.estimate_id }) },
    ],
  },
  {
    name: "use another op table",
    codes: ["verify.op-table"],
    sites: once("op_table", (plan) => {
      plan.op_table = `sha256:${"0".repeat(64)}`;
    }),
  },
  {
    name: "come from another major version",
    codes: ["verify.format"],
    sites: once("format_version", (plan) => {
      plan.format_version = "2.0";
    }),
  },
  {
    name: "lose a field",
    codes: ["verify.schema"],
    unsealed: true,
    sites: (plan) =>
      Object.keys(plan)
        .filter((key) => !["format_version", "plan_id", "estimate_id"].includes(key))
        .map((key) => ({ at: key, apply: (copy) => void Reflect.deleteProperty(copy, key) })),
  },
  {
    name: "give two things one id",
    codes: ["verify.duplicate-id"],
    sites: (plan) =>
      lists
        .filter((list) => plan[list].length > 1)
        .map((list) => ({
          at: list,
          apply: (copy) => void Object.assign(copy[list][1]!, { id: copy[list][0]!.id }),
        })),
  },
  {
    name: "give two instructions one id",
    codes: ["verify.duplicate-id"],
    sites: (plan) =>
      everywhere(plan)
        .filter(({ i }) => i > 0)
        .map(({ instruction, ...where }) => ({
          at: instruction.id,
          apply: (copy) =>
            void Object.assign(find(copy, where), { id: find(copy, { ...where, i: where.i - 1 }).id }),
        })),
  },
  {
    name: "rename what others refer to",
    codes: ["verify.reference"],
    raw: true,
    sites: (plan) =>
      (["units", "buffers", "procedures", "sinks"] as const).flatMap((list) =>
        plan[list].map(({ id }, i) => ({
          at: `${list} ${id}`,
          apply: (copy: Plan) => void Object.assign(copy[list][i]!, { id: "renamed" }),
        })),
      ),
  },
  {
    name: "rename a tensor",
    codes: ["verify.reference"],
    sites: itemSites("tensors", () => (tensor) => {
      tensor.name = "renamed";
    }),
  },
  {
    name: "leave a formal unbound",
    codes: ["verify.binding"],
    sites: instructionSites("run", ({ bind }) => {
      const [formal] = Object.keys(bind);
      if (formal === undefined) return undefined;
      return (run) => {
        delete run.bind[formal];
      };
    }),
  },
  {
    name: "run a unit without its name",
    codes: ["verify.binding"],
    sites: instructionSites("run", ({ unit }) =>
      unit === null
        ? undefined
        : (run) => {
            run.unit = null;
          },
    ),
  },
  {
    name: "hide an effect",
    codes: ["verify.effects"],
    raw: true,
    sites: (plan) =>
      everywhere(plan).flatMap(({ instruction, ...where }) =>
        (["reads", "writes"] as const).flatMap((key) =>
          instruction[key].length === 0
            ? []
            : [{ at: `${instruction.id}.${key}`, apply: (copy: Plan) => void find(copy, where)[key].pop() }],
        ),
      ),
  },
  {
    name: "declare too few bytes",
    codes: ["verify.bytes", "verify.effects"],
    raw: true,
    sites: (plan) =>
      everywhere(plan).flatMap(({ instruction, ...where }) =>
        instruction.bytes === 0
          ? []
          : [{ at: instruction.id, apply: (copy: Plan) => void find(copy, where).bytes-- }],
      ),
  },
  {
    name: "declare bytes of a run",
    codes: ["verify.bytes"],
    sites: instructionSites("run", () => (run) => {
      run.bytes = 1;
    }),
  },
  {
    name: "understate the traffic",
    codes: ["verify.bound"],
    raw: true,
    sites: itemSites("bounds", ({ moved }) =>
      moved === 0
        ? undefined
        : (bound) => {
            bound.moved--;
          },
    ),
  },
  {
    name: "misstate the gap",
    codes: ["verify.bound"],
    raw: true,
    sites: itemSites("bounds", () => (bound) => {
      bound.gap_ppm++;
    }),
  },
  {
    name: "claim to be optimal",
    codes: ["verify.bound"],
    sites: itemSites("bounds", ({ moved, bound }) =>
      moved === bound
        ? undefined
        : (one) => {
            one.bound = moved;
          },
    ),
  },
  {
    name: "claim smaller slots",
    codes: ["verify.bound"],
    sites: itemSites("bounds", ({ certificate: { windows } }) =>
      Array.isArray(windows) && windows.length > 0
        ? (one) => {
            one.certificate.windows = windows.map((window) => window.replace(/@.*/, "@0"));
          }
        : undefined,
    ),
  },
  {
    name: "count a window twice",
    codes: ["verify.bound"],
    sites: itemSites("bounds", ({ certificate: { windows } }) =>
      Array.isArray(windows) && windows.length > 0
        ? (one) => {
            one.certificate.windows = [...windows, ...windows, ...windows];
          }
        : undefined,
    ),
  },
  {
    name: "lose the certificate",
    codes: ["verify.bound"],
    sites: itemSites("bounds", ({ link }) =>
      link === "d2h"
        ? undefined
        : (one) => {
            delete one.certificate.windows;
          },
    ),
  },
  {
    name: "bound nothing",
    codes: ["verify.bound"],
    sites: once("bounds", (plan) => {
      plan.bounds = [];
    }),
  },
  {
    name: "touch the host's inputs",
    codes: ["verify.state"],
    sites: (plan) => {
      const [constant] = plan.constants;
      if (!constant) return [];
      return everywhere(plan)
        .filter(({ instruction }) => instruction.kind === "gather")
        .map(({ instruction, ...where }) => ({
          at: instruction.id,
          apply: (copy) => {
            const gather = find(copy, where);
            if (gather.kind === "gather") gather.to = structuredClone(plan.step_inputs[0]!.at);
            seal(copy);
          },
        }));
    },
  },
];
