/** Lines from streams that stand for a terminal and for a pipe, where each chunk comes when the test sends it. */
import { PassThrough, Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { openLines } from "../../../cli/chat/line-source.ts";

function open(tty: { readonly stdin: boolean; readonly stdout: boolean }) {
  const stdin = Object.assign(new PassThrough(), { isTTY: tty.stdin });
  let shown = "";
  const stdout = Object.assign(
    new Writable({
      write(chunk, _, done) {
        shown += chunk;
        done();
      },
    }),
    { isTTY: tty.stdout, columns: 80 },
  );
  let noted = "";
  const stderr = {
    write: (text: string) => {
      noted += text;
    },
  };
  const lines = openLines({ stdin, stdout, stderr, env: {}, cwd: "/" });
  const send = async (keys: string): Promise<void> => {
    stdin.write(keys);
    await settled();
  };
  return {
    lines,
    stdin,
    send,
    shown: () => stripVTControlCharacters(shown),
    noted: () => noted,
  };
}
const terminal = () => open({ stdin: true, stdout: true });
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

describe("a terminal", () => {
  it("is one only where both ends are", () => {
    expect(terminal().lines.interactive).toBe(true);
    expect(open({ stdin: true, stdout: false }).lines.interactive).toBe(false);
    expect(open({ stdin: false, stdout: true }).lines.interactive).toBe(false);
  });

  it("gives what was said during a reply afterwards, in order, and shows it then", async () => {
    const { lines, send, shown } = terminal();
    const first = lines.next("> ");
    await send("one\r");
    expect(await first).toBe("one");
    lines.replying();
    await send("two\r");
    await send("three\r");
    await send("fo");
    expect(shown()).not.toContain("two");
    expect(await lines.next("> ")).toBe("two");
    lines.replying();
    expect(await lines.next("> ")).toBe("three");
    expect(shown()).toContain("> two\n> three\n");
    const last = lines.next("> ");
    expect(shown()).toMatch(/> fo$/);
    await send("ur\r");
    expect(await last).toBe("four");
    lines.close();
  });

  it("takes lines of one chunk for one message, which ends with the line under way", async () => {
    const { lines, send } = terminal();
    const message = lines.next("> ");
    await send("a\rb\rc");
    await send("d\re");
    await send("\r");
    expect(await message).toBe("a\nb\ncd\ne");
    lines.close();
  });

  it("stops a reply at Ctrl-C, and clears the line elsewhere", async () => {
    const { lines, send, noted } = terminal();
    const first = lines.next("> ");
    await send("half");
    await send("\u0003");
    await send("whole\r");
    expect(await first).toBe("whole");
    const signal = lines.replying();
    await send("\u0003");
    expect(signal.aborted).toBe(true);
    const second = lines.next("> ");
    await send("\u0003");
    expect(noted()).toContain("leaves");
    // Something was said in between, so this is the first again.
    await send("x\r");
    expect(await second).toBe("x");
    const third = lines.next("> ");
    await send("\u0003");
    await send("\u0003");
    expect(await third).toBeNull();
  });

  it("ends after the reply where it was left during one", async () => {
    const { lines, send, stdin } = terminal();
    const first = lines.next("> ");
    await send("one\r");
    await first;
    lines.replying();
    stdin.end();
    await settled();
    expect(await lines.next("> ")).toBeNull();
  });
});

describe("a pipe", () => {
  it("gives its lines, also the last without an end, and then nothing", async () => {
    const { lines, stdin } = open({ stdin: false, stdout: false });
    stdin.end("one\r\ntwo\n\nthree");
    const read = [];
    for (let line = await lines.next(""); line !== null; line = await lines.next("")) read.push(line);
    expect(read).toEqual(["one", "two", "", "three"]);
  });

  it("stops a reply at a signal, and is not in its way otherwise", async () => {
    const { lines, stdin } = open({ stdin: false, stdout: false });
    stdin.end("one\ntwo\n");
    const before = process.listenerCount("SIGINT");
    await lines.next("");
    expect(process.listenerCount("SIGINT")).toBe(before);
    const signal = lines.replying();
    process.emit("SIGINT");
    expect(signal.aborted).toBe(true);
    await lines.next("");
    expect(process.listenerCount("SIGINT")).toBe(before);
    lines.close();
  });
});
