/** Buffers, lifetimes, budgets, and the places of parameters, inputs and outputs. */
import type { Plan, PlanBuffer } from "../../../../schemas/plan.ts";
import { everywhere, find, instructionSites, itemSites, type Mutator, once } from "../mutator.ts";

/** Positions and bytes in which a buffer is touched. */
function touches(plan: Plan, { id, lifetime }: PlanBuffer): { positions: number[]; end: number } {
  const touching = everywhere(plan).flatMap(({ instruction, program, position }) =>
    [...instruction.reads, ...instruction.writes]
      .filter(({ buffer }) => buffer === id)
      .map(({ offset, bytes }) => ({ program, position, end: offset + bytes })),
  );
  return {
    positions: touching
      .filter(({ program }) => program === lifetime?.program)
      .map(({ position }) => position),
    end: Math.max(0, ...touching.map(({ end }) => end)),
  };
}

function meets(a: PlanBuffer, b: PlanBuffer): boolean {
  if (a.arena !== b.arena || a.id === b.id) return false;
  if (!a.lifetime || !b.lifetime) return true;
  const { start, end, program } = a.lifetime;
  return program === b.lifetime.program && start < b.lifetime.end && b.lifetime.start < end;
}

const places = ["value", "gradient", "first_moment", "second_moment"] as const;

export const memoryMutators: readonly Mutator[] = [
  {
    name: "put a buffer onto another",
    codes: ["verify.overlap"],
    sites: itemSites("buffers", (buffer, plan) => {
      const other = plan.buffers.find((one) => meets(buffer, one) && one.bytes > 0);
      if (!other || buffer.bytes === 0) return undefined;
      return (one) => {
        one.offset = other.offset;
      };
    }),
  },
  {
    name: "grow a buffer over its neighbour",
    codes: ["verify.overlap", "verify.arena"],
    sites: itemSites("buffers", (buffer, plan) => {
      const next = plan.buffers.filter(
        (one) => meets(buffer, one) && one.offset >= buffer.offset + buffer.bytes,
      );
      const start = Math.min(...next.map(({ offset }) => offset), plan.budgets[buffer.arena]?.arena ?? 0);
      return (one) => {
        one.bytes = start - one.offset + 1;
      };
    }),
  },
  {
    name: "push a buffer out of its arena",
    codes: ["verify.arena"],
    sites: itemSites("buffers", ({ arena, alignment, bytes }, { budgets }) =>
      bytes === 0
        ? undefined
        : (buffer) => {
            buffer.offset = Math.ceil((budgets[arena]!.arena - bytes + 1) / alignment) * alignment;
          },
    ),
  },
  {
    name: "misalign a buffer",
    codes: ["verify.alignment"],
    sites: itemSites("buffers", ({ alignment }) =>
      alignment === 1
        ? undefined
        : (buffer) => {
            buffer.offset++;
          },
    ),
  },
  {
    name: "shrink a buffer below its use",
    codes: ["verify.arena"],
    sites: itemSites("buffers", (buffer, plan) => {
      const { end } = touches(plan, buffer);
      return end === 0
        ? undefined
        : (one) => {
            one.bytes = end - 1;
          };
    }),
  },
  {
    name: "let a lifetime start too late",
    codes: ["verify.lifetime"],
    sites: itemSites("buffers", (buffer, plan) => {
      const first = Math.min(...touches(plan, buffer).positions);
      if (!buffer.lifetime || first + 1 >= buffer.lifetime.end) return undefined;
      return ({ lifetime }) => {
        lifetime!.start = first + 1;
      };
    }),
  },
  {
    name: "let a lifetime end too early",
    codes: ["verify.lifetime"],
    sites: itemSites("buffers", (buffer, plan) => {
      const last = Math.max(...touches(plan, buffer).positions);
      if (!buffer.lifetime || last <= buffer.lifetime.start) return undefined;
      return ({ lifetime }) => {
        lifetime!.end = last;
      };
    }),
  },
  {
    name: "let a lifetime leave its program",
    codes: ["verify.lifetime"],
    sites: itemSites("buffers", ({ lifetime }) =>
      lifetime
        ? (buffer) => {
            buffer.lifetime!.end += 100_000;
          }
        : undefined,
    ),
  },
  {
    name: "move a buffer to another program",
    codes: ["verify.lifetime"],
    sites: itemSites("buffers", ({ lifetime }) =>
      lifetime
        ? (buffer) => {
            buffer.lifetime = {
              program: lifetime.program === "evaluate" ? "train-step" : "evaluate",
              start: 0,
              end: 1,
            };
          }
        : undefined,
    ),
  },
  {
    name: "let a permanent buffer die",
    codes: ["verify.lifetime", "verify.state"],
    sites: itemSites("buffers", (buffer, plan) =>
      buffer.lifetime || touches(plan, buffer).end === 0
        ? undefined
        : (one) => {
            one.lifetime = { program: "train-step", start: 0, end: 1 };
          },
    ),
  },
  {
    name: "shrink the arena",
    codes: ["verify.arena"],
    sites: (plan) =>
      (["ram", "vram"] as const).flatMap((arena) => {
        const top = Math.max(
          ...plan.buffers
            .filter((buffer) => buffer.arena === arena)
            .map(({ offset, bytes }) => offset + bytes),
        );
        if (!plan.budgets[arena]) return [];
        return [
          {
            at: arena,
            apply: (copy) => {
              const budget = copy.budgets[arena]!;
              budget.arena = top - 1;
              budget.total = budget.arena + budget.reserve;
            },
          },
        ];
      }),
  },
  {
    name: "exceed the budget",
    codes: ["verify.budget"],
    sites: once("budgets.ram", ({ budgets }) => {
      budgets.ram.budget = budgets.ram.total - 1;
    }),
  },
  {
    name: "hide the reserve",
    codes: ["verify.budget"],
    sites: once("budgets.ram", ({ budgets }) => {
      budgets.ram.reserve++;
    }),
  },
  {
    name: "understate the peak",
    codes: ["verify.budget"],
    raw: true,
    sites: once("budgets.ram", ({ budgets }) => {
      budgets.ram.max_live--;
    }),
  },
  {
    name: "claim another number of tiers",
    codes: ["verify.budget"],
    sites: once("shape.tiers", ({ shape }) => {
      shape.tiers = shape.tiers === "disk-ram" ? "disk-ram-vram" : "disk-ram";
    }),
  },
  {
    name: "swap the places of two parameters",
    codes: ["verify.optimizer", "verify.contents", "verify.sink"],
    sites: (plan) =>
      places.flatMap((key) =>
        plan.parameters.slice(0, 4).map(({ name, shape }, i) => ({
          at: `${key} of ${name}`,
          apply: (copy) => {
            const twin = copy.parameters.findLast(
              (one) => one.shape.join() === shape.join() && one.name !== name,
            )!;
            const own = copy.parameters[i]!;
            [own[key], twin[key]] = [twin[key], own[key]];
          },
        })),
      ),
  },
  {
    name: "give a parameter to another unit",
    codes: ["verify.optimizer"],
    sites: itemSites("parameters", ({ unit }, { units }) => (parameter) => {
      parameter.unit = units.find(({ id }) => id !== unit)!.id;
    }),
  },
  {
    name: "let parameters share bytes",
    codes: ["verify.state", "verify.optimizer"],
    sites: itemSites("parameters", (_, plan, i) =>
      i === 0
        ? undefined
        : (parameter) => {
            parameter.value = structuredClone(plan.parameters[0]!.value);
          },
    ),
  },
  {
    name: "move a step input",
    codes: ["verify.state", "verify.undefined-read", "verify.semantics", "verify.dtype"],
    sites: itemSites("step_inputs", () => (input) => {
      input.at.offset += 4;
    }),
  },
  {
    name: "move a step output",
    codes: ["verify.state"],
    sites: itemSites("step_outputs", ({ at }, plan) => {
      const free = plan.buffers.find(({ id }) => id === at.buffer)!.bytes;
      return (output) => {
        output.at.offset = free;
      };
    }),
  },
  {
    name: "bind a formal to another run's bytes",
    codes: [
      "verify.contents",
      "verify.undefined-read",
      "verify.semantics",
      "verify.optimizer",
      "verify.lifetime",
      "verify.binding",
      "verify.state",
    ],
    sites: (plan) =>
      everywhere(plan).flatMap(({ instruction, ...where }) => {
        if (instruction.kind !== "run") return [];
        return Object.entries(instruction.bind).flatMap(([formal, place]) => {
          const other = plan.programs[where.program][where.part].find(
            (one) =>
              one.kind === "run" &&
              one.procedure === instruction.procedure &&
              JSON.stringify(one.bind[formal]) !== JSON.stringify(place),
          );
          if (other?.kind !== "run" || formal === "scratch") return [];
          return [
            {
              at: `${instruction.id}.${formal}`,
              apply: (copy: Plan) => {
                const run = find(copy, where);
                if (run.kind === "run") run.bind[formal] = structuredClone(other.bind[formal]!);
              },
            },
          ];
        });
      }),
  },
  {
    name: "shift a binding",
    codes: [
      "verify.arena",
      "verify.undefined-read",
      "verify.contents",
      "verify.semantics",
      "verify.optimizer",
      "verify.state",
      "verify.dtype",
      "verify.alignment",
      "verify.binding",
    ],
    sites: (plan) =>
      everywhere(plan).flatMap(({ instruction, ...where }) =>
        instruction.kind === "run"
          ? Object.keys(instruction.bind).map((formal) => ({
              at: `${instruction.id}.${formal}`,
              apply: (copy: Plan) => {
                const run = find(copy, where);
                if (run.kind === "run") run.bind[formal]!.offset += 4;
              },
            }))
          : [],
      ),
  },
  {
    name: "write a checkpoint from elsewhere",
    codes: ["verify.sink"],
    sites: instructionSites("write", ({ from }, plan) => {
      const other = plan.parameters.flatMap(({ value, first_moment }) => [value, first_moment]);
      const place = other.find(({ buffer, offset }) => buffer !== from.buffer || offset !== from.offset);
      if (!place) return undefined;
      return (write) => {
        Object.assign(write.from, place);
      };
    }),
  },
  {
    name: "write a checkpoint at another offset",
    codes: ["verify.sink"],
    sites: instructionSites("write", () => (write) => {
      write.offset += 4;
    }),
  },
  {
    name: "resize a checkpoint file",
    codes: ["verify.sink"],
    sites: itemSites("sinks", () => (sink) => {
      sink.bytes += 4;
    }),
  },
  {
    name: "exchange two tensors of a checkpoint",
    codes: ["verify.sink"],
    sites: itemSites("sinks", () => ({ tensors }) => {
      const [first] = tensors;
      const twin = tensors.find((one) => one !== first && one.bytes === first!.bytes)!;
      [first!.offset, twin.offset] = [twin.offset, first!.offset];
    }),
  },
];
