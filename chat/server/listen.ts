/** The app on a port: slow senders are cut off, and closing waits for what is being answered. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { DiagnosticError, diagnostic } from "../../schemas/diagnostic.ts";

/** Milliseconds in which a request has to be here, its head and the whole of it. */
const HEAD_TIME = 10_000;
const REQUEST_TIME = 30_000;

export interface Listening {
  readonly port: number;
  /** Takes no more requests; resolves when those under way are answered. */
  close(): Promise<void>;
}

/** Throws `serve.address`. */
export async function listen(app: Hono, host: string, port: number): Promise<Listening> {
  const options = { headersTimeout: HEAD_TIME, requestTimeout: REQUEST_TIME };
  const server = createAdaptorServer({
    fetch: app.fetch,
    createServer,
    serverOptions: options,
    // Requests without a sound Host are answered by the app's own rules.
    hostname: "localhost",
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(cannotListen(error, host, port)));
    server.listen(port, host, resolve);
  });
  let closing = false;
  let answering = 0;
  // Connections that are kept for further requests, or opened ahead of them, would keep the server open.
  const closeIdle = (): void => {
    if (closing && answering === 0) server.closeAllConnections();
  };
  server.on("request", (_, response) => {
    answering++;
    response.once("close", () => {
      answering--;
      closeIdle();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        closing = true;
        server.close(() => resolve());
        closeIdle();
      }),
  };
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): DiagnosticError {
  const taken = error.code === "EADDRINUSE";
  return new DiagnosticError(
    diagnostic("serve.address", {
      summary: taken
        ? `something else listens on ${host}:${port}`
        : `cannot listen on ${host}:${port}: ${error.message}`,
      hint: taken ? "choose another with `--port`; 0 takes any that is free" : "choose another with `--host`",
    }),
  );
}
