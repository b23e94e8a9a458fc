/** From what the command line names to a model that can be talked to. */
import type { ChatModel } from "../chat/complete.ts";
import { openChat } from "../chat/open-chat.ts";
import { type GenerationRequest, openGeneration } from "../workflow/open-generation.ts";
import type { CommandContext } from "./context.ts";
import { generationMachine, type MachineRequest } from "./generation-machine.ts";
import { StatusLine } from "./render/status-line.ts";

/** `on`: what computes. `template`: a chat template's name or file; null: what the run was trained with, or the model's own. Prints warnings. */
export async function openModel(
  request: GenerationRequest,
  on: MachineRequest,
  template: string | null,
  context: CommandContext,
): Promise<ChatModel> {
  const { io } = context;
  const status = new StatusLine(io.stderr);
  const { session, files } = await openGeneration(
    { ...request, onProgress: (text) => status.show(text) },
    generationMachine(request.memory.vram, on, context),
  ).finally(() => status.clear());
  io.stderr.write(context.render(files.diagnostics, "stderr"));
  try {
    return await openChat(session, files, { template, cwd: io.cwd });
  } catch (error) {
    await session.close();
    throw error;
  }
}
