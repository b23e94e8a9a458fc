/**
 * A byte-level tokenizer without merges, so that a test can say ids by hand: the id of an ASCII character is its code,
 * `<s>` is 256 and `</s>` is 257.
 */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const BOS = 256;
export const EOS = 257;

/** GPT-2's spelling of a byte. */
function spelling(byte: number): string {
  const printable = (b: number): boolean => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
  if (printable(byte)) return String.fromCodePoint(byte);
  let rank = 0;
  for (let b = 0; b < byte; b++) if (!printable(b)) rank++;
  return String.fromCodePoint(0x100 + rank);
}

/** `tokenizer.json`; `merges` such as `["a b"]` add tokens from id 258 on. */
export function byteTokenizerDefinition(merges: readonly string[] = []): Record<string, unknown> {
  const vocab: Record<string, number> = {};
  for (let byte = 0; byte < 256; byte++) vocab[spelling(byte)] = byte;
  for (const [i, pair] of merges.entries()) vocab[pair.replace(" ", "")] = EOS + 1 + i;
  const added = (id: number, content: string) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  });
  return {
    version: "1.0",
    added_tokens: [added(BOS, "<s>"), added(EOS, "</s>")],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { "<s>": { id: "<s>", ids: [BOS], tokens: ["<s>"] } },
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab, merges },
  };
}

export const BYTE_TOKENIZER_CONFIG = { bos_token: "<s>", eos_token: "</s>", pad_token: "</s>" };

/** Writes a tokenizer into a new directory. */
export async function writeTokenizer(
  definition: Record<string, unknown> = byteTokenizerDefinition(),
  config: Record<string, unknown> = BYTE_TOKENIZER_CONFIG,
): Promise<string> {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, "tokenizer.json"), JSON.stringify(definition));
  await writeFile(join(directory, "tokenizer_config.json"), JSON.stringify(config));
  return directory;
}

export function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), "lema-data-"));
}

/** The codes that a promise or call fails with. */
export async function codesOf(run: () => unknown): Promise<string[]> {
  try {
    await run();
  } catch (error) {
    const { diagnostics } = error as { diagnostics?: { code: string }[] };
    if (diagnostics === undefined) throw error;
    return diagnostics.map(({ code }) => code);
  }
  return [];
}
