/** Who the server answers, over real sockets: names, origins, tokens, sizes and kinds of bodies. */
import { request } from "node:http";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { isLoopback } from "../../../chat/server/guards.ts";
import { MODEL, type Started, type StartOptions, start } from "./start.ts";

let server: Started;
afterEach(() => server?.listening.close());

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Unlike fetch, sends any Host and Origin. */
async function ask(
  options: StartOptions,
  { path = "/v1/models", method = "GET", headers, body }: Asked = {},
) {
  server = await start(options);
  const { port } = server.listening;
  return new Promise<{ status: number; headers: object; text: string }>((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, method, headers }, async (response) => {
      let text = "";
      for await (const piece of response) text += piece;
      resolve({ status: response.statusCode!, headers: response.headers, text });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}
const codeOf = ({ text }: { text: string }): string => JSON.parse(text).error.code;

const post = (body: string, headers: Readonly<Record<string, string>> = {}): Asked => ({
  path: "/v1/chat/completions",
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body,
});
const sound = JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hi" }] });

describe("Host", () => {
  it.each(["localhost", "localhost:1234", "LOCALHOST:80", "127.0.0.1:80", "127.9.9.9", "[::1]:8080"])(
    "%s is this machine",
    async (host) => {
      expect((await ask({}, { headers: { host } })).status).toBe(200);
    },
  );

  it.each([
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "10.0.0.1",
  ])("%s is not", async (host) => {
    const refused = await ask({}, { headers: { host } });
    expect([refused.status, codeOf(refused)]).toEqual([403, "wrong_host"]);
    // Nor does the page load there.
    await server.listening.close();
    expect((await ask({}, { path: "/", headers: { host } })).status).toBe(403);
  });

  it("may be any where the server is meant for others, who have the token", async () => {
    const app = { hosts: "any", token: "t" } as const;
    const headers = { host: "lema.example", authorization: "Bearer t" };
    expect((await ask({ app }, { headers })).status).toBe(200);
  });
});

describe("Origin", () => {
  it.each([
    ["http://localhost:1", 200],
    ["https://localhost:1", 200],
    ["http://localhost:2", 403],
    ["http://evil.example", 403],
    ["null", 403],
  ])("%s: %i", async (origin, status) => {
    const answer = await ask({}, post(sound, { host: "localhost:1", origin }));
    expect(answer.status).toBe(status);
    if (status === 403) expect(codeOf(answer)).toBe("wrong_origin");
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
  });

  it("is not asked about before a request (CORS preflight): nothing is allowed", async () => {
    const headers = { origin: "http://evil.example", "access-control-request-method": "POST" };
    expect((await ask({}, { method: "OPTIONS", headers })).status).toBe(403);
  });
});

describe("a token", () => {
  const app = { token: "sesame" };

  it.each([
    ["Bearer sesame", 200],
    ["bearer sesame", 200],
    ["Bearer sesam", 401],
    ["Bearer", 401],
    ["Basic sesame", 401],
    [undefined, 401],
  ])("%s: %i", async (authorization, status) => {
    const answer = await ask({ app }, { headers: authorization === undefined ? {} : { authorization } });
    expect(answer.status).toBe(status);
    if (status === 401) expect(codeOf(answer)).toBe("invalid_api_key");
  });

  it("is asked for before anything is read", async () => {
    expect((await ask({ app }, post("not JSON"))).status).toBe(401);
  });

  it("is not needed for the page, which has none in it", async () => {
    const { status, text } = await ask({ app }, { path: "/" });
    expect(status).toBe(200);
    expect(text).not.toContain("sesame");
  });
});

describe("a body", () => {
  it.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])(
    "of type %s is refused, as a form could send it",
    async (type) => {
      expect((await ask({}, post(sound, { "content-type": type }))).status).toBe(415);
    },
  );

  it("may say its encoding", async () => {
    expect((await ask({}, post(sound, { "content-type": "Application/JSON; charset=utf-8" }))).status).toBe(
      200,
    );
  });

  it("is refused when it is too large, whether it says so or not", async () => {
    const large = JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "x".repeat(30_000) }] });
    const refused = await ask({}, post(large));
    expect([refused.status, codeOf(refused)]).toEqual([413, "context_length_exceeded"]);
    await server.listening.close();
    expect((await ask({}, post(large, { "transfer-encoding": "chunked" }))).status).toBe(413);
  });

  it.each(["", "{", "[]", "7", "null"])("%j is no request", async (body) => {
    const { status, text } = await ask({}, post(body));
    expect(status).toBe(400);
    expect(JSON.parse(text).error).toMatchObject({ type: "invalid_request_error", param: null });
  });
});

it("there is nothing elsewhere, in the same shape", async () => {
  const { status, text } = await ask({}, { path: "/v1/embeddings" });
  expect(status).toBe(404);
  expect(JSON.parse(text).error.message).toContain("/v1/embeddings");
});

it("answers say what browsers may do with them", async () => {
  const { headers } = await ask({}, { path: "/" });
  expect(headers).toMatchObject({
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": expect.stringMatching(/^default-src 'none'.*frame-ancestors 'none'$/),
  });
});

it("a request without a sound head is refused, and the server goes on", async () => {
  server = await start();
  const reply = await new Promise<string>((resolve) => {
    const socket = connect(server.listening.port, "127.0.0.1", () =>
      socket.end("GET /v1/models HTTP/1.0\r\n\r\n"),
    );
    let text = "";
    socket.on("data", (data) => {
      text += data;
    });
    socket.on("close", () => resolve(text));
  });
  expect(reply).toMatch(/^HTTP\/1\.1 403 /);
  expect((await fetch(`${server.url}/v1/models`)).status).toBe(200);
});

it("knows which addresses only this machine reaches", () => {
  const loopback = ["localhost", "127.0.0.1", "127.255.0.1", "::1"];
  const others = ["0.0.0.0", "::", "192.168.0.1", "127.evil.example", "example.com", ""];
  expect(loopback.map(isLoopback)).toEqual(loopback.map(() => true));
  expect(others.map(isLoopback)).toEqual(others.map(() => false));
});
