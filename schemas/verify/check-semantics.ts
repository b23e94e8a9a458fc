/**
 * The instructions are those of a step: per micro-batch the embedding, every block upwards, the norm, the head, then
 * backwards through norm and blocks downwards, each once and each fed by its neighbour. Read off the flow of bytes
 * (`step-flow.ts`); blocks are numbered by their place in `units`.
 */
import type { PlanUnit, ProgramName } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { overlappingPairs } from "./intervals.ts";
import type { PlanIndex } from "./plan-index.ts";
import { type FlowNode, stepFlow } from "./step-flow.ts";

export const checkSemantics = defineCheck({
  name: "semantics",
  proves: "Each unit's forward and backward happen once per micro-batch, in dependency order.",
  codes: ["verify.semantics"],
  run(index, report) {
    new StepSemantics(index, "train-step", report).check();
    if (index.part("evaluate", "steady").length > 0) new StepSemantics(index, "evaluate", report).check();
  },
});

type Pass = "forward" | "backward";

class StepSemantics {
  readonly #index: PlanIndex;
  readonly #program: ProgramName;
  readonly #report: Report<"verify.semantics">;
  readonly #nodes: readonly FlowNode[];
  readonly #blocks: readonly PlanUnit[];

  constructor(index: PlanIndex, program: ProgramName, report: Report<"verify.semantics">) {
    this.#index = index;
    this.#program = program;
    this.#report = report;
    this.#nodes = stepFlow(index, program);
    this.#blocks = index.plan.units.filter(({ kind }) => kind === "block");
  }

  check(): void {
    this.#microBatches();
    for (const node of this.#nodes) {
      if (node.unit && node.role !== "embed") this.#feeding(node);
    }
    const passes: Pass[] = this.#program === "train-step" ? ["forward", "backward"] : ["forward"];
    for (const unit of this.#index.plan.units) {
      if (unit.kind === "embedding") continue;
      for (const pass of passes) this.#onceEach(unit, pass);
      if (this.#program === "evaluate" && this.#all(unit, "backward").length > 0) {
        this.#wrong(`programs.evaluate.steady`, `evaluate runs a backward of ${unit.id}`);
      }
    }
  }

  /** One embed per micro-batch, each over its own token ids, together over the whole step input. */
  #microBatches(): void {
    const { micro_batches, micro_batch, sequence_length } = this.#index.plan.shape;
    const embeds = this.#nodes.filter(({ role }) => role === "embed");
    const path = `programs.${this.#program}.steady`;
    if (embeds.length !== micro_batches) {
      this.#wrong(path, `${this.#program} embeds ${embeds.length} of ${micro_batches} micro-batches`);
    }
    const bytes = 4 * micro_batch * sequence_length;
    for (const { inputs, step } of embeds) {
      const read = inputs.reduce((sum, { start, end }) => sum + end - start, 0);
      if (read !== bytes) {
        this.#wrong(
          step.path,
          `${step.instruction.id} takes ${read} bytes of step input for ${bytes} of token ids`,
        );
      }
    }
    for (const [a, b] of overlappingPairs(
      embeds.flatMap(({ inputs, step }) => inputs.map((range) => ({ ...range, step }))),
    )) {
      this.#wrong(b.step.path, `${b.step.instruction.id} takes the token ids of ${a.step.instruction.id}`);
    }
  }

  /** A unit's run belongs to one micro-batch and is fed by its neighbours of that micro-batch and nothing else. */
  #feeding(node: FlowNode): void {
    const { step, microBatches, sources } = node;
    const { id } = step.instruction;
    if (microBatches.size !== 1) {
      this.#wrong(step.path, `${id} works on ${microBatches.size} micro-batches at once`);
      return;
    }
    const { allowed, needed } = this.#neighbours(node);
    for (const source of sources) {
      if (!allowed(source)) this.#wrong(step.path, `${id} is fed by ${source.step.instruction.id}`);
    }
    for (const { what, is } of needed) {
      if (![...sources].some(is)) this.#wrong(step.path, `${id} is not fed by ${what}`);
    }
  }

  #neighbours(node: FlowNode): {
    allowed: (source: FlowNode) => boolean;
    needed: { what: string; is: (source: FlowNode) => boolean }[];
  } {
    const { role, unit } = node;
    const from = (kind: PlanUnit["kind"], pass: Pass) => (source: FlowNode) =>
      source.unit?.kind === kind && source.role === pass;
    const forwardOf = (depth: number) => (source: FlowNode) =>
      depth < 0 ? source.role === "embed" : source.role === "forward" && source.unit === this.#blocks[depth];
    const top = this.#blocks.length - 1;
    const embedOrTop = { what: "the last block", is: forwardOf(top) };
    if (unit?.kind === "norm") {
      if (role === "forward") return { allowed: embedOrTop.is, needed: [embedOrTop] };
      const head = { what: "the head", is: from("head", "forward") };
      // The head's finishing touch may be handed on together with the norm's own output.
      const allowed = (source: FlowNode) =>
        embedOrTop.is(source) || head.is(source) || from("norm", "forward")(source);
      return { allowed, needed: [embedOrTop, head] };
    }
    if (unit?.kind === "head") {
      const norm = { what: "the norm", is: from("norm", "forward") };
      return { allowed: (source) => norm.is(source) || from("head", "forward")(source), needed: [norm] };
    }
    const depth = this.#blocks.indexOf(unit!);
    const below = { what: depth === 0 ? "the embedding" : "the block below", is: forwardOf(depth - 1) };
    if (role === "forward") return { allowed: below.is, needed: [below] };
    const above =
      depth === top
        ? { what: "the norm's backward", is: from("norm", "backward") }
        : {
            what: "the backward of the block above",
            is: (source: FlowNode) => source.role === "backward" && source.unit === this.#blocks[depth + 1],
          };
    const kept = {
      what: "its input or its kept activations",
      is: (s: FlowNode) => below.is(s) || forwardOf(depth)(s),
    };
    return { allowed: (source) => above.is(source) || kept.is(source), needed: [above, kept] };
  }

  #all(unit: PlanUnit, pass: Pass): FlowNode[] {
    return this.#nodes.filter((node) => node.unit === unit && node.role === pass);
  }

  /** A head unit computes loss and gradient in its forward, so it has no backward. */
  #onceEach(unit: PlanUnit, pass: Pass): void {
    const { micro_batches } = this.#index.plan.shape;
    const expected = unit.kind === "head" && pass === "backward" ? 0 : micro_batches;
    const found = this.#all(unit, pass);
    const distinct = new Set(found.flatMap(({ microBatches }) => [...microBatches]));
    if (found.length !== expected || distinct.size !== expected) {
      const path = found.at(-1)?.step.path ?? `programs.${this.#program}.steady`;
      this.#wrong(
        path,
        `${unit.id}: ${found.length} ${pass} runs of ${distinct.size} micro-batches, not ${expected}`,
      );
    }
  }

  #wrong(path: string, text: string): void {
    this.#report("verify.semantics", path, text);
  }
}
