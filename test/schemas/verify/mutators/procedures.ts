/** Calls: shapes, dtypes, views, workspaces, order, and signatures. */
import { findOp } from "../../../../schemas/ops/index.ts";
import type { Plan, PlanCall } from "../../../../schemas/plan.ts";
import { callSites, itemSites, type Mutator, operandSites } from "../mutator.ts";
import { accessesOf } from "../naive.ts";

/** Bytes of formals that the first `calls` calls of a procedure write, without workspaces. */
function written(plan: Plan, procedure: number, calls: number) {
  const { id, formals } = plan.procedures[procedure]!;
  const bind = Object.fromEntries(formals.map(({ name }) => [name, { buffer: name, offset: 0 }]));
  return accessesOf(plan, {
    kind: "run",
    lane: "compute",
    id: "",
    waits: [],
    reads: [],
    writes: [],
    bytes: 0,
    unit: null,
    procedure: id,
    bind,
  }).filter(({ call, write, workspace }) => write && !workspace && call < calls);
}

const accessOf = (plan: Plan, procedure: number, formal: string) =>
  plan.procedures[procedure]!.formals.find(({ name }) => name === formal)?.access;

/** Whether a call reads what the call before it was the first to write. */
function needsPrevious(plan: Plan, procedure: number, index: number): boolean {
  if (index === 0) return false;
  const own = written(plan, procedure, index).filter(({ call }) => call === index - 1);
  const earlier = written(plan, procedure, index - 1);
  const reads = Object.entries(plan.procedures[procedure]!.calls[index]!.operands).filter(
    ([name, operand]) =>
      findOp(plan.procedures[procedure]!.calls[index]!.op)!.operands[name]!.access !== "write" ||
      operand.accumulate,
  );
  return own.some(
    (one) =>
      ["scratch", "write"].includes(accessOf(plan, procedure, one.buffer) ?? "") &&
      !earlier.some(
        ({ buffer, start, end }) => buffer === one.buffer && start < one.end && one.start < end,
      ) &&
      reads.some(
        ([, { formal, offset }]) => formal === one.buffer && offset >= one.start && offset < one.end,
      ),
  );
}

const accumulable = (call: PlanCall, name: string) => findOp(call.op)!.operands[name]!.accumulable === true;

export const procedureMutators: readonly Mutator[] = [
  {
    name: "call in the wrong order",
    codes: ["verify.undefined-read", "verify.dtype"],
    sites: (plan) =>
      plan.procedures.flatMap(({ id, calls }, procedure) =>
        calls.flatMap((call, index) => {
          if (!needsPrevious(plan, procedure, index)) return [];
          return [
            {
              at: `${id}, call ${index} (${call.op})`,
              apply: (copy: Plan) => {
                const list = copy.procedures[procedure]!.calls;
                list.splice(index - 1, 2, list[index]!, list[index - 1]!);
              },
            },
          ];
        }),
      ),
  },
  {
    name: "drop a call",
    codes: ["verify.flops", "verify.undefined-read", "verify.optimizer", "verify.semantics", "verify.state"],
    sites: (plan) =>
      plan.procedures.flatMap(({ id, calls }, procedure) =>
        calls.map((call, index) => ({
          at: `${id}, call ${index} (${call.op})`,
          apply: (copy: Plan) => {
            copy.procedures[procedure]!.calls.splice(index, 1);
          },
        })),
      ),
  },
  {
    name: "change a shape",
    codes: ["verify.call-shape", "verify.call-view", "verify.flops"],
    sites: operandSites(() => ({ shape }) => {
      shape[shape.length - 1]!++;
    }),
  },
  {
    name: "drop an axis",
    codes: ["verify.call-shape"],
    sites: operandSites(({ shape }) =>
      shape.length === 1
        ? undefined
        : (operand) => {
            operand.shape.pop();
          },
    ),
  },
  {
    name: "change a dtype",
    codes: [
      "verify.call-shape",
      "verify.call-view",
      "verify.dtype",
      "verify.contents",
      "verify.undefined-read",
      "verify.alignment",
    ],
    sites: operandSites(({ dtype }) => (operand) => {
      operand.dtype = dtype === "f32" ? "bf16" : "f32";
    }),
  },
  {
    name: "shift an operand",
    codes: [
      "verify.call-view",
      "verify.undefined-read",
      "verify.dtype",
      "verify.contents",
      "verify.optimizer",
      "verify.semantics",
    ],
    sites: operandSites(() => (operand) => {
      operand.offset += 4;
    }),
  },
  {
    name: "misalign an operand",
    codes: ["verify.call-view"],
    sites: operandSites(() => (operand) => {
      operand.offset++;
    }),
  },
  {
    name: "put an operand beyond its formal",
    codes: ["verify.call-view"],
    sites: operandSites(() => (operand) => {
      operand.offset += 2 ** 40;
    }),
  },
  {
    name: "accumulate onto nothing",
    codes: ["verify.undefined-read", "verify.call-shape", "verify.dtype"],
    sites: (plan) =>
      plan.procedures.flatMap((procedure, p) =>
        procedure.calls.flatMap((call, index) =>
          Object.entries(call.operands).flatMap(([name, { formal, offset, accumulate }]) => {
            const mine = written(plan, p, index).some(
              ({ buffer, start, end }) => buffer === formal && start <= offset && offset < end,
            );
            const owned = ["scratch", "write"].includes(accessOf(plan, p, formal) ?? "");
            if (accumulate || mine || !owned || !accumulable(call, name)) return [];
            return [
              {
                at: `${procedure.id}, call ${index} (${call.op}.${name})`,
                apply: (copy: Plan) => {
                  copy.procedures[p]!.calls[index]!.operands[name]!.accumulate = true;
                },
              },
            ];
          }),
        ),
      ),
  },
  {
    name: "accumulate where the op cannot",
    codes: ["verify.call-shape"],
    sites: operandSites((_, name, call) =>
      accumulable(call, name)
        ? undefined
        : (operand) => {
            operand.accumulate = true;
          },
    ),
  },
  {
    name: "write over an input of the call",
    codes: ["verify.call-view", "verify.call-access"],
    sites: callSites((call) => {
      const op = findOp(call.op)!;
      const names = Object.keys(call.operands);
      const output = names.find((name) => op.operands[name]!.access !== "read");
      const input = names.find((name) => op.operands[name]!.access === "read");
      if (!output || !input) return undefined;
      return ({ operands }) => {
        Object.assign(operands[output]!, {
          formal: operands[input]!.formal,
          offset: operands[input]!.offset,
        });
      };
    }),
  },
  {
    name: "shrink a workspace",
    codes: ["verify.workspace"],
    sites: callSites(({ workspace }) =>
      workspace
        ? (call) => {
            call.workspace!.bytes = 1;
          }
        : undefined,
    ),
  },
  {
    name: "forget a workspace",
    codes: ["verify.workspace"],
    sites: callSites(({ workspace }) =>
      workspace
        ? (call) => {
            call.workspace = null;
          }
        : undefined,
    ),
  },
  {
    name: "put a workspace onto an operand",
    codes: ["verify.workspace"],
    sites: callSites(({ workspace, operands }) => {
      const operand = Object.values(operands).find(({ formal }) => formal === "scratch");
      if (!workspace || !operand) return undefined;
      return (call) => {
        call.workspace!.offset = operand.offset;
      };
    }),
  },
  {
    name: "put a workspace beyond the scratch",
    codes: ["verify.workspace"],
    sites: callSites(({ workspace }) =>
      workspace
        ? (call) => {
            call.workspace!.offset += 2 ** 40;
          }
        : undefined,
    ),
  },
  {
    name: "remove an attribute",
    codes: ["verify.call-shape"],
    sites: callSites(({ attributes }) => {
      const [name] = Object.keys(attributes);
      if (name === undefined) return undefined;
      return (call) => {
        delete call.attributes[name];
      };
    }),
  },
  {
    name: "invent an attribute",
    codes: ["verify.call-shape"],
    sites: callSites(() => (call) => {
      call.attributes.fused = 1;
    }),
  },
  {
    name: "make an integer attribute a fraction",
    codes: ["verify.call-shape"],
    sites: callSites(({ op, attributes }) => {
      const name = Object.keys(attributes).find((one) => findOp(op)!.attributes[one]?.type === "i32");
      if (name === undefined) return undefined;
      return (call) => {
        call.attributes[name] = 0.5;
      };
    }),
  },
  {
    name: "take other rows of the vocabulary",
    codes: ["verify.contents"],
    sites: callSites(({ attributes }) =>
      attributes.first_row === undefined
        ? undefined
        : (call) => {
            call.attributes.first_row = Number(call.attributes.first_row) + 1;
          },
    ),
  },
  {
    name: "start gradients at one",
    codes: ["verify.optimizer"],
    sites: callSites(({ op }, { plan, procedure }) => {
      const { id } = plan.procedures[procedure]!;
      const zeroes = plan.programs["train-step"].steady.some(
        (run) =>
          run.kind === "run" &&
          run.procedure === id &&
          run.writes.some(
            ({ buffer }) => buffer === plan.parameters[0]!.gradient.buffer || buffer.includes("grad"),
          ),
      );
      if (op !== "fill" || !zeroes) return undefined;
      return (call) => {
        call.attributes.value = 1;
      };
    }),
  },
  {
    name: "call an op that does not exist",
    codes: ["verify.reference"],
    sites: callSites(() => (call) => {
      call.op += "_fused";
    }),
  },
  {
    name: "write through a formal for reading",
    codes: ["verify.call-access"],
    sites: itemSites("procedures", ({ calls, formals }) => {
      const target = formals.findIndex(({ name, access }) => {
        const touched = calls.some(({ op, operands }) =>
          Object.entries(operands).some(
            ([operand, { formal }]) => formal === name && findOp(op)!.operands[operand]!.access !== "read",
          ),
        );
        return access !== "read" && touched;
      });
      if (target < 0) return undefined;
      return (procedure) => {
        procedure.formals[target]!.access = "read";
      };
    }),
  },
  {
    name: "take what is read for written",
    codes: ["verify.undefined-read"],
    sites: (plan) =>
      plan.procedures.flatMap(({ id, formals }, p) =>
        formals.flatMap(({ name, access }, f) =>
          access !== "read"
            ? []
            : [
                {
                  at: `${id}.${name}`,
                  apply: (copy: Plan) => {
                    copy.procedures[p]!.formals[f]!.access = "scratch";
                  },
                },
              ],
        ),
      ),
  },
  {
    name: "shrink a formal",
    codes: ["verify.call-view", "verify.workspace"],
    sites: (plan) =>
      plan.procedures.flatMap(({ id, formals, calls }, p) =>
        formals.flatMap(({ name }, f) => {
          const used = calls.some(({ operands }) =>
            Object.values(operands).some(({ formal }) => formal === name),
          );
          if (!used) return [];
          return [
            {
              at: `${id}.${name}`,
              apply: (copy: Plan) => {
                copy.procedures[p]!.formals[f]!.bytes = 1;
              },
            },
          ];
        }),
      ),
  },
  {
    name: "miscount operations",
    codes: ["verify.flops"],
    sites: itemSites("procedures", () => (procedure) => {
      procedure.flops++;
    }),
  },
];
