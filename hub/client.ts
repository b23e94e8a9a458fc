/** The Hub's web API as far as lema uses it: who is asked, with which token, and what its refusals mean. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type DiagnosticCode, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { ConnectionError, type HttpRequest, type HttpResponse, isPrivate, readText, send } from "./http.ts";

export interface HubClient {
  /** Such as https://huggingface.co. */
  readonly endpoint: URL;
  readonly token: string | null;
  readonly userAgent: string;
  /** Pause before the first repetition; it doubles. */
  readonly retryMs: number;
}

export interface HubFile {
  readonly name: string;
  readonly bytes: number;
  /** `sha256:…` of a file in large-file storage, `git:…` (SHA-1 of the Git blob) of any other. */
  readonly digest: string;
}

export interface HubRevision {
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
}

export const DEFAULT_ENDPOINT = "https://huggingface.co";
/** How often in a row something may fail without progress. */
export const ATTEMPTS = 5;

/** What a header may carry of a token. */
const TOKEN = /^[\x21-\x7e]+$/;

/** A client for an endpoint. Throws `hub.bad-endpoint`, and `hub.unauthorized` for a token that is none. */
export function createClient(
  endpoint: string,
  { token, userAgent, retryMs = 1000 }: { token: string | null; userAgent: string; retryMs?: number },
): HubClient {
  if (token !== null && !TOKEN.test(token)) {
    const hint = "copy it anew from https://huggingface.co/settings/tokens, on one line and without quotes";
    throw hubError("hub.unauthorized", "HF_TOKEN holds a character that no token has", undefined, hint);
  }
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  const problem =
    url === null || !["http:", "https:"].includes(url.protocol)
      ? "is no web address"
      : token !== null && !isPrivate(url)
        ? "is not encrypted, and a token would be sent there"
        : undefined;
  if (url !== null && problem === undefined) return { endpoint: url, token, userAgent, retryMs };
  const hint = "set HF_ENDPOINT to an https address, or leave it unset";
  throw new DiagnosticError(
    diagnostic("hub.bad-endpoint", { summary: `the Hub's address ${endpoint} ${problem}`, hint }),
  );
}

/** Address below the endpoint. */
export function hubUrl({ endpoint }: HubClient, path: string): URL {
  return new URL(`${endpoint.pathname.replace(/\/$/, "")}/${path}`, endpoint);
}

/** Headers of a request to `url`: the token goes to the Hub alone. */
export function headersFor(client: HubClient, url: URL): Record<string, string> {
  const authorization =
    client.token !== null && url.origin === client.endpoint.origin
      ? { authorization: `Bearer ${client.token}` }
      : {};
  return { "user-agent": client.userAgent, ...authorization };
}

/**
 * Sends until it is answered: a failed connection, 429 and 5xx are tried again. Answers but 2xx are thrown as
 * diagnostics; `what` names the wanted thing in them.
 */
export async function ask(
  client: HubClient,
  request: HttpRequest,
  { what, allow = [] }: { readonly what: string; readonly allow?: readonly number[] },
): Promise<HttpResponse> {
  const headers = { ...headersFor(client, request.url), ...request.headers };
  return retrying(client, what, async () => {
    const response = await send({ ...request, headers });
    if ((response.status >= 200 && response.status < 300) || allow.includes(response.status)) return response;
    const reason = await reasonOf(response);
    if (response.status === 429 || response.status >= 500)
      throw new ConnectionError(`${response.status} ${reason}`);
    throw refusal(client, what, response.status, reason);
  });
}

/** Runs `action` again while it throws `ConnectionError`, at most `ATTEMPTS` times. Throws `hub.unreachable`. */
export async function retrying<T>(client: HubClient, what: string, action: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw asRefused(what, error);
      if (attempt === ATTEMPTS) throw unreachable(client, what, error.message);
      await sleep(client.retryMs * 2 ** (attempt - 1));
    }
  }
}

/** Sends and reads JSON of a shape. Throws `hub.refused` where it has another. */
export async function askJson<T>(
  client: HubClient,
  request: HttpRequest,
  { what, schema }: { readonly what: string; readonly schema: z.ZodType<T> },
): Promise<T> {
  const text = await readText(await ask(client, request, { what }));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw hubError("hub.refused", `the Hub's answer about ${what} is not JSON`);
  }
  const { data, error } = schema.safeParse(value);
  if (data === undefined || error)
    throw hubError(
      "hub.refused",
      `the Hub's answer about ${what} is not understood`,
      error?.issues[0]?.message,
    );
  return data;
}

const revisionSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: z.int().nonnegative(),
      blobId: z.string().regex(/^[0-9a-f]{40}$/),
      lfs: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().nonnegative() }).nullish(),
    }),
  ),
});

/** The commit that a branch, tag or commit means, and its files. */
export async function readRevision(client: HubClient, repo: string, revision: string): Promise<HubRevision> {
  const path = `api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const { sha, siblings } = await askJson(
    client,
    { method: "GET", url: hubUrl(client, path) },
    { what: revision === "main" ? repo : `${repo} at ${revision}`, schema: revisionSchema },
  );
  const files = siblings.map(({ rfilename: name, lfs, size, blobId }): [string, HubFile] => [
    name,
    lfs
      ? { name, bytes: lfs.size, digest: `sha256:${lfs.sha256}` }
      : { name, bytes: size, digest: `git:${blobId}` },
  ]);
  return { commit: sha, files: new Map(files) };
}

export function hubError(
  code: DiagnosticCode,
  summary: string,
  detail?: string,
  hint?: string,
): DiagnosticError {
  return new DiagnosticError(diagnostic(code, { summary, ...(detail && { detail }), ...(hint && { hint }) }));
}

/** What the Hub says of its refusal. */
async function reasonOf(response: HttpResponse): Promise<string> {
  const header = response.headers["x-error-message"];
  const text = await readText(response).catch(() => "");
  if (typeof header === "string") return header;
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === "string" ? error : "";
  } catch {
    return text.slice(0, 200);
  }
}

function refusal({ token }: HubClient, what: string, status: number, reason: string): DiagnosticError {
  if (status === 401) {
    const summary = `the Hub does not show ${what} ${token === null ? "without a token" : "for this token"}`;
    const hint =
      token === null
        ? "check the name; for a private or gated model set HF_TOKEN to a token of https://huggingface.co/settings/tokens"
        : "check the name, and that HF_TOKEN is a valid token";
    return hubError("hub.unauthorized", summary, reason, hint);
  }
  if (status === 403) {
    const hint = "accept the model's terms on its page, or use a token that is allowed to do this";
    return hubError("hub.unauthorized", `the Hub does not allow this with ${what}`, reason, hint);
  }
  if (status === 404) {
    const hint = "check the name and `--revision`";
    return hubError("hub.not-found", `the Hub has no ${what}`, reason, hint);
  }
  return hubError("hub.refused", `the Hub refused ${what} (${status})`, reason);
}

export function unreachable({ endpoint }: HubClient, what: string, reason: string): DiagnosticError {
  const hint = "what has arrived is kept: run the command again to go on";
  return hubError(
    "hub.unreachable",
    `${endpoint.host} cannot be reached for ${what}: ${reason}`,
    undefined,
    hint,
  );
}

/** An error of the protocol, such as an endless redirect; diagnostics and errors of the system stay as they are. */
function asRefused(what: string, error: unknown): unknown {
  if (error instanceof DiagnosticError || !(error instanceof Error) || "code" in error) return error;
  return hubError("hub.refused", `${what}: ${error.message}`);
}
