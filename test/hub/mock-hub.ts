/**
 * A Hub on loopback, with what goes wrong on request. It speaks the parts of the Hub's web API and of Git LFS that lema
 * uses; files stand on a second origin, as the Hub's do, which must never see a token.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Bytes, or that many zeros which are nowhere in memory. */
export type Content = Buffer | { readonly zeros: number };

export interface HubFaults {
  /** Every download breaks off after so many bytes, this often. */
  cut?: { after: number; times: number };
  /** Uploads break off after so many bytes, this often. */
  cutUpload?: { after: number; times: number };
  /** Downloads send other bytes than the Hub describes. */
  damaged?: string;
  /** Ranges are ignored. */
  noRanges?: boolean;
  /** So many answers are 503 first. */
  busy?: number;
  /** Large files go up in parts of this size. */
  partBytes?: number;
  /** Commits are refused. */
  refuseCommit?: boolean;
  /** The repository answers under another name, as after a rename. */
  renamed?: string;
}

interface Stored {
  readonly content: Content;
  readonly large: boolean;
}

export class MockHub {
  readonly faults: HubFaults = {};
  /** What a token may do; no token is the empty string. */
  readonly tokens = new Map<string, "read" | "write" | "gated">([["good", "write"]]);
  publicly = true;
  commit = "1".repeat(40);
  readonly files = new Map<string, Stored>();
  /** Large-file storage: hex SHA-256 → bytes. */
  readonly storage = new Map<string, number>();
  readonly requests: string[] = [];
  readonly commits: string[][] = [];
  /** Whether the storage's origin ever saw a token. */
  tokenLeaked = false;
  exists = true;
  readonly #hub: Server;
  readonly #store: Server;
  readonly #parts = new Map<
    string,
    { hash: ReturnType<typeof createHash>; bytes: number; etags: string[] }
  >();

  constructor() {
    this.#hub = createServer((request, response) => void this.#answer(request, response));
    this.#store = createServer((request, response) => void this.#serve(request, response));
  }

  async start(): Promise<void> {
    for (const server of [this.#hub, this.#store])
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  }

  stop(): void {
    for (const server of [this.#hub, this.#store]) {
      server.closeAllConnections();
      server.close();
    }
  }

  get endpoint(): string {
    return origin(this.#hub);
  }

  put(name: string, content: Content | string, large = false): void {
    this.files.set(name, { content: typeof content === "string" ? Buffer.from(content) : content, large });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    const url = new URL(request.url!, this.endpoint);
    this.requests.push(`${request.method} ${url.pathname}`);
    const { busy = 0, renamed } = this.faults;
    if (busy > 0) {
      this.faults.busy = busy - 1;
      request.resume();
      return end(response, 503, { error: "busy" });
    }
    const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
    const right = this.tokens.get(token) ?? (token === "" && this.publicly ? "read" : undefined);
    if (right === undefined) return end(response, 401, { error: "Invalid username or password." });
    if (right === "gated") return end(response, 403, { error: "Access to model org/model is restricted." });
    const body = request.method === "POST" ? await text(request) : "";
    if (url.pathname === "/api/repos/create") {
      if (right !== "write") return end(response, 403, { error: "You don't have the rights." });
      const status = this.exists ? 409 : 200;
      this.exists = true;
      return end(response, status, { name: JSON.parse(body).name });
    }
    if (!url.pathname.includes("org/model") || !this.exists) {
      response.setHeader("x-error-code", "RepoNotFound");
      return end(response, 404, { error: "Repository not found" });
    }
    if (renamed !== undefined && !url.pathname.includes(renamed)) {
      response.setHeader("location", url.pathname.replace("org/model", renamed) + url.search);
      return end(response, 307, {});
    }
    const path = url.pathname.replace(renamed ?? "org/model", "org/model");
    if (path.startsWith("/api/models/org/model/revision/")) return this.#revision(path, response);
    if (path.startsWith("/org/model/resolve/")) return this.#resolve(path, response);
    if (path === "/api/models/org/model/preupload/main") return this.#preupload(body, response);
    if (path === "/org/model.git/info/lfs/objects/batch") return this.#batch(body, response);
    if (path === "/api/models/org/model/commit/main") return this.#accept(body, response);
    if (path === "/verify" || path === "/org/model/verify") return end(response, 200, {});
    return end(response, 404, { error: `no such path ${path}` });
  }

  #revision(path: string, response: ServerResponse): unknown {
    const revision = decodeURIComponent(path.split("/").at(-1)!);
    if (!["main", this.commit].includes(revision)) return end(response, 404, { error: "Invalid rev id" });
    const siblings = [...this.files].map(([rfilename, { content, large }]) => ({
      rfilename,
      size: sizeOf(content),
      blobId: gitDigest(content),
      ...(large ? { lfs: { sha256: sha256(content), size: sizeOf(content), pointerSize: 134 } } : {}),
    }));
    return end(response, 200, { sha: this.commit, siblings });
  }

  #resolve(path: string, response: ServerResponse): unknown {
    const name = decodeURIComponent(path.split("/").at(-1)!);
    if (!this.files.has(name)) return end(response, 404, { error: "Entry not found" });
    response.setHeader("location", `${origin(this.#store)}/file/${encodeURIComponent(name)}`);
    return end(response, 302, {});
  }

  #preupload(body: string, response: ServerResponse): unknown {
    const { files } = JSON.parse(body) as { files: { path: string }[] };
    const modes = files.map(({ path }) => ({
      path,
      uploadMode: path.endsWith(".safetensors") ? "lfs" : "regular",
      shouldIgnore: false,
    }));
    return end(response, 200, { files: modes });
  }

  #batch(body: string, response: ServerResponse): unknown {
    const { objects } = JSON.parse(body) as { objects: { oid: string; size: number }[] };
    const { oid, size } = objects[0]!;
    if (this.storage.has(oid)) return end(response, 200, { objects: [{ oid, size }] });
    const { partBytes } = this.faults;
    const store = origin(this.#store);
    const href = partBytes === undefined ? `${store}/lfs/${oid}` : `${store}/complete/${oid}`;
    const count = partBytes === undefined ? 0 : Math.ceil(size / partBytes);
    const parts = Array.from({ length: count }, (_, i) => [
      `${i + 1}`.padStart(5, "0"),
      `${store}/part/${oid}/${i}`,
    ]);
    const header =
      partBytes === undefined ? {} : { chunk_size: `${partBytes}`, ...Object.fromEntries(parts) };
    const verify = { href: `${this.endpoint}/org/model/verify`, header: {} };
    return end(response, 200, { objects: [{ oid, size, actions: { upload: { href, header }, verify } }] });
  }

  #accept(body: string, response: ServerResponse): unknown {
    if (this.faults.refuseCommit) return end(response, 412, { error: "A commit has happened since." });
    const names: string[] = [];
    for (const line of body
      .trim()
      .split("\n")
      .map((text) => JSON.parse(text))) {
      const { key, value } = line;
      if (key === "lfsFile") {
        if (this.storage.get(value.oid) !== value.size)
          return end(response, 400, { error: "no such object" });
        this.put(value.path, { zeros: value.size }, true);
        known.set(this.files.get(value.path)!.content, value.oid);
        names.push(value.path);
      } else if (key === "file") {
        this.put(value.path, Buffer.from(value.content, "base64"));
        names.push(value.path);
      }
    }
    this.commits.push(names);
    this.commit = `${this.commits.length + 1}`.repeat(40).slice(0, 40);
    return end(response, 200, { commitOid: this.commit, commitUrl: "" });
  }

  /** The storage's origin. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    if (request.headers.authorization !== undefined) this.tokenLeaked = true;
    const [, kind, id = "", part] = decodeURIComponent(request.url!).split("/");
    this.requests.push(`${request.method} ${kind} ${request.headers.range ?? ""}`.trim());
    if (kind === "file") return this.#download(id, request, response);
    if (kind === "complete") {
      const { oid, parts } = JSON.parse(await text(request)) as { oid: string; parts: { etag: string }[] };
      const { hash, bytes, etags } = this.#parts.get(oid)!;
      const right = parts.map(({ etag }) => etag).join() === etags.join() && hash.digest("hex") === oid;
      if (right) this.storage.set(oid, bytes);
      return end(response, right ? 200 : 400, right ? {} : { error: "wrong parts" });
    }
    return this.#upload(id, part, request, response);
  }

  async #upload(
    oid: string,
    part: string | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<unknown> {
    const { cutUpload } = this.faults;
    const hash = createHash("sha256");
    const pieces: Buffer[] = [];
    let bytes = 0;
    if (request.headers["transfer-encoding"] !== undefined) return end(response, 501, { error: "no chunks" });
    try {
      for await (const piece of request as AsyncIterable<Buffer>) {
        bytes += piece.length;
        if (cutUpload !== undefined && cutUpload.times > 0 && bytes >= cutUpload.after) {
          cutUpload.times--;
          request.socket.destroy();
          return;
        }
        if (part === undefined) hash.update(piece);
        else pieces.push(piece);
      }
    } catch {
      return;
    }
    if (part === undefined) {
      if (hash.digest("hex") !== oid) return end(response, 400, { error: "wrong content" });
      this.storage.set(oid, bytes);
      return end(response, 200, {});
    }
    const whole = this.#parts.get(oid) ?? { hash: createHash("sha256"), bytes: 0, etags: [] };
    for (const piece of pieces) whole.hash.update(piece);
    whole.bytes += bytes;
    whole.etags.push(`"${part}-${bytes}"`);
    this.#parts.set(oid, whole);
    response.setHeader("etag", `"${part}-${bytes}"`);
    return end(response, 200, {});
  }

  #download(name: string, request: IncomingMessage, response: ServerResponse): void {
    const { content } = this.files.get(name)!;
    const { cut, noRanges, damaged } = this.faults;
    const size = sizeOf(content);
    const from = noRanges ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(from > 0 ? 206 : 200, { "content-length": size - from });
    const breaks = cut !== undefined && cut.times > 0 && size - from > cut.after;
    if (breaks) cut.times--;
    const last = breaks ? from + cut.after : size;
    let at = from;
    const more = (): void => {
      while (at < last) {
        const end = Math.min(last, at + 2 ** 18);
        const piece = Buffer.isBuffer(content)
          ? Buffer.from(content.subarray(at, end))
          : Buffer.alloc(end - at);
        if (damaged === name && at === from) piece[0]! ^= 1;
        at = end;
        if (!response.write(piece)) return void response.once("drain", more);
      }
      if (breaks) setTimeout(() => response.destroy(), 20);
      else response.end();
    };
    more();
  }
}

/** SHA-256 of contents that are only zeros here. */
const known = new WeakMap<Content, string>();

export function sha256(content: Content): string {
  const seen = known.get(content);
  if (seen !== undefined) return seen;
  const digest = digestOf(createHash("sha256"), content);
  known.set(content, digest);
  return digest;
}

function gitDigest(content: Content): string {
  if (!Buffer.isBuffer(content)) return "0".repeat(40); // The blob of a large file is its pointer.
  return digestOf(createHash("sha1").update(`blob ${sizeOf(content)}\0`), content);
}

function digestOf(hash: ReturnType<typeof createHash>, content: Content): string {
  if (Buffer.isBuffer(content)) return hash.update(content).digest("hex");
  const piece = Buffer.alloc(2 ** 20);
  for (let left = content.zeros; left > 0; left -= piece.length)
    hash.update(left < piece.length ? piece.subarray(0, left) : piece);
  return hash.digest("hex");
}

function sizeOf(content: Content): number {
  return Buffer.isBuffer(content) ? content.length : content.zeros;
}

function origin(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function end(response: ServerResponse, status: number, body: object): ServerResponse {
  return response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function text(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}
