/** `lema chat` through a pipe, with the small Llama that ships. */
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { directoryWith, lema } from "./run-in-process.ts";

const MODEL = resolve("assets/lema-mini");
const PERU = "Lima is the capital of Peru, a country in South America.\n";

describe("lema chat", () => {
  it("answers what is piped in, line by line, on stdout alone", async () => {
    const stdin = "What is the capital of Peru?\n/reset\nWhat is the capital of Peru?";
    const { exit, stdout, stderr } = await lema(["chat", MODEL], { stdin });
    expect({ exit, stdout, stderr }).toEqual({ exit: 0, stdout: PERU + PERU, stderr: "forgotten\n" });
  });

  it("obeys its options", async () => {
    const stdin = "What is the capital of Peru?\n";
    const stopped = await lema(["chat", MODEL, "--stop", " capital", "--stop", "x"], { stdin });
    expect(stopped.stdout).toBe("Lima is the\n");
    const cut = await lema(["chat", MODEL, "--max-tokens", "2"], { stdin });
    expect(cut.stderr).toContain("--max-tokens allows more");
    const draw = ["chat", MODEL, "--temperature", "3", "--max-tokens", "12", "--seed"];
    const [one, same, other] = [
      await lema([...draw, "1"], { stdin }),
      await lema([...draw, "1"], { stdin }),
      await lema([...draw, "2"], { stdin }),
    ];
    expect(one.stdout).toBe(same.stdout);
    expect(one.stdout).not.toBe(other.stdout);
    const brief = await lema(["chat", MODEL, "--system", "Answer in a few words."], { stdin });
    expect(brief.stdout).toBe("Lima\n");
  });

  it("exits with 2 where a reply is not in the format", async () => {
    const stdin = "What is the capital of Peru?\n";
    const { exit, stdout, stderr } = await lema(["chat", MODEL, "--check"], { stdin });
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: PERU });
    expect(stderr).toContain("✗ line 1: [LEMA_REPLY] is missing\n");
  });

  it("ends with the problem where the context is too short", async () => {
    const stdin = "What is the capital of Peru?\n";
    const { exit, stderr } = await lema(["chat", MODEL, "--context", "8"], { stdin });
    expect(exit).toBe(1);
    expect(stderr).toContain("[chat.too-long]");
  });

  it.each([
    [["--template", "lema-reply-format"], "template.unreadable"],
    [["--memory", "ram=1KiB"], "plan.does-not-fit"],
    [["--memory", "ram=many"], "cli.usage"],
    [["--temperature", "hot"], "cli.usage"],
    [["--stop", ""], "cli.usage"],
    [["--top-p", "1.5"], "cli.usage"],
    [["--seed", "-1"], "cli.usage"],
  ])("refuses %j", async (options, code) => {
    const { exit, stdout, stderr } = await lema(["chat", MODEL, ...options], { stdin: "hello\n" });
    expect(exit).toBeGreaterThan(0);
    expect(stdout).toBe("");
    expect(stderr).toContain(`[${code}]`);
  });

  it("says what is no model", async () => {
    const cwd = directoryWith({});
    const { exit, stderr } = await lema(["chat", "nowhere"], { cwd, stdin: "hello\n" });
    expect(exit).toBe(1);
    expect(stderr).toContain("nowhere");
    expect(stderr).not.toContain("lema.bug");
  });
});
