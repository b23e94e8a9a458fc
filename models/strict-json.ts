/**
 * JSON for files that we did not write (RFC 8259, nothing more): a repeated key is an error and whole numbers are
 * exact. `JSON.parse` keeps the last of two equal keys and rounds above 2^53, so two readers of one file could see
 * two different models.
 */

/** Whole numbers are bigint; whatever has a fraction, an exponent or a minus zero is a number. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | ReadonlyMap<string, JsonValue>;

/** What `JSON.parse` would give. */
export type PlainJson = null | boolean | number | string | PlainJson[] | { [key: string]: PlainJson };

export type ParsedJson = { readonly value: JsonValue } | { readonly problem: string };

const MAX_DEPTH = 64;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** UTF-8 bytes → value, or the first problem with its position. */
export function parseJsonBytes(bytes: Uint8Array): ParsedJson {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { problem: "it is not UTF-8" };
  }
  return parseJson(text);
}

export function parseJson(text: string): ParsedJson {
  try {
    return { value: new Scanner(text).document() };
  } catch (error) {
    if (error instanceof JsonProblem) return { problem: error.message };
    throw error;
  }
}

/** Maps → plain objects, bigint → number (rounded above 2^53). A key named `__proto__` stays an ordinary key. */
export function toPlain(value: JsonValue): PlainJson {
  if (typeof value === "bigint") return Number(value);
  if (value === null || typeof value !== "object") return value;
  if (isArray(value)) return value.map(toPlain);
  return Object.fromEntries([...value].map(([key, item]) => [key, toPlain(item)]));
}

/** `Array.isArray`, which does not narrow readonly arrays. */
export function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** Internal to this file: `parseJson` turns it into a value. */
class JsonProblem extends Error {}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail("something follows the end of the value");
    return value;
  }

  #value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) this.#fail(`it is nested deeper than ${MAX_DEPTH} levels`);
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): ReadonlyMap<string, JsonValue> {
    const entries = new Map<string, JsonValue>();
    this.#at++;
    if (this.#take("}")) return entries;
    do {
      this.#space();
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail("a key in quotes is expected");
      const key = this.#string();
      if (entries.has(key)) this.#fail(`the key ${JSON.stringify(key)} is given twice`, start);
      if (!this.#take(":")) this.#fail("`:` is expected");
      entries.set(key, this.#value(depth + 1));
    } while (this.#take(","));
    if (!this.#take("}")) this.#fail("`,` or `}` is expected");
    return entries;
  }

  #array(depth: number): readonly JsonValue[] {
    const items: JsonValue[] = [];
    this.#at++;
    if (this.#take("]")) return items;
    do items.push(this.#value(depth + 1));
    while (this.#take(","));
    if (!this.#take("]")) this.#fail("`,` or `]` is expected");
    return items;
  }

  #string(): string {
    this.#at++;
    let result = "";
    for (;;) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON strings hold no raw control characters
      result += this.#match(/[^"\\\u0000-\u001f]*/y) ?? "";
      const next = this.#text[this.#at];
      if (next === '"') break;
      if (next === undefined) this.#fail("a string does not end");
      if (next !== "\\") this.#fail("a control character stands in a string");
      result += this.#escape();
    }
    this.#at++;
    if (/\p{Surrogate}/u.test(result)) this.#fail("a string holds half of a surrogate pair");
    return result;
  }

  #escape(): string {
    const letter = this.#text[this.#at + 1] ?? "";
    const simple = ESCAPES.get(letter);
    if (simple !== undefined) {
      this.#at += 2;
      return simple;
    }
    const unicode = this.#match(/\\u[0-9a-fA-F]{4}/y);
    if (unicode === undefined) this.#fail("a string holds an unknown escape");
    return String.fromCharCode(Number.parseInt(unicode.slice(2), 16));
  }

  #number(): number | bigint {
    const token = this.#match(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y);
    if (token === undefined) this.#fail("a value is expected");
    return /[.eE]|^-0$/.test(token) ? Number(token) : BigInt(token);
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail("a value is expected");
    this.#at += word.length;
    return value;
  }

  /** Skips white space and, when it comes next, `character`. */
  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    this.#match(/[ \t\n\r]*/y);
  }

  #match(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fail(problem: string, at = this.#at): never {
    throw new JsonProblem(`${problem} (at character ${at + 1})`);
  }
}
