/** Kaggle's official command as its source prints: what is read out of its text, and what is not believed. */
import { describe, expect, it } from "vitest";
import { OfficialCli } from "../../kaggle/official-cli.ts";
import { follow, logs, logText, output, push, type SessionStatus, status } from "../../kaggle/session.ts";
import { type Diagnostic, DiagnosticError } from "../../schemas/diagnostic.ts";
import { COMPLETE, FAILED, QUEUED, type Reply, RUNNING, standIn } from "./stand-in.ts";

const ADDRESS = "someone/lema-tiny-train";
const URL = "https://www.kaggle.com/code/someone/lema-tiny-train";
const noWait = async (): Promise<void> => {};

async function opened(...replies: readonly Reply[]) {
  const { env, calls } = standIn(replies);
  return { cli: await OfficialCli.open(env), calls };
}

async function problemOf(doing: Promise<unknown>): Promise<Diagnostic> {
  const error = await doing.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DiagnosticError);
  return (error as DiagnosticError).diagnostics[0]!;
}

describe("the official command", () => {
  it("is missing: how to install it is said", async () => {
    const problem = await problemOf(OfficialCli.open({ PATH: "/nowhere" }));
    expect(problem).toMatchObject({
      code: "kaggle.no-cli",
      hint: expect.stringContaining("pip install --upgrade kaggle"),
    });
  });

  it.each(["Kaggle API 1.6.17", "Kaggle CLI 2.1.9"])("is %s: too old", async (version) => {
    const problem = await problemOf(OfficialCli.open(standIn([], version).env));
    expect(problem.code).toBe("kaggle.no-cli");
    expect(problem.summary).toContain("2.2 or newer is needed");
  });

  it.each(["Kaggle CLI 2.2.0", "Kaggle CLI 2.10.1", "Kaggle CLI 3.0"])(
    "is %s: new enough",
    async (version) => {
      await expect(OfficialCli.open(standIn([], version).env)).resolves.toBeInstanceOf(OfficialCli);
    },
  );

  it("is broken: its last words are passed on", async () => {
    const problem = await problemOf(
      OfficialCli.open(standIn([], "Traceback …\nModuleNotFoundError: six").env),
    );
    expect(problem).toMatchObject({ code: "kaggle.no-cli", detail: "ModuleNotFoundError: six" });
  });
});

describe("push", () => {
  it("reads version and address, and passes on what Kaggle changed", async () => {
    const invalid =
      "The following are not valid dataset sources and could not be added to the kernel: ['a/b']";
    const { cli, calls } = await opened({
      stdout: `${invalid}\nKernel version 3 successfully pushed.  Please check progress at ${URL}\n`,
      stderr:
        "Warning: 'NvidiaTeslaP100' is retired.\n  Sessions run on the default GPU (NvidiaTeslaT4) instead.\n",
    });
    expect(await push(cli, "/some/directory")).toEqual({
      version: 3,
      url: URL,
      warnings: [
        "Warning: 'NvidiaTeslaP100' is retired.",
        "Sessions run on the default GPU (NvidiaTeslaT4) instead.",
        invalid,
      ],
    });
    expect(calls()).toEqual([["kernels", "push", "-p", "/some/directory"]]);
  });

  it.each([
    ["printed, not raised", { stdout: "Kernel push error: Maximum batch GPU session count of 2 reached.\n" }],
    ["said on stderr", { stderr: "400 - Bad Request\n", exit: 1 }],
    ["silent", { stdout: "" }],
  ] as const)("fails where the error is %s", async (_, reply) => {
    const { cli } = await opened(reply);
    const problem = await problemOf(push(cli, "/some/directory"));
    expect(problem.code).toBe("kaggle.refused");
    const said = ("stdout" in reply ? reply.stdout : reply.stderr).trim();
    expect(problem.detail ?? "").toBe(said);
  });

  it("says what to do about a missing token", async () => {
    const { cli } = await opened({ stdout: "401 - Unauthorized\n", exit: 1 });
    expect((await problemOf(push(cli, "/x"))).hint).toContain("kaggle auth login");
  });
});

describe("status", () => {
  it("reads an enum as Python prints it, and the plain word of older releases", async () => {
    const { cli } = await opened(RUNNING, { stdout: `${ADDRESS} has status "complete"\n` });
    expect(await status(cli, ADDRESS)).toEqual({ state: "RUNNING", failure: null });
    expect(await status(cli, ADDRESS)).toEqual({ state: "COMPLETE", failure: null });
  });

  it("reads why a session failed", async () => {
    const { cli } = await opened(FAILED);
    expect(await status(cli, ADDRESS)).toEqual({
      state: "ERROR",
      failure: "Your notebook ran out of memory",
    });
  });

  it("is followed to the end, each state said once", async () => {
    const { cli, calls } = await opened(QUEUED, QUEUED, RUNNING, RUNNING, COMPLETE);
    const seen: string[] = [];
    await follow(cli, ADDRESS, noWait, ({ state }: SessionStatus) => seen.push(state));
    expect(seen).toEqual(["QUEUED", "RUNNING", "COMPLETE"]);
    expect(calls()).toEqual(Array.from({ length: 5 }, () => ["kernels", "status", ADDRESS]));
  });

  it("is followed to a failure, with its message and where the log is", async () => {
    const { cli } = await opened(RUNNING, FAILED);
    const problem = await problemOf(follow(cli, ADDRESS, noWait, () => {}));
    expect(problem).toMatchObject({
      code: "kaggle.session-failed",
      detail: "Your notebook ran out of memory",
      hint: expect.stringContaining(`lema kaggle logs ${ADDRESS}`),
    });
  });

  it("is followed over pauses of the network, and not for ever", async () => {
    const down: Reply = { stderr: "ConnectionError: try again\n", exit: 1 };
    const once = await opened(RUNNING, down, down, COMPLETE);
    await expect(follow(once.cli, ADDRESS, noWait, () => {})).resolves.toBeUndefined();
    const always = await opened(RUNNING, down);
    const problem = await problemOf(follow(always.cli, ADDRESS, noWait, () => {}));
    expect(problem).toMatchObject({ code: "kaggle.refused", detail: "ConnectionError: try again" });
    expect(always.calls()).toHaveLength(1 + 5);
  });
});

describe("logs", () => {
  it("are what was printed, of the list of pieces that Kaggle keeps", async () => {
    const stored = JSON.stringify([
      { stream_name: "stdout", time: 1.5, data: "step 1\n" },
      { stream_name: "stderr", time: 2, data: "a warning\n" },
    ]);
    const { cli } = await opened({ stdout: `${stored}\n` });
    expect(await logs(cli, ADDRESS)).toBe("step 1\na warning\n");
  });

  it("are left as they are where they are something else", () => {
    expect(logText("plain text\n")).toBe("plain text\n");
    expect(logText('{"not": "a list"}')).toBe('{"not": "a list"}');
  });
});

describe("output", () => {
  it("is fetched page after page", async () => {
    const { cli, calls } = await opened(
      { stdout: "Output file downloaded to a\nNext page token: abc123\n" },
      { stdout: "Output file downloaded to b\n" },
    );
    const heard: string[] = [];
    await output(cli, ADDRESS, "/into", "keep", (text) => heard.push(text));
    const common = ["kernels", "output", ADDRESS, "-p", "/into", "--page-size", "200"];
    expect(calls()).toEqual([common, [...common, "--page-token", "abc123"]]);
    expect(heard.join("")).toContain("downloaded to b");
  });

  it("is fetched anew where that is asked for, and refusals are told", async () => {
    const { cli, calls } = await opened({ stderr: "404 - Not Found\n", exit: 1 });
    const problem = await problemOf(output(cli, ADDRESS, "/into", "replace", () => {}));
    expect(problem).toMatchObject({ code: "kaggle.refused", detail: "404 - Not Found" });
    expect(calls()[0]).toContain("--force");
  });
});
