import type { DatasetFormat, Message } from "./format.ts";

/** Conversations as OpenAI and TRL write them: `{"messages": [{"role": "user", "content": "Hi"}, …]}`. */
export const chat: DatasetFormat = {
  name: "chat",
  doc: "`messages`: a list of `role` and `content`, rendered by the chat template; assistant turns are learned.",
  read(row) {
    row.refuse(row.object, "tools", "tools");
    const turns = row.objects("messages") ?? [];
    const messages: Message[] = [];
    for (const [i, turn] of turns.entries()) {
      row.refuse(turn, "tool_calls", `messages[${i}].tool_calls`);
      const role = row.stringIn(turn, "role", `messages[${i}].role`);
      const content = row.stringIn(turn, "content", `messages[${i}].content`);
      if (role !== undefined && content !== undefined) messages.push({ ...turn, role, content });
    }
    return row.problems.length > 0 ? undefined : { kind: "conversation", messages };
  },
};
