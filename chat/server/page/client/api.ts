/** The server's API as the page uses it: the model, and replies piece by piece. */

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ReplyRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly temperature: number;
  readonly max_completion_tokens: number | null;
}

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** What a reply took, and whether it came to its own end. */
export interface Outcome {
  readonly usage: Usage;
  readonly finish: "stop" | "length";
}

interface Chunk {
  readonly choices?: readonly {
    readonly delta: { readonly content?: string };
    readonly finish_reason: Outcome["finish"] | null;
  }[];
  readonly usage?: Usage | null;
  readonly error?: { readonly message: string; readonly code: string | null };
}

/** What the server refused with. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string | null;

  constructor(status: number, message: string, code: string | null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export interface Model {
  readonly id: string;
  /** Tokens of its context. */
  readonly max_model_len: number;
}

export async function servedModel(token: string): Promise<Model> {
  const response = await fetch("/v1/models", { headers: headers(token) });
  await refuseUnless(response);
  const { data } = (await response.json()) as { readonly data: readonly Model[] };
  return data[0]!;
}

/** Calls `onPiece` with each piece of the reply. Rejects also where the stream breaks off. */
export async function streamReply(
  request: ReplyRequest,
  token: string,
  signal: AbortSignal,
  onPiece: (piece: string) => void,
): Promise<Outcome> {
  const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } });
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { ...headers(token), "Content-Type": "application/json" },
    body,
    signal,
  });
  await refuseUnless(response);
  let usage: Usage | null = null;
  let finish: Outcome["finish"] | null = null;
  for await (const data of eventsOf(response.body!)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new Refusal(response.status, chunk.error.message, chunk.error.code);
    usage = chunk.usage ?? usage;
    const choice = chunk.choices?.[0];
    finish = choice?.finish_reason ?? finish;
    if (choice?.delta.content) onPiece(choice.delta.content);
  }
  if (usage === null || finish === null) throw new Error("the stream broke off");
  return { usage, finish };
}

/** The data of server-sent events, which this server writes on one line each. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const events = text.split("\n\n");
    text = events.pop()!;
    for (const event of events) if (event.startsWith("data: ")) yield event.slice("data: ".length);
  }
}

async function refuseUnless(response: Response): Promise<void> {
  if (response.ok) return;
  const { error } = (await response.json().catch(() => ({}))) as Chunk;
  throw new Refusal(response.status, error?.message ?? response.statusText, error?.code ?? null);
}

function headers(token: string): Record<string, string> {
  return token === "" ? {} : { Authorization: `Bearer ${token}` };
}
