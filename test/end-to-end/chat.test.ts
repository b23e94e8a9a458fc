/**
 * Conversations of several turns against Transformers, which reads each anew: test/parity/chat_replies.py. lema goes on from
 * its cache, with all weights in memory and with the fewest.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ChatModel, GREEDY, NEVER } from "../../chat/complete.ts";
import { Conversation } from "../../chat/conversation.ts";
import { openChat } from "../../chat/open-chat.ts";
import { compileGeneration } from "../../planner/compile.ts";
import type { GenerationSession } from "../../runtime/generation-session.ts";
import type { DiagnosticError } from "../../schemas/diagnostic.ts";
import { parseHardware } from "../../schemas/hardware.ts";
import {
  type GenerationFiles,
  type GenerationRequest,
  openGeneration,
} from "../../workflow/open-generation.ts";
import { drain } from "../chat/drain.ts";

interface GoldenCase {
  readonly template: string;
  readonly system: string | null;
  readonly turns: readonly {
    readonly question: string;
    readonly prompt_tokens: number;
    readonly reply: string;
  }[];
}

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, "../golden/chat-replies.json"), "utf8"),
) as readonly GoldenCase[];
const MAX_TOKENS = 60;

const file = "recipes/hardware/cpu-2core.yaml";
const hardware = parseHardware(readFileSync(file, "utf8"), { file }).profile!;

function open(ram: number | null) {
  const request: GenerationRequest = {
    model: "assets/lema-mini",
    adapter: "applied",
    base: null,
    context: 512,
    memory: { ram, vram: null },
    cwd: process.cwd(),
    cacheDirectory: null,
  };
  return openGeneration(request, {
    hardware,
    lemaVersion: "0.0.0",
    compile: compileGeneration,
    engine: { backend: "cpu", serialLanes: false, diskThrottle: null },
  });
}

/** The smallest budget, from what a smaller one is refused with. */
async function smallestRam(): Promise<number> {
  const refused = await open(1).catch((error: DiagnosticError) => error.diagnostics[0]!.summary);
  return Number(/at least (\d+) bytes/.exec(String(refused))![1]);
}

describe.each(["as much memory as there is", "the least memory"])("with %s", (memory) => {
  let session: GenerationSession;
  let files: GenerationFiles;
  beforeAll(async () => {
    const opened = await open(memory === "the least memory" ? await smallestRam() : null);
    session = opened.session;
    files = opened.files;
    const loads = session.plan.programs.decode.steady.filter(({ kind }) => kind === "read");
    expect(loads.length > 0).toBe(memory === "the least memory");
  });
  afterAll(() => session?.close());

  it.each(golden)(
    "replies as Transformers in $template, system $system",
    async ({ template, system, turns }) => {
      const model: ChatModel = await openChat(session, files, { template, cwd: process.cwd() });
      const conversation = new Conversation(model, system);
      const options = { maxTokens: MAX_TOKENS, sampling: GREEDY, stops: [], signal: NEVER };
      let known = 0;
      for (const { question, prompt_tokens: promptTokens, reply } of turns) {
        const { result } = await drain(conversation.say(question, options));
        expect(result).toMatchObject({ text: reply, promptTokens });
        // All that the last prompt had is still there.
        expect(result.cachedTokens).toBeGreaterThanOrEqual(known);
        known = promptTokens;
      }
    },
  );
});
