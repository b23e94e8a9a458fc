import type { DatasetFormat } from "./format.ts";

const WITH_INPUT =
  "Below is an instruction that describes a task, paired with an input that provides further context. " +
  "Write a response that appropriately completes the request.";
const WITHOUT_INPUT =
  "Below is an instruction that describes a task. Write a response that appropriately completes the request.";

/**
 * Instruction following with the Stanford Alpaca prompt (Taori et al. 2023), which has one wording for rows with an
 * `input` and one for rows without: `{"instruction": "Add.", "input": "2 2", "output": "4"}`.
 */
export const alpaca: DatasetFormat = {
  name: "alpaca",
  doc: "`instruction`, `input` (optional) and `output`, in the Alpaca prompt; the output is learned.",
  read(row) {
    const instruction = row.string("instruction");
    const input = row.optionalString("input");
    const output = row.string("output");
    if (instruction === undefined || input === undefined || output === undefined) return undefined;
    return {
      kind: "segments",
      segments: [
        { text: alpacaPrompt(instruction, input), trained: false },
        { text: output, trained: true },
      ],
    };
  },
};

/** The prompt up to where the response begins; an empty `input` leaves its section out. */
export function alpacaPrompt(instruction: string, input: string): string {
  const sections = [input === "" ? WITHOUT_INPUT : WITH_INPUT, `### Instruction:\n${instruction}`];
  if (input !== "") sections.push(`### Input:\n${input}`);
  return `${sections.join("\n\n")}\n\n### Response:\n`;
}
