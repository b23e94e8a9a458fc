import type { DatasetFormat, Message } from "./format.ts";

const ROLES: ReadonlyMap<string, string> = new Map([
  ["system", "system"],
  ["human", "user"],
  ["user", "user"],
  ["gpt", "assistant"],
  ["chatgpt", "assistant"],
  ["assistant", "assistant"],
]);

/** Conversations as ShareGPT and Vicuna wrote them: `{"conversations": [{"from": "human", "value": "Hi"}, …]}`. */
export const sharegpt: DatasetFormat = {
  name: "sharegpt",
  doc: "`conversations`: a list of `from` (system, human, gpt) and `value`, rendered by the chat template.",
  read(row) {
    row.refuse(row.object, "tools", "tools");
    const turns = row.objects("conversations") ?? [];
    const messages: Message[] = [];
    for (const [i, turn] of turns.entries()) {
      const from = row.stringIn(turn, "from", `conversations[${i}].from`);
      const content = row.stringIn(turn, "value", `conversations[${i}].value`);
      if (from === undefined || content === undefined) continue;
      const role = ROLES.get(from);
      if (role !== undefined) {
        messages.push({ role, content });
      } else {
        const known = [...ROLES.keys()].join(", ");
        const path = `conversations[${i}].from`;
        row.problem("data.wrong-type", path, `\`${path}\` is "${from}", expected one of ${known}`);
      }
    }
    return row.problems.length > 0 ? undefined : { kind: "conversation", messages };
  },
};
