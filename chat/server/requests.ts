/**
 * Bodies of OpenAI's API, read strictly: what lema does is done, what asks for nothing is accepted, and all else is
 * refused by name, so that no option is ignored without a word.
 */
import { randomInt } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import type { Message } from "../../data/formats/format.ts";
import { invariant } from "../../schemas/diagnostic.ts";
import type { CompletionOptions } from "../complete.ts";
import { ApiError } from "./api-error.ts";

export interface CompletionRequest {
  readonly model: string;
  readonly options: Omit<CompletionOptions, "signal">;
  readonly stream: boolean;
  /** Whether a stream ends with the counts of tokens. */
  readonly usage: boolean;
}
export interface ChatRequest extends CompletionRequest {
  readonly messages: readonly Message[];
}
export interface TextRequest extends CompletionRequest {
  /** Text, or ids as they are to be fed. */
  readonly prompt: string | readonly number[];
}

/** Accepted where it has one of these values, which ask for nothing; null and absence always do. */
const WITHOUT_EFFECT: Readonly<Record<string, readonly unknown[]>> = {
  n: [1],
  best_of: [1],
  echo: [false],
  suffix: [""],
  logprobs: [false],
  top_logprobs: [0],
  frequency_penalty: [0],
  presence_penalty: [0],
  logit_bias: [{}],
  response_format: [{ type: "text" }],
  modalities: [["text"]],
  tools: [[]],
  tool_choice: ["none", "auto"],
  parallel_tool_calls: [true, false],
  functions: [[]],
  function_call: ["none", "auto"],
  store: [false],
  service_tier: ["auto", "default"],
  audio: [],
  prediction: [],
  reasoning_effort: [],
  verbosity: [],
  web_search_options: [],
};
/** They tell a service who asks and what for. */
const FOR_THE_RECORD = [
  "user",
  "metadata",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
];

const MAX_STOPS = 4;
const stopString = z.string().min(1);
const shared = {
  model: z.string(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  // These three are no part of OpenAI's API; vLLM and llama.cpp call them so.
  top_k: z.int().positive().nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().positive().nullish(),
  seed: z.int().nullish(),
  stop: z
    .union([stopString, z.array(stopString).max(MAX_STOPS)], {
      error: `expected a text or up to ${MAX_STOPS}, none of them empty`,
    })
    .nullish(),
  max_tokens: z.int().positive().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.literal(false).nullish() })
    .nullish(),
};
type Shared = z.infer<z.ZodObject<typeof shared>>;

const content = z.union(
  [z.string(), z.array(z.strictObject({ type: z.literal("text"), text: z.string() })).min(1)],
  { error: "expected a text, or a list of parts of type text" },
);
const nothing = z.union([z.null(), z.array(z.unknown()).length(0)], { error: "not supported" }).optional();
const message = z.strictObject({
  role: z.enum(["system", "developer", "user", "assistant"]),
  content,
  // What the API's own replies carry, which clients send back.
  refusal: nothing,
  annotations: nothing,
  audio: nothing,
  tool_calls: nothing,
  function_call: nothing,
});
const chatBody = z.strictObject({
  ...shared,
  messages: z.array(message).min(1),
  max_completion_tokens: z.int().positive().nullish(),
});
const tokens = z.array(z.int().nonnegative()).min(1);
const textBody = z.strictObject({
  ...shared,
  prompt: z.union([z.string(), tokens, z.tuple([z.string()]), z.tuple([tokens])], {
    error: "expected one text, or one list of token ids",
  }),
});

/** OpenAI's default for `/v1/completions`. */
const TEXT_TOKENS = 16;

/** Throws an `ApiError` that names the first thing that is wrong. */
export function readChatRequest(body: unknown): ChatRequest {
  const { messages, max_completion_tokens, ...rest } = parse(chatBody, body);
  if (max_completion_tokens != null && rest.max_tokens != null)
    throw new ApiError(400, "max_tokens is the old name of max_completion_tokens; give one of them", {
      param: "max_tokens",
    });
  const read = messages.map(({ role, content }) => ({
    role: role === "developer" ? "system" : role,
    content: typeof content === "string" ? content : content.map(({ text }) => text).join(""),
  }));
  return { ...common(rest, max_completion_tokens ?? rest.max_tokens ?? null), messages: read };
}

/** Throws an `ApiError` that names the first thing that is wrong. */
export function readTextRequest(body: unknown): TextRequest {
  const { prompt, ...rest } = parse(textBody, body);
  const single = typeof prompt !== "string" && typeof prompt[0] !== "number" ? prompt[0] : prompt;
  invariant(single !== undefined, "a prompt of one item has none");
  return { ...common(rest, rest.max_tokens ?? TEXT_TOKENS), prompt: single as string | readonly number[] };
}

function common(body: Shared, maxTokens: number | null): CompletionRequest {
  const { model, temperature, top_p, top_k, min_p, repetition_penalty, seed, stop, stream } = body;
  return {
    model,
    options: {
      maxTokens,
      sampling: {
        temperature: temperature ?? 1,
        topK: top_k ?? null,
        topP: top_p ?? 1,
        minP: min_p ?? 0,
        repetitionPenalty: repetition_penalty ?? 1,
        seed: seedOf(seed ?? null),
      },
      stops: [stop ?? []].flat(),
    },
    stream: stream ?? false,
    usage: body.stream_options?.include_usage ?? false,
  };
}

/** Seeds are whole numbers from 0; OpenAI's may be negative. Without one, replies differ from each other. */
function seedOf(seed: number | null): number {
  if (seed === null) return randomInt(2 ** 47);
  return seed < 0 ? seed + 2 ** 53 : seed;
}

function parse<Schema extends z.ZodObject>(schema: Schema, body: unknown): z.infer<Schema> {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new ApiError(400, "the body is not a JSON object");
  const given: Record<string, unknown> = {};
  for (const [param, value] of Object.entries(body)) {
    if (Object.hasOwn(schema.shape, param)) given[param] = value;
    else checkWithoutEffect(param, value);
  }
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const param = issue.path.join(".");
  const missing = issue.message.endsWith("received undefined");
  throw new ApiError(400, missing ? `${param} is missing` : `${param}: ${issue.message}`, { param });
}

function checkWithoutEffect(param: string, value: unknown): void {
  if (FOR_THE_RECORD.includes(param) || value === null) return;
  const known = Object.hasOwn(WITHOUT_EFFECT, param) ? WITHOUT_EFFECT[param]! : null;
  if (known === null)
    throw new ApiError(400, `unknown parameter: ${param}`, { param, code: "unknown_parameter" });
  if (known.some((one) => isDeepStrictEqual(one, value))) return;
  const allowed = known.map((one) => JSON.stringify(one)).join(" or ");
  const but = allowed === "" ? "" : `, but for ${allowed}`;
  throw new ApiError(400, `${param} is not supported${but}`, { param, code: "unsupported_parameter" });
}
