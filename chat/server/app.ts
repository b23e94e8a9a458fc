/** The HTTP server as a function of requests: OpenAI's API below `/v1`, and a page to chat at `/`. */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import { encodePrompt } from "../../data/encode.ts";
import {
  type ChatModel,
  type Completion,
  checkFits,
  complete,
  completeReply,
  encodeConversation,
} from "../complete.ts";
import { ApiError, asApiError } from "./api-error.ts";
import { type Complete, type Completing, type CompletionLimits, Completions } from "./completions.ts";
import { eventsOf, type Outcome, streamOf } from "./event-stream.ts";
import { bearerToken, jsonBody, loopbackHost, sameOrigin } from "./guards.ts";
import { type CompletionRequest, readChatRequest, readTextRequest } from "./requests.ts";
import { chatShape, type ReplyShape, replyHead, textShape, wholeReply } from "./responses.ts";

export interface AppOptions {
  readonly model: ChatModel;
  /** What clients call the model. */
  readonly name: string;
  /** What decides a seeded reply beside the request, as `system_fingerprint`. */
  readonly fingerprint: string;
  /** Null where none is asked for. */
  readonly token: string | null;
  /** Whose names it answers to. */
  readonly hosts: "loopback" | "any";
  readonly limits: CompletionLimits & { readonly bodyBytes: number };
  /** Ends all requests. */
  readonly shutdown: AbortSignal;
  /** The page at `/`, and the policy of what it may load. */
  readonly page: { readonly html: string; readonly policy: string };
  readonly onServed: (served: Served) => void;
}

/** What has become of a request. */
export interface Served extends Outcome {
  readonly path: string;
}

export function createApp(options: AppOptions): Hono {
  const { model, name, fingerprint, token, limits, page, onServed } = options;
  const completions = new Completions(model, limits, options.shutdown);
  const created = Math.floor(Date.now() / 1000);
  // As vLLM tells how many tokens the context holds.
  const context = { max_model_len: model.cache.capacity };
  const card = { id: name, object: "model", created, owned_by: "lema", ...context };
  const app = new Hono();

  app.onError((error, c) => {
    const { status, body } = asApiError(error);
    onServed({ path: c.req.path, completion: null, error });
    return c.json(body, status, status === 503 ? { "Retry-After": "1" } : {});
  });
  app.notFound((c) => {
    throw new ApiError(404, `there is nothing at ${c.req.method} ${c.req.path}`);
  });
  app.use(secureHeaders({ strictTransportSecurity: false, xFrameOptions: "DENY" }));
  if (options.hosts === "loopback") app.use(loopbackHost);
  app.use(sameOrigin);
  app.get("/", (c) => c.html(page.html, 200, { "Content-Security-Policy": page.policy }));

  if (token !== null) app.use("/v1/*", bearerToken(token));
  app.use("/v1/*", jsonBody, bodyLimit({ maxSize: limits.bodyBytes, onError: refuseBody }));
  app.get("/v1/models", (c) => c.json({ object: "list", data: [card] }));
  app.get("/v1/models/:id{.+}", (c) => {
    checkModel(c.req.param("id"));
    return c.json(card);
  });
  app.post("/v1/chat/completions", async (c) => {
    const request = readChatRequest(await jsonOf(c));
    checkModel(request.model);
    return reply(c, request, completeReply, encodeConversation(model, request.messages), chatShape);
  });
  app.post("/v1/completions", async (c) => {
    const request = readTextRequest(await jsonOf(c));
    checkModel(request.model);
    return reply(c, request, complete, textPrompt(model, request.prompt), textShape);
  });
  return app;

  function checkModel(asked: string): void {
    if (asked === name) return;
    const message = `there is no model ${asked} here; this server has ${name}`;
    throw new ApiError(404, message, { code: "model_not_found", param: "model" });
  }

  async function reply(
    c: Context,
    request: CompletionRequest,
    how: Complete,
    prompt: readonly number[],
    shape: ReplyShape,
  ): Promise<Response> {
    checkFits(prompt, model.cache);
    completions.admit();
    const gone = new AbortController();
    c.req.raw.signal.addEventListener("abort", () => gone.abort());
    const completing = completions.run(how, prompt, request.options, gone.signal);
    const head = replyHead(shape, name, fingerprint);
    if (!request.stream) {
      const completion = await lastOf(completing);
      onServed({ path: c.req.path, completion, error: null });
      return c.json(wholeReply(shape, head, completion));
    }
    const events = eventsOf(completing, { shape, head, usage: request.usage }, (outcome) =>
      onServed({ path: c.req.path, ...outcome }),
    );
    const stream = streamOf(events, () => gone.abort());
    return c.body(stream, 200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
    });
  }
}

async function lastOf(completing: Completing): Promise<Completion> {
  for (;;) {
    const { value, done } = await completing.next();
    if (done) return value;
  }
}

/** Ids are checked, text is encoded with its BOS. */
function textPrompt({ cache, tokenizer }: ChatModel, prompt: string | readonly number[]): readonly number[] {
  const ids = typeof prompt === "string" ? encodePrompt(prompt, tokenizer) : prompt;
  const unknown = ids.find((id) => id >= cache.vocabulary);
  if (ids.length === 0) throw new ApiError(400, "the prompt is empty", { param: "prompt" });
  if (unknown === undefined) return ids;
  throw new ApiError(400, `there is no token ${unknown}; ids are below ${cache.vocabulary}`, {
    param: "prompt",
  });
}

async function jsonOf(c: Context): Promise<unknown> {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError(400, `the body is not JSON: ${(error as Error).message}`);
  }
}

function refuseBody(): never {
  const message = "the body is larger than this server accepts, and holds more than fits the context";
  throw new ApiError(413, message, { code: "context_length_exceeded" });
}
