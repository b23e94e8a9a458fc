/**
 * Ids are unique and refer to something; instructions are on the lanes and arenas that their kind allows. Later
 * checks look ids up without asking, so nothing else runs on a plan that fails here.
 */
import { findOp } from "../ops/index.ts";
import { type Instruction, type Place, programsOf } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { parameterPlaces } from "./parameter-map.ts";
import { type PlanIndex, partNames, type Step } from "./plan-index.ts";
import { weightsFormal } from "./procedure-summary.ts";

type Code = "verify.duplicate-id" | "verify.reference" | "verify.lane" | "verify.binding" | "verify.wait";

export const checkStructure = defineCheck({
  name: "structure",
  proves: "Ids are unique and refer to something, and instructions are on lanes that fit their kind.",
  codes: ["verify.duplicate-id", "verify.reference", "verify.lane", "verify.binding", "verify.wait"],
  run(index, report) {
    const { plan } = index;
    uniqueIds(index, report);
    const known = knownIds(index);
    const expect = expecting(known, report);
    staticReferences(index, expect);
    const formals = new Map(
      plan.procedures.map(({ id, formals: all }) => [id, new Set(all.map(({ name }) => name))]),
    );
    for (const step of index.steps) instructionReferences(formals, step, expect, report);
    if (allBuffersKnown(index, known)) for (const step of index.steps) lanes(index, step, report);
  },
});

interface KnownIds {
  readonly file: ReadonlySet<string>;
  readonly tensor: ReadonlySet<string>;
  readonly unit: ReadonlySet<string>;
  readonly buffer: ReadonlySet<string>;
  readonly procedure: ReadonlySet<string>;
  readonly sink: ReadonlySet<string>;
}
type Expect = (kind: keyof KnownIds, id: string, path: string) => boolean;

function knownIds({ plan, training }: PlanIndex): KnownIds {
  const ids = (items: readonly { id: string }[]) => new Set(items.map(({ id }) => id));
  return {
    file: ids(plan.inputs.files),
    tensor: new Set(plan.tensors.map(({ name }) => name)),
    unit: ids(plan.units),
    buffer: ids(plan.buffers),
    procedure: ids(plan.procedures),
    sink: ids(training?.sinks ?? []),
  };
}

function expecting(known: KnownIds, report: Report<Code>): Expect {
  return (kind, id, path) => {
    const found = known[kind].has(id);
    if (!found) report("verify.reference", path, `no ${kind} is called \`${id}\``);
    return found;
  };
}

function uniqueIds({ plan, training, programNames }: PlanIndex, report: Report<Code>): void {
  const unique = (kind: string, path: string, ids: readonly string[]) => {
    const seen = new Set<string>();
    ids.forEach((id, i) => {
      if (seen.has(id)) report("verify.duplicate-id", `${path}[${i}]`, `two ${kind} are called \`${id}\``);
      seen.add(id);
    });
  };
  const idsOf = (items: readonly { id: string }[]) => items.map(({ id }) => id);
  const namesOf = (items: readonly { name: string }[]) => items.map(({ name }) => name);
  unique("files", "inputs.files", idsOf(plan.inputs.files));
  unique("tensors", "tensors", namesOf(plan.tensors));
  unique("units", "units", idsOf(plan.units));
  unique("buffers", "buffers", idsOf(plan.buffers));
  unique("procedures", "procedures", idsOf(plan.procedures));
  const sinks = training?.sinks ?? [];
  unique("sinks", "sinks", idsOf(sinks));
  unique("parameters", "parameters", namesOf(plan.parameters));
  unique("step inputs", "step_inputs", namesOf(plan.step_inputs));
  unique("step outputs", "step_outputs", namesOf(plan.step_outputs));
  unique(
    "residents",
    "residency",
    plan.residency.map(({ buffer }) => buffer),
  );
  plan.procedures.forEach((procedure, i) => {
    unique("formals", `procedures[${i}].formals`, namesOf(procedure.formals));
  });
  sinks.forEach((sink, i) => {
    unique("tensors", `sinks[${i}].tensors`, namesOf(sink.tensors));
  });
  for (const program of programNames) {
    for (const part of partNames) {
      const path = `programs.${program}.${part}`;
      unique("instructions", path, idsOf(programsOf(plan)[program]![part]));
    }
  }
}

function staticReferences({ plan, generation }: PlanIndex, expect: Expect): void {
  plan.tensors.forEach(({ file }, i) => {
    expect("file", file, `tensors[${i}].file`);
  });
  plan.units.forEach(({ parts }, i) => {
    parts.forEach(({ tensor }, j) => {
      expect("tensor", tensor, `units[${i}].parts[${j}].tensor`);
    });
  });
  plan.constants.forEach(({ at }, i) => {
    expect("buffer", at.buffer, `constants[${i}].at`);
  });
  plan.step_inputs.forEach(({ at }, i) => {
    expect("buffer", at.buffer, `step_inputs[${i}].at`);
  });
  plan.step_outputs.forEach(({ at }, i) => {
    expect("buffer", at.buffer, `step_outputs[${i}].at`);
  });
  plan.parameters.forEach((parameter, i) => {
    expect("unit", parameter.unit, `parameters[${i}].unit`);
    for (const [key, { buffer }] of parameterPlaces(parameter)) {
      expect("buffer", buffer, `parameters[${i}].${key}`);
    }
  });
  generation?.caches.forEach(({ unit, keys, values }, i) => {
    expect("unit", unit, `caches[${i}].unit`);
    expect("buffer", keys.buffer, `caches[${i}].keys`);
    expect("buffer", values.buffer, `caches[${i}].values`);
  });
  plan.residency.forEach(({ buffer, unit }, i) => {
    expect("buffer", buffer, `residency[${i}].buffer`);
    expect("unit", unit, `residency[${i}].unit`);
  });
}

/** Names of the formals of each procedure. */
type Formals = ReadonlyMap<string, ReadonlySet<string>>;

function instructionReferences(formals: Formals, step: Step, expect: Expect, report: Report<Code>): void {
  const { instruction, path } = step;
  for (const ranges of [instruction.reads, instruction.writes]) {
    for (const { buffer } of ranges) expect("buffer", buffer, `${path}.reads/writes`);
  }
  for (const { buffer } of placesOf(instruction)) expect("buffer", buffer, path);
  switch (instruction.kind) {
    case "read":
      expect("unit", instruction.unit, `${path}.unit`);
      if (instruction.evicts !== null) expect("unit", instruction.evicts, `${path}.evicts`);
      instruction.segments.forEach(({ file, tensor }, i) => {
        expect("file", file, `${path}.segments[${i}].file`);
        expect("tensor", tensor, `${path}.segments[${i}].tensor`);
      });
      break;
    case "gather":
      expect("file", instruction.file, `${path}.file`);
      expect("tensor", instruction.tensor, `${path}.tensor`);
      break;
    case "copy":
      if (instruction.unit !== null) expect("unit", instruction.unit, `${path}.unit`);
      break;
    case "write":
      expect("sink", instruction.sink, `${path}.sink`);
      break;
    case "run":
      if (instruction.unit !== null) expect("unit", instruction.unit, `${path}.unit`);
      if (expect("procedure", instruction.procedure, `${path}.procedure`))
        binding(formals.get(instruction.procedure)!, step, report);
      break;
  }
}

/** Every formal is bound, nothing else is, and exactly the procedures with weights name a unit. */
function binding(formals: ReadonlySet<string>, { instruction, path }: Step, report: Report<Code>): void {
  if (instruction.kind !== "run") return;
  const bound = new Set(Object.keys(instruction.bind));
  const wrong = (name: string, problem: string) =>
    report("verify.binding", `${path}.bind`, `${instruction.id}: formal \`${name}\` ${problem}`);
  for (const name of formals) if (!bound.has(name)) wrong(name, "is not bound");
  for (const name of bound) if (!formals.has(name)) wrong(name, "does not exist");
  if (formals.has(weightsFormal) !== (instruction.unit !== null)) {
    report(
      "verify.binding",
      `${path}.unit`,
      `${instruction.id}: a unit and a formal \`${weightsFormal}\` go together`,
    );
  }
}

function placesOf(instruction: Instruction): Place[] {
  switch (instruction.kind) {
    case "read":
      return [instruction.staging, ...instruction.segments.map(({ to }) => to)];
    case "gather":
      return [instruction.indices, instruction.to, instruction.staging];
    case "copy":
      return [instruction.from, instruction.to];
    case "run":
      return Object.values(instruction.bind);
    case "write":
      return [instruction.from, instruction.staging];
  }
}

function allBuffersKnown({ plan, programNames }: PlanIndex, known: KnownIds): boolean {
  return programNames.every((program) =>
    partNames.every((part) =>
      programsOf(plan)[program]![part].every((instruction) =>
        placesOf(instruction).every(({ buffer }) => known.buffer.has(buffer)),
      ),
    ),
  );
}

/** The disk and host lanes see ram; the compute lane sees its arena; copies go from one tier to the other. */
function lanes(index: PlanIndex, { instruction, path }: Step, report: Report<Code>): void {
  const arenaOf = ({ buffer }: Place) => index.buffer(buffer).arena;
  const wrong = (text: string) => report("verify.lane", path, `${instruction.id}: ${text}`);
  if (instruction.kind === "copy") {
    const [from, to] = [arenaOf(instruction.from), arenaOf(instruction.to)];
    const [source, target] = instruction.lane === "h2d" ? ["ram", "vram"] : ["vram", "ram"];
    if (from !== source || to !== target) wrong(`${instruction.lane} does not copy from ${from} to ${to}`);
    return;
  }
  const arena = instruction.lane === "compute" ? index.plan.shape.compute_arena : "ram";
  for (const place of placesOf(instruction)) {
    if (arenaOf(place) !== arena)
      wrong(`${instruction.lane} does not see ${place.buffer} in ${arenaOf(place)}`);
  }
}

/** Calls of procedures name ops of the table; kept apart because the procedure may be unused. */
export const checkOps = defineCheck({
  name: "ops",
  proves: "Every call names an op of the table and formals of its procedure.",
  codes: ["verify.reference"],
  run({ plan }, report) {
    plan.procedures.forEach((procedure, i) => {
      const formals = new Set(procedure.formals.map(({ name }) => name));
      procedure.calls.forEach((call, j) => {
        const path = `procedures[${i}].calls[${j}]`;
        if (!findOp(call.op)) report("verify.reference", path, `no op is called \`${call.op}\``);
        for (const { formal } of Object.values(call.operands)) {
          if (!formals.has(formal))
            report("verify.reference", path, `${procedure.id} has no formal \`${formal}\``);
        }
      });
    });
  },
});
