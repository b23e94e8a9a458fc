import { describe, expect, it } from "vitest";
import { streamOf } from "../../../chat/server/event-stream.ts";

/** Many texts, and whether the generator has come to its end. */
function texts(count: number) {
  const state = { given: 0, ended: false };
  async function* give(): AsyncGenerator<string> {
    try {
      while (state.given < count) {
        yield `${state.given++} `;
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      state.ended = true;
    }
  }
  return { state, generator: give() };
}

describe("a stream of texts", () => {
  it("gives them all", async () => {
    const stream = streamOf(texts(4).generator, () => {});
    expect(await new Response(stream).text()).toBe("0 1 2 3 ");
  });

  it("does not wait for its reader, who would hold what others wait for", async () => {
    const { state, generator } = texts(200);
    const stream = streamOf(generator, () => {});
    await expect.poll(() => state).toEqual({ given: 200, ended: true });
    expect((await new Response(stream).text()).trim().split(" ")).toHaveLength(200);
  });

  it("ends when its reader leaves", async () => {
    const { state, generator } = texts(1e6);
    let left = 0;
    const reader = streamOf(generator, () => left++).getReader();
    await reader.read();
    await reader.cancel();
    await expect.poll(() => state.ended).toBe(true);
    expect(left).toBe(1);
    expect(state.given).toBeLessThan(1000);
  });

  it("says that it is there while no text comes, between two events", async () => {
    let heard = (): void => {};
    const patience = new Promise<void>((resolve) => {
      heard = resolve;
    });
    async function* give(): AsyncGenerator<string> {
      await patience;
      yield "data: a\n\n";
    }
    const reader = streamOf(give(), () => {}, 1)
      .pipeThrough(new TextDecoderStream())
      .getReader();
    expect((await reader.read()).value).toBe(": waiting\n\n");
    heard();
    let rest = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) rest += piece.value;
    expect(rest.replaceAll(": waiting\n\n", "")).toBe("data: a\n\n");
  });

  it("fails where they fail", async () => {
    async function* give(): AsyncGenerator<string> {
      yield "a";
      throw new Error("broken");
    }
    await expect(new Response(streamOf(give(), () => {})).text()).rejects.toThrow("broken");
  });
});
