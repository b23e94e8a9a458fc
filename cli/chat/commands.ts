/** What a person can say to `lema chat` itself. */
import type { Conversation } from "../../chat/conversation.ts";
import { spoken } from "../render/human.ts";

interface ChatCommand {
  readonly usage: string;
  readonly doc: string;
  /** The lines it answers with, or null to leave. */
  readonly run: (conversation: Conversation, argument: string) => readonly string[] | null;
}

const COMMANDS: ReadonlyMap<string, ChatCommand> = new Map<string, ChatCommand>([
  [
    "reset",
    {
      usage: "/reset",
      doc: "forget the conversation; the system prompt stays",
      run: (conversation) => {
        conversation.reset();
        return ["forgotten"];
      },
    },
  ],
  [
    "system",
    {
      usage: "/system TEXT",
      doc: "another system prompt, for a new conversation; without TEXT: show it",
      run: (conversation, text) => {
        if (text === "") return [conversation.system ?? "(the chat template's own)"];
        conversation.system = text;
        conversation.reset();
        return ["set; the conversation begins anew"];
      },
    },
  ],
  ["history", { usage: "/history", doc: "what was said, and what the model still reads", run: history }],
  ["help", { usage: "/help", doc: "these lines", run: help }],
  ["exit", { usage: "/exit", doc: "leave; so does Ctrl-D", run: () => null }],
]);

export type Line =
  | { readonly kind: "message"; readonly text: string }
  | { readonly kind: "command"; readonly run: ChatCommand["run"]; readonly argument: string }
  | { readonly kind: "unknown"; readonly name: string };

/** A line that begins with `/` is a command; with `//` it is a message that begins with `/`. */
export function readLine(line: string): Line {
  if (!line.startsWith("/")) return { kind: "message", text: line };
  if (line.startsWith("//")) return { kind: "message", text: line.slice(1) };
  const [, name = "", argument = ""] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? [];
  const command = COMMANDS.get(name);
  return command === undefined
    ? { kind: "unknown", name }
    : { kind: "command", run: command.run, argument: argument.trim() };
}

function help(): readonly string[] {
  const lines = [...COMMANDS.values()].map(({ usage, doc }) => `${usage.padEnd(14)} ${doc}`);
  return [
    ...lines,
    "//…            a message that begins with /",
    "…\\             a message that goes on in the next line",
    "Ctrl-C         stop the reply",
  ];
}

function history(conversation: Conversation): readonly string[] {
  const { turns, system } = conversation;
  if (turns.length === 0) return ["nothing yet"];
  const start = system === null ? [] : [`system: ${system}`];
  const lines = turns.map(({ role, content, inContext }) => {
    const who = role === "user" ? "you" : "model";
    return `${who}${inContext ? "" : " (out of the context)"}: ${spoken(content)}`;
  });
  return [...start, ...lines];
}
