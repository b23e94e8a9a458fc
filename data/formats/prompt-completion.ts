import type { DatasetFormat } from "./format.ts";

/** A prompt and what follows it, joined as they are: `{"prompt": "2+2=", "completion": "4"}`. */
export const promptCompletion: DatasetFormat = {
  name: "prompt-completion",
  doc: "`prompt` and `completion`: joined without a separator; the completion is learned.",
  read(row) {
    const prompt = row.string("prompt");
    const completion = row.string("completion");
    if (prompt === undefined || completion === undefined) return undefined;
    return {
      kind: "segments",
      segments: [
        { text: prompt, trained: false },
        { text: completion, trained: true },
      ],
    };
  },
};
