import type { DatasetFormat } from "./format.ts";

/**
 * Rows that are tokenized already, as Hugging Face stores them: `{"input_ids": [1, 5, 9], "labels": [-100, 5, 9]}`.
 * Nothing is added, no BOS and no EOS; `labels[i]` belongs to `input_ids[i]` and is shifted by lema.
 */
export const tokens: DatasetFormat = {
  name: "tokens",
  doc: "`input_ids` and `labels` of equal length; −100 marks what is not learned.",
  read(row) {
    const ids = row.integers("input_ids", 0);
    const labels = row.integers("labels", -100);
    if (ids === undefined || labels === undefined) return undefined;
    if (ids.length !== labels.length) {
      const lengths = `${ids.length} \`input_ids\` but ${labels.length} \`labels\``;
      row.problem("data.wrong-type", "labels", `a row has ${lengths}`);
      return undefined;
    }
    const stray = labels.find((label) => label < 0 && label !== -100);
    if (stray !== undefined) {
      row.problem("data.wrong-type", "labels", `label ${stray} is neither a token id nor −100`);
      return undefined;
    }
    return { kind: "tokens", ids, labels };
  },
};
