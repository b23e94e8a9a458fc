/** Ways to spoil a plan to generate; each works on any that streams through several slots. */
import type { GenerationPlan, Instruction } from "../../../../schemas/plan.ts";
import type { VerifyCode } from "../../../../schemas/verify/check.ts";

type Run = Extract<Instruction, { kind: "run" }>;

export function runs(plan: GenerationPlan, unit: RegExp, program: "decode" | "prefill" = "decode"): Run[] {
  return plan.programs[program].steady.filter(
    (one): one is Run => one.kind === "run" && one.unit !== null && unit.test(one.unit),
  );
}

/** The runs that attend, block by block. */
function attending(plan: GenerationPlan, program: "decode" | "prefill" = "decode"): Run[] {
  return runs(plan, /^L/, program).filter(({ bind }) => "k_cache" in bind);
}

function swap<Key extends string>(a: Record<Key, unknown>, b: Record<Key, unknown>, ...keys: Key[]): void {
  for (const key of keys) [a[key], b[key]] = [b[key], a[key]];
}

export const generationMutants: readonly {
  readonly name: string;
  readonly codes: readonly VerifyCode[];
  readonly apply: (plan: GenerationPlan) => void;
}[] = [
  {
    name: "two blocks exchange their caches in one program",
    codes: ["verify.cache"],
    apply: (plan) => {
      const [first, second] = attending(plan);
      swap(first!.bind, second!.bind, "k_cache", "v_cache");
    },
  },
  {
    name: "two blocks exchange their caches everywhere",
    codes: ["verify.cache"],
    apply: (plan) => {
      for (const program of ["decode", "prefill"] as const) {
        const [first, second] = attending(plan, program);
        swap(first!.bind, second!.bind, "k_cache", "v_cache");
      }
    },
  },
  {
    name: "keys and values exchange their places in one program",
    codes: ["verify.cache"],
    apply: (plan) => {
      const { bind } = attending(plan, "prefill")[1]!;
      [bind.k_cache, bind.v_cache] = [bind.v_cache!, bind.k_cache!];
    },
  },
  {
    name: "two blocks share one cache",
    codes: ["verify.state"],
    apply: (plan) => {
      const [{ keys, values }, second] = plan.caches as [
        GenerationPlan["caches"][number],
        GenerationPlan["caches"][number],
      ];
      Object.assign(second, structuredClone({ keys, values }));
      for (const program of ["decode", "prefill"] as const) {
        const [from, to] = attending(plan, program);
        Object.assign(
          to!.bind,
          structuredClone({ k_cache: from!.bind.k_cache, v_cache: from!.bind.v_cache }),
        );
      }
    },
  },
  {
    name: "a cache is shortened by a row",
    codes: ["verify.cache"],
    apply: (plan) => {
      plan.caches[1]!.shape[1]! -= 1;
    },
  },
  {
    name: "a cache is forgotten",
    codes: ["verify.cache"],
    apply: (plan) => {
      plan.caches.pop();
    },
  },
  {
    name: "a block attends before it appends",
    codes: ["verify.cache"],
    apply: (plan) => {
      const { procedure } = attending(plan)[0]!;
      const { calls } = plan.procedures.find(({ id }) => id === procedure)!;
      const attends = calls.findIndex(({ op }) => op === "attention_cached");
      const appends = calls.findIndex(({ op }) => op === "cache_append");
      calls.splice(appends, 0, ...calls.splice(attends, 1));
    },
  },
  {
    name: "the length of the caches is taken from another input",
    codes: ["verify.contents"],
    apply: (plan) => {
      const { bind } = attending(plan)[1]!;
      bind.kv_length = structuredClone(bind.new_tokens!);
    },
  },
  {
    name: "a cache is not emptied",
    codes: ["verify.undefined-read"],
    apply: (plan) => {
      const { prologue } = plan.programs.decode;
      prologue.splice(
        prologue.findIndex(({ id }) => id.startsWith("zero/")),
        1,
      );
    },
  },
  {
    name: "a cache is emptied in every step",
    codes: ["verify.cache"],
    apply: (plan) => {
      const { prologue, steady } = plan.programs.decode;
      const zero = structuredClone(prologue.find(({ id }) => id.startsWith("zero/"))!);
      steady.unshift({ ...zero, waits: [] });
    },
  },
  {
    name: "a cache lives in one program only",
    codes: ["verify.state"],
    apply: (plan) => {
      const buffer = plan.buffers.find(({ id }) => id === plan.caches[0]!.keys.buffer)!;
      buffer.lifetime = { program: "decode", start: 0, end: plan.programs.decode.prologue.length };
    },
  },
  {
    name: "a chunk of the head writes one row too far",
    codes: ["verify.logits"],
    apply: (plan) => {
      runs(plan, /^head/)[0]!.bind.logits!.offset += 4;
    },
  },
  {
    name: "two chunks of the head exchange their logits",
    codes: ["verify.logits"],
    apply: (plan) => {
      const [first, second] = runs(plan, /^head/, "prefill");
      swap(first!.bind, second!.bind, "logits");
    },
  },
  {
    name: "a block is left out of a prefill",
    codes: ["verify.semantics"],
    apply: (plan) => {
      const { steady } = plan.programs.prefill;
      const [, block] = runs(plan, /^L/, "prefill");
      steady.splice(steady.indexOf(block!), 1);
    },
  },
  {
    name: "rows of the embedding are gathered for another input",
    codes: ["verify.contents"],
    apply: (plan) => {
      const gather = plan.programs.decode.steady.find((one) => one.kind === "gather")!;
      gather.indices.offset = plan.step_inputs.find(({ name }) => name === "kv_length")!.at.offset;
    },
  },
];
