/** `lema serve` as a process: what it prints, whom it answers, and how it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { lema } from "./run-in-process.ts";

const MODEL = resolve("assets/lema-mini");
const PERU = [{ role: "user" as const, content: "What is the capital of Peru?" }];

interface Serving {
  readonly process: ChildProcess;
  readonly url: string;
  readonly output: { stdout: string; stderr: string };
}

let serving: Serving | null = null;
afterEach(() => {
  serving?.process.kill("SIGKILL");
  serving = null;
});

async function serve(
  options: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Serving> {
  const argv = ["--import", "tsx", "test/cli/exec-process.ts", "serve", MODEL, "--port", "0", ...options];
  const child = spawn(process.execPath, argv, { env: { ...process.env, ...env } });
  const output = { stdout: "", stderr: "" };
  child.stderr.on("data", (data) => {
    output.stderr += data;
  });
  const url = await new Promise<string>((found, failed) => {
    child.once("exit", () => failed(new Error(output.stderr)));
    child.stdout.on("data", (data) => {
      output.stdout += data;
      const address = /on (http:\S+);/.exec(output.stdout)?.[1];
      if (address !== undefined) found(address);
    });
  });
  serving = { process: child, url, output };
  return serving;
}

const client = ({ url }: Serving, apiKey = "none") =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });

describe("lema serve", () => {
  it("serves the model and logs what it did; a signal ends it cleanly", async () => {
    const server = await serve();
    expect(server.output.stdout).toMatch(
      /^Serving lema-mini on http:\/\/127\.0\.0\.1:\d+; OpenAI's API is at \/v1, a page to chat at \/\n$/,
    );
    const openai = client(server);
    const reply = await openai.chat.completions.create({
      model: "lema-mini",
      temperature: 0,
      messages: PERU,
    });
    expect(reply.choices[0]).toMatchObject({
      message: { content: "Lima is the capital of Peru, a country in South America." },
      finish_reason: "stop",
    });
    expect((await (await fetch(server.url)).text()).slice(0, 15)).toBe("<!doctype html>");
    const { prompt_tokens: read, completion_tokens: written } = reply.usage!;
    expect(server.output.stderr).toContain(
      `/v1/chat/completions: ${read} tokens read (0 of them known), ${written} written, stop\n`,
    );
    server.process.kill("SIGTERM");
    expect(await once(server.process, "exit")).toEqual([0, null]);
  });

  it("finishes a reply at the first signal, and ends it at the second", async () => {
    const server = await serve();
    const request = { model: "lema-mini", temperature: 2, seed: 1, messages: PERU, stream: true } as const;
    const bias = { repetition_penalty: 1e-9 };
    const stream = await client(server).chat.completions.create({ ...request, ...bias });
    const pieces = stream[Symbol.asyncIterator]();
    for (let i = 0; i < 5; i++) await pieces.next();
    server.process.kill("SIGINT");
    await expect.poll(() => server.output.stderr).toContain("again to stop at once");
    await pieces.next();
    server.process.kill("SIGINT");
    await expect(async () => {
      while (!(await pieces.next()).done);
    }).rejects.toThrow();
    expect(await once(server.process, "exit")).toEqual([0, null]);
  });

  it("asks for the token of LEMA_TOKEN or --token, under the name that it is given", async () => {
    const server = await serve(["--name", "mini/v1"], { LEMA_TOKEN: "sesame" });
    await expect(client(server).models.list()).rejects.toMatchObject({ status: 401 });
    const { data } = await client(server, "sesame").models.list();
    expect(data.map(({ id }) => id)).toEqual(["mini/v1"]);
  });

  it("answers others only with a token", async () => {
    const refused = await lema(["serve", MODEL, "--host", "0.0.0.0", "--port", "0"]);
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain("[serve.no-token]");
    const server = await serve(["--host", "0.0.0.0", "--token", "t"]);
    expect((await client(server, "t").models.list()).data).toHaveLength(1);
  });

  it("gives the model back when it cannot listen", async () => {
    const server = await serve();
    const port = new URL(server.url).port;
    const second = await lema(["serve", MODEL, "--port", port]);
    expect([second.exit, second.stdout]).toEqual([1, ""]);
    expect(second.stderr).toContain("[serve.address]");
  });

  it.each([
    ["--port", "70000"],
    ["--name", "a b"],
    ["--token", "tökén"],
    ["--token", "two words"],
    ["--time-limit", "0"],
    ["--time-limit", "2147484"],
  ])("refuses %s %s", async (option, value) => {
    const { exit, stderr } = await lema(["serve", MODEL, option, value]);
    expect(exit).toBe(1);
    expect(stderr).toContain("[cli.usage]");
  });
});
