/** `lema serve`: OpenAI's API and a page to chat, on this machine unless there is a token. */
import { basename, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { createApp, type Served } from "../../chat/server/app.ts";
import { isLoopback } from "../../chat/server/guards.ts";
import { listen } from "../../chat/server/listen.ts";
import { chatPage } from "../../chat/server/page/page.ts";
import { finishReason } from "../../chat/server/responses.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import { type CommandContext, duration, positive, wholeNumber } from "../context.ts";
import { addModelOptions, MODEL_ARGUMENT, type ModelOptions, modelRequest } from "../generation-options.ts";
import { openModel } from "../open-model.ts";
import { listenForStop } from "../signals.ts";

interface ServeOptions extends ModelOptions {
  readonly template?: string;
  readonly host: string;
  readonly port: number;
  readonly name?: string;
  readonly token?: string;
  readonly timeLimit: number;
  readonly queue: number;
}

/** A body has these and {@link TOKEN_BYTES} for each token of the context: encoding much more would hold up all others. */
const BODY_BYTES = 64 << 10;
/** More than a token spells, JSON's escapes included. */
const TOKEN_BYTES = 32;
/** What a header can carry. */
const TOKEN = /^[\x21-\x7e]+$/;
const MODEL_NAME = /^[\w.:/-]{1,100}$/;

export function register(program: Command, context: CommandContext): void {
  const command = program
    .command("serve")
    .description(
      "serve a model by OpenAI's API (/v1/chat/completions, /v1/completions, /v1/models) and a page to chat at /",
    )
    .argument("<model>", MODEL_ARGUMENT)
    .option("--host <address>", "where to listen; any but this machine's own needs a token", "127.0.0.1")
    .option("--port <number>", "0: any that is free", portNumber, 8080)
    .option("--token <token>", "ask for this token (better: in LEMA_TOKEN, where `ps` does not show it)")
    .option("--name <name>", "what clients call the model (default: the directory's name)", modelName)
    .option(
      "--template <name>",
      "chat template (default: the run's, else the tokenizer's own, else lema-reply)",
    )
    .option("--time-limit <seconds>", "of one request, waiting included", timeLimit, 600)
    .option("--queue <count>", "requests that may wait for another one", wholeNumber, 16);
  addModelOptions(command).action(
    context.action((model: string, options: ServeOptions) => serve(model, options, context)),
  );
}

async function serve(argument: string, options: ServeOptions, context: CommandContext): Promise<ExitCode> {
  const { io, version } = context;
  const { host, port } = options;
  const token = options.token || io.env.LEMA_TOKEN || null;
  if (token === null && !isLoopback(host)) throw openToAll(host);
  if (token !== null && !TOKEN.test(token)) throw unsendable();
  const model = await openModel(
    modelRequest(argument, options, context),
    options,
    options.template ?? null,
    context,
  );
  const note = (text: string): unknown => io.stderr.write(`${text}\n`);
  const signals = listenForStop(() => note("finishing what is being answered; again to stop at once"));
  try {
    const name = options.name ?? basename(resolve(io.cwd, argument));
    const app = createApp({
      model,
      name,
      fingerprint: `lema-${version}`,
      token,
      hosts: isLoopback(host) ? "loopback" : "any",
      limits: {
        time: 1000 * options.timeLimit,
        waiting: options.queue,
        bodyBytes: BODY_BYTES + TOKEN_BYTES * model.cache.capacity,
      },
      shutdown: signals.cancel,
      page: chatPage(),
      onServed: (served) => note(logLine(served, context)),
    });
    const server = await listen(app, host, port);
    const shown = host.includes(":") ? `[${host}]` : host;
    io.stdout.write(
      `Serving ${name} on http://${shown}:${server.port}; OpenAI's API is at /v1, a page to chat at /\n`,
    );
    await given(signals.stop);
    await server.close();
    return 0;
  } finally {
    signals.release();
    await model.cache.close();
  }
}

function logLine({ path, completion, error }: Served, context: CommandContext): string {
  if (completion !== null) {
    const { promptTokens, cachedTokens, completionTokens } = completion;
    return `${path}: ${promptTokens} tokens read (${cachedTokens} of them known), ${completionTokens} written, ${finishReason(completion)}`;
  }
  if (error instanceof DiagnosticError)
    return `${path}: ${context.render(error.diagnostics, "stderr").trimEnd()}`;
  if (error instanceof Error) return `${path}: ${error.message}`;
  return `${path}: the client has left`;
}

function given(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener("abort", () => done(), { once: true });
  });
}

function openToAll(host: string): DiagnosticError {
  return new DiagnosticError(
    diagnostic("serve.no-token", {
      summary: `on ${host} other machines reach the server, and it would answer everybody`,
      hint: "set a token in LEMA_TOKEN or by `--token`, or leave out `--host`",
    }),
  );
}

function timeLimit(text: string): number {
  positive(text);
  return duration(text);
}

function unsendable(): DiagnosticError {
  const summary = "the token holds a character that no client can send";
  const hint = "use letters, digits and signs of ASCII, without spaces";
  return new DiagnosticError(diagnostic("cli.usage", { summary, hint }));
}

function portNumber(text: string): number {
  const port = wholeNumber(text);
  if (port > 65535) throw new InvalidArgumentError("Ports end at 65535.");
  return port;
}

function modelName(text: string): string {
  if (!MODEL_NAME.test(text)) throw new InvalidArgumentError("Use letters, digits, and . : / _ - in it.");
  return text;
}
