/**
 * Canonical JSON (RFC 8785): keys in the order of their UTF-16 code units, no spaces, numbers and strings as ECMAScript
 * writes them. Written for plans: a hundred thousand small objects with few different sets of keys, so that each set is
 * sorted once.
 */
import { invariant } from "./diagnostic.ts";

/** Undefined properties are left out, as in JSON; what JSON cannot say is refused. */
export function canonicalJson(value: unknown): string {
  return textOf(value, new Texts());
}

/** Calls back with the text piece by piece, arrays item by item, so that the whole of it never exists. */
export function forEachPiece(value: unknown, take: (text: string) => void): void {
  visit(value, new Texts(), take);
}

function visit(value: unknown, texts: Texts, take: (text: string) => void): void {
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      take(`${index === 0 ? "[" : ","}${textOf(item, texts)}`);
    });
    take(value.length === 0 ? "[]" : "]");
  } else if (typeof value === "object" && value !== null) {
    let separator = "{";
    for (const { key, text } of texts.keysOf(value)) {
      const field = (value as Fields)[key];
      if (field === undefined) continue;
      take(`${separator}${text}`);
      visit(field, texts, take);
      separator = ",";
    }
    take(separator === "{" ? "{}" : "}");
  } else take(textOf(value, texts));
}

type Fields = Readonly<Record<string, unknown>>;

/** A lone half of a pair of UTF-16 code units. */
const LONE_SURROGATE = /\p{Surrogate}/u;

function textOf(value: unknown, texts: Texts): string {
  switch (typeof value) {
    case "string":
      return texts.quoted(value);
    case "number":
      invariant(Number.isFinite(value), "numbers of a plan are finite");
      return String(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? arrayText(value, texts) : objectText(value as Fields, texts);
  }
  invariant(false, `a plan has no ${typeof value}`);
}

function arrayText(items: readonly unknown[], texts: Texts): string {
  let text = "[";
  for (let index = 0; index < items.length; index++) {
    if (index > 0) text += ",";
    text += textOf(items[index], texts);
  }
  return `${text}]`;
}

function objectText(fields: Fields, texts: Texts): string {
  const keys = texts.keysOf(fields);
  let text = "{";
  for (let index = 0; index < keys.length; index++) {
    const field = fields[keys[index]!.key];
    if (field === undefined) continue;
    if (text.length > 1) text += ",";
    text += keys[index]!.text + textOf(field, texts);
  }
  return `${text}}`;
}

interface Key {
  readonly key: string;
  /** The key as it stands before its value. */
  readonly text: string;
}

/** What is worked out once: text of strings, and the sorted keys of objects. */
class Texts {
  readonly #root: KeyNode = { next: new Map(), sorted: null };
  readonly #quoted = new Map<string, string>();

  quoted(value: string): string {
    const known = this.#quoted.get(value);
    if (known !== undefined) return known;
    invariant(!LONE_SURROGATE.test(value), "text of a plan is well-formed");
    const text = JSON.stringify(value);
    this.#quoted.set(value, text);
    return text;
  }

  /** Found by walking a tree of keys in the order in which an object has them. */
  keysOf(fields: object): readonly Key[] {
    let node = this.#root;
    // Own properties: objects of plans have no others.
    for (const key in fields) {
      let next = node.next.get(key);
      if (!next) {
        next = { next: new Map(), sorted: null };
        node.next.set(key, next);
      }
      node = next;
    }
    node.sorted ??= Object.keys(fields)
      .sort()
      .map((key) => ({ key, text: `${this.quoted(key)}:` }));
    return node.sorted;
  }
}

interface KeyNode {
  readonly next: Map<string, KeyNode>;
  sorted: readonly Key[] | null;
}
