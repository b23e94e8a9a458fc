import type { DatasetFormat } from "./format.ts";

/** Plain text, all of it learned: `{"text": "Once upon a time …"}`. */
export const text: DatasetFormat = {
  name: "text",
  doc: "`text`: learned as a whole.",
  read(row) {
    const text = row.string("text");
    return text === undefined ? undefined : { kind: "segments", segments: [{ text, trained: true }] };
  },
};
