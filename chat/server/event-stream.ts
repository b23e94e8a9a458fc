/** A completion as server-sent events. */
import type { Completion } from "../complete.ts";
import { asApiError } from "./api-error.ts";
import type { Completing } from "./completions.ts";
import { chunk, finishReason, type ReplyHead, type ReplyShape, usageChunk } from "./responses.ts";

/** A completion that has been answered, or what failed; neither where a reader left the stream. */
export interface Outcome {
  readonly completion: Completion | null;
  /** What was thrown. */
  readonly error: unknown;
}

/** The events, as text; an error that comes so late can only be an event of its own. */
export async function* eventsOf(
  completing: Completing,
  { shape, head, usage }: { readonly shape: ReplyShape; readonly head: ReplyHead; readonly usage: boolean },
  onEnd: (outcome: Outcome) => void,
): AsyncGenerator<string> {
  const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;
  // Clients that want counts expect the field in every chunk.
  const part = (part: object, finish: "stop" | "length" | null): string =>
    event({ ...chunk(shape, head, part, finish), ...(usage && { usage: null }) });
  let outcome: Outcome = { completion: null, error: null };
  try {
    for (const first of shape.first) yield part(first, null);
    for (;;) {
      const { value, done } = await completing.next();
      if (!done) {
        yield part(shape.piece(value), null);
        continue;
      }
      outcome = { completion: value, error: null };
      yield part(shape.last, finishReason(value));
      if (usage) yield event(usageChunk(shape, head, value));
      yield "data: [DONE]\n\n";
      return;
    }
  } catch (error) {
    outcome = { completion: null, error };
    yield event(asApiError(error).body);
  } finally {
    // A reader that left ends the generation, and so gives the turn to the next.
    await completing.return(undefined as never);
    onEnd(outcome);
  }
}

/** A line that clients pass over, so that neither they nor what stands between take a silent stream for a dead one. */
const COMMENT = ": waiting\n\n";
const SILENCE_MILLISECONDS = 15_000;

/**
 * The texts as a stream, written whether somebody reads or not: a reader that is slow must not hold the session, and a
 * reply is never larger than a context. `onCancel`: the reader has left. `silence`: after so many milliseconds without a
 * text, as while a request waits for its turn, a comment is written.
 */
export function streamOf(
  texts: AsyncGenerator<string>,
  onCancel: () => void,
  silence = SILENCE_MILLISECONDS,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let left = false;
  let waiting: NodeJS.Timeout | undefined;
  const write = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    waiting = setInterval(() => controller.enqueue(encoder.encode(COMMENT)), silence);
    for await (const text of texts) {
      if (left) return;
      waiting.refresh();
      controller.enqueue(encoder.encode(text));
    }
    clearInterval(waiting);
    if (!left) controller.close();
  };
  return new ReadableStream<Uint8Array>({
    start(controller) {
      write(controller)
        .catch((error: unknown) => controller.error(error))
        .finally(() => clearInterval(waiting));
    },
    cancel() {
      left = true;
      clearInterval(waiting);
      onCancel();
    },
  });
}
