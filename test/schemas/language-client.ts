/** A small editor: opens texts in the real yaml-language-server over stdio, with every look-up on the network off. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type CompletionItem,
  CompletionRequest,
  ConfigurationRequest,
  createProtocolConnection,
  type Diagnostic,
  DidOpenTextDocumentNotification,
  ExitNotification,
  HoverRequest,
  InitializedNotification,
  InitializeRequest,
  MarkupContent,
  PublishDiagnosticsNotification,
  RegistrationRequest,
  ShutdownRequest,
} from "vscode-languageserver-protocol/node.js";

const SETTINGS: Readonly<Record<string, unknown>> = {
  yaml: { schemaStore: { enable: false }, kubernetesCRDStore: { enable: false } },
};

/** A text with the cursor at `|`, as if it were saved at `path` (from the repository's root). */
export interface Editor {
  diagnostics(path: string, text: string): Promise<readonly Diagnostic[]>;
  completions(path: string, textWithCursor: string): Promise<readonly CompletionItem[]>;
  /** The text of the pop-up; empty when there is none. */
  hover(path: string, textWithCursor: string): Promise<string>;
  close(): Promise<void>;
}

export async function startEditor(): Promise<Editor> {
  const executable = createRequire(import.meta.url).resolve("yaml-language-server/bin/yaml-language-server");
  const server = spawn(process.execPath, [executable, "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
  const connection = createProtocolConnection(server.stdout, server.stdin);
  const waiting = new Map<string, (list: readonly Diagnostic[]) => void>();
  connection.onNotification(PublishDiagnosticsNotification.type, ({ uri, diagnostics }) =>
    waiting.get(uri)?.(diagnostics),
  );
  connection.onRequest(ConfigurationRequest.type, ({ items }) =>
    items.map(({ section }) => SETTINGS[section ?? ""] ?? {}),
  );
  connection.onRequest(RegistrationRequest.type, () => {});
  connection.listen();
  await connection.sendRequest(InitializeRequest.type, {
    processId: process.pid,
    rootUri: null,
    workspaceFolders: null,
    capabilities: {
      workspace: { configuration: true, didChangeConfiguration: { dynamicRegistration: true } },
      textDocument: { hover: { contentFormat: ["markdown"] }, publishDiagnostics: {} },
    },
  });
  await connection.sendNotification(InitializedNotification.type, {});

  let opened = 0;
  /** Each text under a name of its own, beside the file that it stands for. */
  const open = async (path: string, text: string) => {
    opened += 1;
    const { href: uri } = pathToFileURL(resolve(`${path.replace(/\.yaml$/, "")}-${opened}.yaml`));
    const checked = new Promise<readonly Diagnostic[]>((done) => waiting.set(uri, done));
    await connection.sendNotification(DidOpenTextDocumentNotification.type, {
      textDocument: { uri, languageId: "yaml", version: 1, text },
    });
    return { uri, diagnostics: await checked };
  };
  const openAtCursor = async (path: string, text: string) => {
    const before = text.slice(0, text.indexOf("|")).split("\n");
    const { uri } = await open(path, text.replace("|", ""));
    const position = { line: before.length - 1, character: before.at(-1)!.length };
    return { textDocument: { uri }, position };
  };

  return {
    diagnostics: async (path, text) => (await open(path, text)).diagnostics,
    completions: async (path, text) => {
      const found = await connection.sendRequest(CompletionRequest.type, await openAtCursor(path, text));
      return Array.isArray(found) ? found : (found?.items ?? []);
    },
    hover: async (path, text) => {
      const found = await connection.sendRequest(HoverRequest.type, await openAtCursor(path, text));
      return found !== null && MarkupContent.is(found.contents) ? found.contents.value : "";
    },
    close: async () => {
      const ended = once(server, "exit");
      await connection.sendRequest(ShutdownRequest.type);
      await connection.sendNotification(ExitNotification.type);
      await ended;
      connection.dispose();
    },
  };
}
