/**
 * HTTP as the Hub needs it: bodies that are streams of known length, redirects, and errors that say whether trying
 * again may help.
 *
 * Invariants: no body is held in memory, in neither direction; an `authorization` header never goes to another origin
 * than the one it was meant for, nor over an unencrypted connection that leaves this machine.
 */
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from "node:http";
import { request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text, or a stream of exactly `bytes` bytes. */
  readonly body?: string | { readonly bytes: number; readonly open: () => Readable };
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Must be read to its end or destroyed. */
  readonly body: IncomingMessage;
}

/** The connection failed or fell silent: trying again may help. */
export class ConnectionError extends Error {}

/** How long a connection may be silent. */
const IDLE_MS = 60_000;
const MAX_REDIRECTS = 5;
/** Longest answer that is read into memory: lists of files, never files. */
const MAX_TEXT_BYTES = 32 * 2 ** 20;

/** Sends a request; follows redirects of requests without a stream. Throws `ConnectionError`. */
export async function send(request: HttpRequest, redirects = MAX_REDIRECTS): Promise<HttpResponse> {
  const response = await sendOnce(request);
  const { location } = response.headers;
  const { body = "" } = request;
  if (
    ![301, 302, 303, 307, 308].includes(response.status) ||
    location === undefined ||
    typeof body !== "string"
  )
    return response;
  response.body.destroy();
  if (redirects === 0) throw new Error(`${request.url} redirects too often`);
  const url = new URL(location, request.url);
  if (!mayFollow(request.url, url))
    throw new Error(`${request.url} redirects to ${url.origin}, which is not encrypted`);
  const { authorization, ...others } = request.headers ?? {};
  const keeps = authorization !== undefined && url.origin === request.url.origin;
  return send({ ...request, url, headers: keeps ? { ...others, authorization } : others }, redirects - 1);
}

/** Whether a token may be sent to `url`: it is encrypted, or it stays on this machine. */
export function isPrivate(url: URL): boolean {
  return url.protocol === "https:" || ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
}

/** The whole answer as text. Throws `ConnectionError`. */
export async function readText(response: HttpResponse): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of readPieces(response)) {
    bytes += piece.length;
    if (bytes > MAX_TEXT_BYTES) throw new Error("the answer is too long");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** The body piece by piece. Throws `ConnectionError` where it is cut off. */
export async function* readPieces({ body }: HttpResponse): AsyncGenerator<Buffer> {
  try {
    yield* body as AsyncIterable<Buffer>;
  } catch (error) {
    throw new ConnectionError((error as Error).message);
  }
  if (!body.complete) throw new ConnectionError("the connection was cut");
}

function mayFollow(from: URL, to: URL): boolean {
  return (
    to.protocol === "https:" || (to.protocol === "http:" && (from.protocol === "http:" || isPrivate(to)))
  );
}

async function sendOnce({ method, url, headers, body = "" }: HttpRequest): Promise<HttpResponse> {
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.bytes;
  const start = url.protocol === "https:" ? httpsRequest : httpRequest;
  const request = start(url, { method, headers: { ...headers, "content-length": length } });
  request.setTimeout(IDLE_MS, () => request.destroy(new Error(`${url.host} does not answer`)));
  const answer = answerOf(request);
  try {
    if (typeof body === "string") request.end(body);
    // A server may refuse and close before it has read everything; what it says counts more than the broken pipe.
    else
      await Promise.race([
        pipeline(body.open(), request).catch(() => undefined),
        answer.catch(() => undefined),
      ]);
    const response = await answer;
    return { status: response.statusCode ?? 0, headers: response.headers, body: response };
  } catch (error) {
    request.destroy();
    throw new ConnectionError((error as Error).message);
  }
}

function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    request.on("error", reject);
  });
  answer.catch(() => undefined); // It is awaited later than it may fail.
  return answer;
}
