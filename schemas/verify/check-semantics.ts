/**
 * The instructions are those of a step: per micro-batch the embedding, every block upwards, the norm, the head, then
 * backwards through norm and blocks downwards, each once, in ascending micro-batches, and each fed by its neighbour. Read off the flow of bytes
 * (`step-flow.ts`); blocks are numbered by their place in `units`.
 */
import type { PlanUnit, ProgramName } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import type { PlanIndex } from "./plan-index.ts";
import { type FlowNode, stepFlow } from "./step-flow.ts";

export const checkSemantics = defineCheck({
  name: "semantics",
  proves: "Each unit's forward and backward happen once per micro-batch, in dependency order.",
  codes: ["verify.semantics"],
  run(index, report) {
    for (const program of index.programNames) {
      // A checkpoint touches no unit; a training need not evaluate.
      if (program === "checkpoint") continue;
      if (program === "evaluate" && index.part(program, "steady").length === 0) continue;
      new StepSemantics(index, program, report).check();
    }
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
    this.#onceEach(
      "the embedding",
      this.#nodes.filter(({ role }) => role === "embed"),
      true,
    );
    for (const node of this.#nodes) {
      if (node.slices.size > 0 && node.microBatches.size > 1) {
        const { instruction, path } = node.step;
        this.#wrong(path, `${instruction.id} reads step inputs of one micro-batch and data of another`);
      }
      if (node.role === "forward" || node.role === "backward") this.#feeding(node);
    }
    for (const unit of this.#index.plan.units) {
      if (unit.kind === "embedding") continue;
      for (const pass of ["forward", "backward"] as const) {
        // A head unit computes loss and gradient in its forward; an evaluation has no backward at all.
        const wanted = pass === "forward" || (this.#program === "train-step" && unit.kind !== "head");
        const found = this.#nodes.filter((node) => node.unit === unit && node.role === pass);
        this.#onceEach(`the ${pass} of ${unit.id}`, found, wanted);
      }
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

  /** Once per micro-batch in ascending order, which fixes the order of every sum; or never. */
  #onceEach(what: string, found: readonly FlowNode[], wanted: boolean): void {
    const expected = wanted ? this.#index.plan.shape.micro_batches : 0;
    const order = found.map(({ microBatches }) => [...microBatches].join("+"));
    if (order.length === expected && order.every((microBatch, i) => microBatch === String(i))) return;
    const path = found.at(-1)?.step.path ?? `programs.${this.#program}.steady`;
    this.#wrong(
      path,
      `${this.#program}: ${what} runs for micro-batches [${order}], not for each of ${expected} in order`,
    );
  }

  #wrong(path: string, text: string): void {
    this.#report("verify.semantics", path, text);
  }
}
