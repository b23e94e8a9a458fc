/** Which weights are where: reads, copies, slots, units, tensors, residents. */
import type { Plan } from "../../../../schemas/plan.ts";
import { everywhere, instructionSites, itemSites, type Mutator } from "../mutator.ts";
import { weightsInPlace } from "../naive.ts";

function otherSlot(plan: Plan, id: string): string | undefined {
  const slot = plan.buffers.find((buffer) => buffer.id === id);
  return plan.buffers.find(
    (buffer) => buffer.id !== id && buffer.holds === "weights" && buffer.arena === slot?.arena,
  )?.id;
}

const otherUnit = (plan: Plan, id: string) => {
  const kind = plan.units.find((unit) => unit.id === id)?.kind;
  return plan.units.find((unit) => unit.id !== id && unit.kind === kind)?.id;
};

const loadsSuffice = (mutant: Plan) => weightsInPlace(mutant);

const misplaced = [
  "verify.contents",
  "verify.undefined-read",
  "verify.residency",
  "verify.arena",
  "verify.race",
] as const;

export const weightMutators: readonly Mutator[] = [
  {
    name: "read into another slot",
    codes: misplaced,
    sites: instructionSites("read", ({ segments }, plan) => {
      const slot = otherSlot(plan, segments[0]!.to.buffer);
      if (!slot) return undefined;
      return (read) => {
        for (const segment of read.segments) segment.to.buffer = slot;
      };
    }),
  },
  {
    name: "copy into another slot",
    codes: misplaced,
    sites: instructionSites("copy", ({ unit, to }, plan) => {
      const slot = unit === null ? undefined : otherSlot(plan, to.buffer);
      if (!slot) return undefined;
      return (copy) => {
        copy.to.buffer = slot;
      };
    }),
  },
  {
    name: "copy from another slot",
    codes: misplaced,
    sites: instructionSites("copy", ({ unit, from }, plan) => {
      const slot = unit === null ? undefined : otherSlot(plan, from.buffer);
      if (!slot) return undefined;
      return (copy) => {
        copy.from.buffer = slot;
      };
    }),
  },
  {
    name: "bind weights to another slot",
    codes: misplaced,
    sites: instructionSites("run", ({ bind }, plan) => {
      const slot = bind.weights && otherSlot(plan, bind.weights.buffer);
      if (!slot) return undefined;
      return (run) => {
        run.bind.weights!.buffer = slot;
      };
    }),
  },
  {
    name: "shift the file range",
    codes: ["verify.file-range"],
    sites: instructionSites("read", () => ({ segments }) => {
      segments[0]!.offset += 4;
    }),
  },
  {
    name: "read a tensor of the same size",
    codes: ["verify.contents"],
    sites: instructionSites("read", ({ segments }, plan) => {
      const first = segments[0]!;
      const twin = plan.tensors.find(
        ({ name, bytes }) => name !== first.tensor && bytes >= first.from + first.bytes,
      );
      if (!twin) return undefined;
      return (read) => {
        const offset = twin.offset + first.from;
        Object.assign(read.segments[0]!, { tensor: twin.name, file: twin.file, offset });
      };
    }),
  },
  {
    name: "read the file range of another tensor",
    codes: ["verify.file-range"],
    sites: instructionSites("read", ({ segments }, plan) => {
      const twin = plan.tensors.find(({ name }) => name !== segments[0]!.tensor);
      if (!twin) return undefined;
      return (read) => {
        read.segments[0]!.offset = twin.offset;
      };
    }),
  },
  {
    name: "read too little",
    codes: ["verify.contents"],
    // Equivalent where the bytes are already there.
    equivalent: loadsSuffice,
    sites: instructionSites("read", () => (read) => {
      read.segments[0]!.bytes -= 4;
      read.bytes -= 4;
    }),
  },
  {
    name: "forget a segment",
    codes: ["verify.contents", "verify.residency"],
    // Equivalent where the bytes are already there.
    equivalent: loadsSuffice,
    sites: instructionSites("read", () => (read) => {
      read.bytes -= read.segments.pop()!.bytes;
    }),
  },
  {
    name: "shift a segment in its slot",
    codes: ["verify.contents"],
    sites: instructionSites("read", () => (read) => {
      read.segments.at(-1)!.to.offset += 4;
    }),
  },
  {
    name: "read under another unit's name",
    codes: ["verify.contents"],
    sites: instructionSites("read", ({ unit }, plan) => {
      const other = otherUnit(plan, unit);
      if (!other) return undefined;
      return (read) => {
        read.unit = other;
      };
    }),
  },
  {
    name: "copy under another unit's name",
    codes: ["verify.contents", "verify.undefined-read"],
    sites: instructionSites("copy", ({ unit }, plan) => {
      const other = unit === null ? undefined : otherUnit(plan, unit);
      if (!other) return undefined;
      return (copy) => {
        copy.unit = other;
      };
    }),
  },
  {
    name: "copy too little of a unit",
    codes: ["verify.contents", "verify.residency"],
    equivalent: loadsSuffice,
    sites: instructionSites("copy", ({ unit }) =>
      unit === null
        ? undefined
        : (copy) => {
            copy.bytes -= 4;
          },
    ),
  },
  {
    name: "copy too little",
    // Where the bytes left out are not needed, the traffic falls below what the plan calls its bound.
    codes: ["verify.undefined-read", "verify.optimizer", "verify.contents", "verify.state", "verify.bound"],
    sites: instructionSites("copy", ({ unit }) =>
      unit === null
        ? (copy) => {
            copy.bytes -= 4;
          }
        : undefined,
    ),
  },
  {
    name: "run with another unit",
    codes: ["verify.contents"],
    sites: instructionSites("run", ({ unit }, plan) => {
      const other = unit === null ? undefined : otherUnit(plan, unit);
      if (!other) return undefined;
      return (run) => {
        run.unit = other;
      };
    }),
  },
  {
    name: "claim another eviction",
    codes: ["verify.contents"],
    sites: instructionSites("read", ({ segments }, plan) => {
      const slot = segments[0]!.to.buffer;
      const visitors = everywhere(plan).flatMap(({ instruction }) =>
        instruction.kind === "read" && instruction.segments[0]!.to.buffer === slot ? [instruction.unit] : [],
      );
      const stranger = plan.units.find(({ id }) => !visitors.includes(id));
      if (!stranger) return undefined;
      return (read) => {
        read.evicts = stranger.id;
      };
    }),
  },
  {
    name: "gather from elsewhere",
    codes: ["verify.file-range"],
    sites: instructionSites("gather", () => (gather) => {
      gather.offset += gather.row_bytes;
    }),
  },
  {
    name: "gather rows of another size",
    codes: ["verify.file-range"],
    sites: instructionSites("gather", () => (gather) => {
      gather.row_bytes /= 2;
      gather.table_rows *= 2;
    }),
  },
  {
    name: "gather another micro-batch",
    codes: ["verify.semantics"],
    sites: instructionSites("gather", ({ indices }, { shape }) => {
      if (shape.micro_batches === 1) return undefined;
      return (gather) => {
        gather.indices.offset = indices.offset === 0 ? indices.bytes : 0;
      };
    }),
  },
  {
    name: "forget a resident",
    codes: ["verify.residency"],
    sites: itemSites("residency", ({ buffer }) => (_, plan) => {
      plan.residency = plan.residency.filter((one) => one.buffer !== buffer);
    }),
  },
  {
    name: "name another resident",
    codes: ["verify.residency"],
    sites: itemSites("residency", ({ unit }, plan) => {
      const other = plan.units.find(({ id }) => id !== unit)!.id;
      return (resident) => {
        resident.unit = other;
      };
    }),
  },
  {
    name: "name another part of a resident",
    codes: ["verify.residency"],
    sites: itemSites("residency", ({ part }) =>
      part === undefined
        ? undefined
        : (resident) => {
            resident.part!.from += part.from === 0 ? part.bytes : -64;
          },
    ),
  },
  {
    name: "name less of a resident",
    codes: ["verify.residency"],
    sites: itemSites("residency", ({ part }) =>
      part === undefined
        ? undefined
        : (resident) => {
            resident.part = { from: part.from, bytes: 0 };
          },
    ),
  },
  {
    name: "forget a part of a unit",
    codes: ["verify.unit"],
    sites: itemSites("units", () => ({ parts }) => {
      parts.pop();
    }),
  },
  {
    name: "let parts of a unit share bytes",
    codes: ["verify.unit"],
    sites: itemSites("units", ({ parts }) =>
      parts.length < 2
        ? undefined
        : (unit) => {
            unit.parts[1]!.at = unit.parts[0]!.at;
          },
    ),
  },
  {
    name: "let a part reach beyond its unit",
    codes: ["verify.unit"],
    sites: itemSites("units", ({ bytes }) => ({ parts }) => {
      parts.at(-1)!.at = bytes;
    }),
  },
  {
    name: "take a tensor's wrong bytes",
    codes: ["verify.unit"],
    sites: itemSites("units", () => ({ parts }) => {
      parts[0]!.from += 4;
    }),
  },
  {
    name: "resize a tensor",
    codes: ["verify.tensor"],
    sites: itemSites("tensors", () => (tensor) => {
      tensor.bytes += 4;
    }),
  },
  {
    name: "reshape a tensor",
    codes: ["verify.tensor"],
    sites: itemSites("tensors", () => (tensor) => {
      tensor.shape[0]!++;
    }),
  },
  {
    name: "move a tensor in its file",
    codes: ["verify.tensor", "verify.file-range"],
    sites: itemSites("tensors", () => (tensor) => {
      tensor.offset += 4;
    }),
  },
  {
    name: "shorten the file",
    codes: ["verify.tensor"],
    sites: (plan) =>
      plan.inputs.files.map(({ id }, i) => ({
        at: id,
        apply: (copy) => {
          copy.inputs.files[i]!.bytes--;
        },
      })),
  },
  {
    name: "change a tensor's role",
    codes: ["verify.unit"],
    sites: itemSites("tensors", ({ role }) => (tensor) => {
      tensor.role = role === "norm" ? "block" : "norm";
    }),
  },
];
