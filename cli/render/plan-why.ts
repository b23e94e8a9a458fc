/**
 * Why an instruction stands where it does: its work, the bytes it touches, and for each wait the bytes that both
 * instructions touch and at least one of them writes.
 */
import type { Simulation } from "../../planner/simulate/simulate.ts";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import { DiagnosticError, diagnostic, invariant } from "../../schemas/diagnostic.ts";
import {
  type AnyPlan,
  type Instruction,
  type ProgramName,
  programsOf,
  type Range,
} from "../../schemas/plan.ts";
import { nearest } from "../../schemas/suggest.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import { fitRows } from "./fit-table.ts";
import { bindingChain, bindings, chainParts, slacks } from "./plan-binding.ts";
import { bufferOf, conflictsBetween } from "./plan-conflicts.ts";
import type { Screen } from "./screen.ts";
import { wrapLine } from "./table.ts";

const PARTS = ["prologue", "steady", "epilogue"] as const;
const FOLLOWERS_SHOWN = 8;
const CHAIN_SHOWN = 6;
/** What all lines of a section begin with. */
const INDENT = "    ";
const LIST_WIDTH = 94;

interface Found {
  readonly program: ProgramName;
  readonly part: (typeof PARTS)[number];
  readonly index: number;
  readonly instruction: Instruction;
  /** The part's instructions. */
  readonly among: readonly Instruction[];
}

/** Throws `cli.usage` when the plan has no such instruction. */
export function renderWhy(plan: AnyPlan, id: string, screen: Screen): string {
  const found = find(plan, id);
  if (found.length === 0) {
    const known = Object.values(programsOf(plan)).flatMap((own) =>
      PARTS.flatMap((part) => own[part].map((one) => one.id)),
    );
    const near = nearest(id, known);
    throw new DiagnosticError(
      diagnostic("cli.usage", {
        summary: `the plan has no instruction \`${id}\``,
        hint: near === undefined ? "`lema show PLAN --instructions` lists them" : `did you mean \`${near}\`?`,
      }),
    );
  }
  return found.map((one) => explain(plan, one, screen)).join("\n");
}

function find(plan: AnyPlan, id: string): readonly Found[] {
  return Object.entries(programsOf(plan)).flatMap(([name, own]) =>
    PARTS.flatMap((part) => {
      const program = name as ProgramName;
      const among = own[part];
      return among.flatMap((instruction, index) =>
        instruction.id === id ? [{ program, part, index, instruction, among }] : [],
      );
    }),
  );
}

function explain(plan: AnyPlan, found: Found, { paint, columns }: Screen): string {
  const width = columns - INDENT.length;
  const { program, part, index, instruction, among } = found;
  const { id, kind, lane, reads, writes } = instruction;
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ["work", work(plan, instruction, width)],
    ["predicted", predicted(plan, found, width)],
    ["reads", ranges(plan, reads, width)],
    ["writes", ranges(plan, writes, width)],
    ["waits", waits(plan, found, width)],
    ["waited for by", followers(id, among)],
  ];
  const title = `${paint.bold(id)}  ${kind} on ${lane}; ${program}, ${part} ${index} of ${among.length}`;
  const body = sections
    .filter(([, lines]) => lines.length > 0)
    .flatMap(([name, lines]) => [
      `  ${paint.bold(name)}`,
      ...lines.flatMap((line) => wrapLine(INDENT + line, columns)),
    ]);
  return `${[...wrapLine(title, columns), ...body].join("\n")}\n`;
}

function work(plan: AnyPlan, instruction: Instruction, width: number): string[] {
  switch (instruction.kind) {
    case "run":
      return runWork(plan, instruction, width);
    case "read": {
      const { unit, evicts, bytes, segments } = instruction;
      const loses = evicts === null ? "" : `, in place of ${evicts}`;
      const rows = segments.map(({ tensor, file, offset, bytes: size, to }) => [
        tensor,
        formatBytes(size),
        `${file} at ${offset}`,
        `→ ${to.buffer} + ${to.offset}`,
      ]);
      return [
        `brings ${formatBytes(bytes)} of unit ${unit} from disk${loses}`,
        ...fitRows(rows, { alignment: "lrl", indent: "", width }),
      ];
    }
    case "gather": {
      const { tensor, indices, row_bytes, to, bytes } = instruction;
      const rows = indices.bytes / 4;
      return [
        `fetches ${rows} rows of ${formatBytes(row_bytes)} of ${tensor} into ${to.buffer}`,
        `at most ${formatBytes(bytes)} from disk, as rows are read by whole pages`,
      ];
    }
    case "copy": {
      const { from, to, bytes, unit } = instruction;
      const what = unit === null ? "" : ` of unit ${unit}`;
      return [
        `copies ${formatBytes(bytes)}${what}: ${from.buffer} + ${from.offset} → ${to.buffer} + ${to.offset}`,
      ];
    }
    case "write": {
      const { from, sink, offset } = instruction;
      return [`writes ${formatBytes(from.bytes)} of ${from.buffer} to the payload of ${sink} at ${offset}`];
    }
  }
}

function runWork(plan: AnyPlan, instruction: Extract<Instruction, { kind: "run" }>, width: number): string[] {
  const procedure = procedureOf(plan, instruction);
  const unit = instruction.unit === null ? "" : ` with the weights of ${instruction.unit}`;
  const bound = procedure.formals.map(({ name, access, bytes }) => {
    const place = instruction.bind[name];
    return [name, access, formatBytes(bytes), place ? `${place.buffer} + ${place.offset}` : "unbound"];
  });
  return [
    `procedure ${procedure.id}${unit}: ${procedure.calls.length} calls, ${(procedure.flops / 1e9).toFixed(2)} GFLOP`,
    ...foldList(procedure.calls.map(({ op }, call) => `${call} ${op}`).join(", "), width),
    ...fitRows(bound, { alignment: "llrl", indent: "", width }),
  ];
}

/** Breaks a long list of calls after commas. */
function foldList(line: string, most: number): string[] {
  const width = Math.min(LIST_WIDTH, most);
  if (line.length <= width) return [line];
  const lines: string[] = [];
  let current = "";
  for (const item of line.split(/(?<=, )/)) {
    if (current !== "" && current.length + item.trimEnd().length > width) {
      lines.push(current.trimEnd());
      current = "";
    }
    current += item;
  }
  return [...lines, current];
}

/** When it runs, what decides that, and the way there from the step's start. */
function predicted(plan: AnyPlan, { program, part, index }: Found, width: number): string[] {
  if (part !== "steady") return [];
  const simulation = simulatePlan(plan, program);
  const timed = simulation.timeline[index];
  invariant(timed, "the simulation times every instruction");
  const { instruction, start, end } = timed;
  const slack = slacks(simulation).get(instruction.id) ?? 0;
  const chain = chainParts(bindingChain(simulation, instruction.id).slice(0, -1));
  const shown = chain.slice(-CHAIN_SHOWN).map(({ lane, first, last, count, ns }) => {
    const range = count === 1 ? first : `${first} … ${last}`;
    return [lane, formatNanoseconds(ns), count === 1 ? "" : `${count} in a row`, range];
  });
  const hidden = chain.length - shown.length;
  return [
    `starts at ${formatNanoseconds(start)}, takes ${formatNanoseconds(end - start)}; ` +
      (slack === 0
        ? "on the critical path: the step is as much longer as this is"
        : `may end ${formatNanoseconds(slack)} later without a longer step`),
    ...binding(plan, simulation, index),
    ...(shown.length === 0 ? [] : ["what it took from the step's start to there:"]),
    ...(hidden === 0 ? [] : [`  ${hidden} earlier parts`]),
    ...fitRows(shown, { alignment: "lrrl", indent: "  ", width }),
  ];
}

function binding(plan: AnyPlan, simulation: Simulation, index: number): string[] {
  const decides = bindings(simulation)[index];
  const { instruction } = simulation.timeline[index]!;
  invariant(decides, "every instruction has a binding constraint");
  if (decides.kind === "start") return ["bound by nothing: it starts with the step"];
  if (decides.kind === "lane") {
    return [`bound by its lane: ${instruction.lane} is busy with ${decides.on} until then`];
  }
  const cause = simulation.timeline.find((timed) => timed.instruction.id === decides.on);
  invariant(cause, "a wait names an instruction of its own part");
  const [reason] = conflictsBetween(plan, cause.instruction, instruction);
  const names = [...new Set(reason?.shared.map(({ theirs }) => theirs.id))].join(", ");
  const what = reason?.kind === "memory" ? `memory: ${names} is in use` : `data: ${names} is made`;
  return [
    `bound by ${what} by ${decides.on} on ${cause.instruction.lane} until then; ` +
      `${instruction.lane} stands still for ${formatNanoseconds(decides.ns)}`,
  ];
}

function ranges(plan: AnyPlan, list: readonly Range[], width: number): string[] {
  return fitRows(
    list.map(({ buffer, offset, bytes }) => {
      const { arena, offset: base } = bufferOf(plan, buffer);
      return [buffer, formatBytes(bytes), `${arena} [${base + offset}, ${base + offset + bytes})`];
    }),
    { alignment: "lrl", indent: "", width },
  );
}

function waits(plan: AnyPlan, { instruction, among }: Found, width: number): string[] {
  return instruction.waits.flatMap(({ on, at }) => {
    const earlier = among.find(({ id }) => id === on);
    invariant(earlier, "a wait names an instruction of its own part");
    const when = at === 0 ? "before it starts" : `before call ${at} (${callName(plan, instruction, at)})`;
    return [
      `for ${on} on ${earlier.lane}, ${when}, because`,
      ...conflicts(plan, earlier, instruction, width),
    ];
  });
}

function callName(plan: AnyPlan, instruction: Instruction, at: number): string {
  return instruction.kind === "run" ? (procedureOf(plan, instruction).calls[at]?.op ?? "") : instruction.kind;
}

/** The bytes that order two instructions. */
function conflicts(plan: AnyPlan, earlier: Instruction, later: Instruction, width: number): string[] {
  return conflictsBetween(plan, earlier, later).flatMap(({ words, shared }) => {
    const rows = shared.map(({ mine, theirs, arena, start, end }) => {
      const names = mine.id === theirs.id ? mine.id : `${mine.id}, which takes the place of ${theirs.id}`;
      return [names, formatBytes(end - start), `${arena} [${start}, ${end})`];
    });
    return [`  ${words}:`, ...fitRows(rows, { alignment: "lrl", indent: "    ", width })];
  });
}

function followers(id: string, among: readonly Instruction[]): string[] {
  const waiting = among.filter(({ waits: all }) => all.some(({ on }) => on === id)).map((one) => one.id);
  if (waiting.length <= FOLLOWERS_SHOWN) return waiting;
  return [...waiting.slice(0, FOLLOWERS_SHOWN), `and ${waiting.length - FOLLOWERS_SHOWN} more`];
}

function procedureOf(plan: AnyPlan, { procedure: id }: Extract<Instruction, { kind: "run" }>) {
  const procedure = plan.procedures.find((candidate) => candidate.id === id);
  invariant(procedure, `the verifier let an unknown procedure through: ${id}`);
  return procedure;
}
