import { spawnSync } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { commands } from "../../cli/commands/index.ts";
import type { CommandModule } from "../../cli/context.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import { MINIMAL } from "../schemas/recipe-fixtures.ts";
import { directoryWith, lema } from "./run-in-process.ts";

/** Runs a command whose body is `run`. */
function lemaWith(run: () => ExitCode | Promise<ExitCode>, ...options: string[]) {
  const module: CommandModule = {
    register: (program, context) => program.command("test").action(context.action(run)),
  };
  return lema(["test", ...options], { registry: { test: async () => module } });
}

describe("help and version", () => {
  it("go to stdout and are no failure", async () => {
    for (const argv of [[], ["--help"], ["help"], ["validate", "--help"]]) {
      const { exit, stdout, stderr } = await lema(argv);
      expect({ argv, exit, stderr }).toEqual({ argv, exit: 0, stderr: "" });
      expect(stdout).toContain("Usage: lema");
    }
    expect((await lema(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("the registry", () => {
  it.each(Object.keys(commands))("has the command %s under its name", async (name) => {
    const { exit, stdout } = await lema([name, "--help"]);
    expect({ exit, usage: stdout.startsWith(`Usage: lema ${name} `) }).toEqual({ exit: 0, usage: true });
  });

  it("loads the command that is asked for, and all of them for help", async () => {
    const loaded: string[] = [];
    const registry = Object.fromEntries(
      ["one", "two"].map((name) => [
        name,
        async (): Promise<CommandModule> => {
          loaded.push(name);
          return { register: (program, context) => program.command(name).action(context.action(() => 2)) };
        },
      ]),
    );
    expect((await lema(["--debug", "two"], { registry })).exit).toBe(2);
    expect(loaded).toEqual(["two"]);
    expect((await lema(["help"], { registry })).exit).toBe(0);
    expect(loaded).toEqual(["two", "one", "two"]);
  });
});

describe("usage errors", () => {
  it.each([
    [["valdate"], "Did you mean validate?"],
    [["validate"], "missing required argument 'recipes'"],
    [["validate", "a.yaml", "--formt", "json"], "Did you mean --format?"],
  ])("%j is explained", async (argv, words) => {
    const { exit, stdout, stderr } = await lema(argv);
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: "" });
    expect(stderr).toContain(words);
    expect(stderr).toContain("[cli.usage]");
  });
});

describe("what a command throws or returns", () => {
  it("an exit code is passed on", async () => {
    expect(await lemaWith(() => 2)).toEqual({ exit: 2, stdout: "", stderr: "" });
  });

  it("a diagnostic is rendered on stderr and decides the exit code", async () => {
    const { exit, stderr } = await lemaWith(() => {
      throw new DiagnosticError(diagnostic("recipe.conflict", { summary: "no" }));
    });
    expect(exit).toBe(1);
    expect(stderr).toBe("error: no [recipe.conflict]\n");
  });

  it("what the system refuses is the environment's, and a full disk has a way out", async () => {
    const refused = (code: string) =>
      lemaWith(() => {
        const error = new Error(`${code}: refused, write`);
        return Promise.reject(Object.assign(error, { code, syscall: "write", path: "runs/a/plan.json" }));
      });
    const { exit, stderr } = await refused("EACCES");
    expect(exit).toBe(1);
    expect(stderr).toContain("error (environment): EACCES");
    expect(stderr).toContain("at runs/a/plan.json");
    expect(stderr).toContain("[cli.system]");
    expect((await refused("ENOSPC")).stderr).toBe(
      "error (environment): runs/a/plan.json: the disk is full [output.no-space]\n" +
        "  at runs/a/plan.json\n  hint: make room, or write to another disk\n",
    );
  });

  it("anything else is a bug in lema, with its stack under --debug", async () => {
    const fail = () => {
      throw new TypeError("x is not a function");
    };
    const plain = await lemaWith(fail);
    expect(plain.exit).toBe(1);
    expect(plain.stderr).toContain("error (bug in lema): x is not a function [lema.bug]");
    expect(plain.stderr).not.toContain("main.test.ts");
    const debug = await lemaWith(fail, "--debug");
    expect(debug.stderr).toContain("main.test.ts");
  });
});

describe("colour", () => {
  const argv = ["valdate"];
  it("needs a terminal and yields to NO_COLOR", async () => {
    expect((await lema(argv, { isTTY: true })).stderr).toContain("\u001b[");
    expect((await lema(argv, { isTTY: false })).stderr).not.toContain("\u001b[");
    expect((await lema(argv, { isTTY: true, env: { NO_COLOR: "1" } })).stderr).not.toContain("\u001b[");
    expect((await lema(argv, { isTTY: true, env: { NO_COLOR: "" } })).stderr).toContain("\u001b[");
    expect((await lema(argv, { isTTY: true, env: { TERM: "dumb" } })).stderr).not.toContain("\u001b[");
  });
});

describe("bin/lema.js", () => {
  it("says how to build lema where that has not happened, and V8 has nothing to say of its flags", () => {
    const directory = directoryWith({ "package.json": '{"type": "module"}', "good.yaml": MINIMAL });
    cpSync("bin", join(directory, "bin"), { recursive: true });
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(directory, "bin/lema.js"), "validate", "good.yaml"],
      {
        encoding: "utf8",
      },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^lema is not built yet\. Run: .* && npm run build\n$/);
  });
});
