/** A server on a free port of this machine, in front of a scripted model. */
import { type AppOptions, createApp, type Served } from "../../../chat/server/app.ts";
import { type Listening, listen } from "../../../chat/server/listen.ts";
import { chatPage } from "../../../chat/server/page/page.ts";
import { type Respond, scriptedModel } from "../scripted-model.ts";

export const MODEL = "scripted";

export interface StartOptions {
  readonly respond?: Respond;
  readonly capacity?: number;
  readonly app?: Partial<AppOptions>;
  readonly limits?: Partial<AppOptions["limits"]>;
}

export async function start({ respond, capacity, app, limits }: StartOptions = {}) {
  const model = await scriptedModel({ ...(respond && { respond }), ...(capacity && { capacity }) });
  const served: Served[] = [];
  const shutdown = new AbortController();
  const listening: Listening = await listen(
    createApp({
      model,
      name: MODEL,
      fingerprint: "test",
      token: null,
      hosts: "loopback",
      limits: { time: 30_000, waiting: 4, bodyBytes: 20_000, ...limits },
      shutdown: shutdown.signal,
      page: chatPage(),
      onServed: (one) => served.push(one),
      ...app,
    }),
    "127.0.0.1",
    0,
  );
  return { model, served, shutdown, listening, url: `http://127.0.0.1:${listening.port}` };
}
export type Started = Awaited<ReturnType<typeof start>>;
