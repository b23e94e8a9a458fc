import { Hono } from "hono";
import { expect, it } from "vitest";
import { listen } from "../../../chat/server/listen.ts";

it("says that an address is taken, and which option chooses another", async () => {
  const first = await listen(new Hono(), "127.0.0.1", 0);
  try {
    await expect(listen(new Hono(), "127.0.0.1", first.port)).rejects.toMatchObject({
      diagnostics: [{ code: "serve.address", hint: expect.stringContaining("--port") }],
    });
    await expect(listen(new Hono(), "192.0.2.1", 0)).rejects.toMatchObject({
      diagnostics: [{ code: "serve.address", hint: expect.stringContaining("--host") }],
    });
  } finally {
    await first.close();
  }
});
