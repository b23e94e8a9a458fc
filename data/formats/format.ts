/**
 * What a dataset format is: a reader of one JSON object into a sample, and the checks that all readers share.
 *
 * A reader reports everything that is wrong with its row and returns `undefined` if anything is.
 */
import { type Diagnostic, diagnostic, type Place } from "../../schemas/diagnostic.ts";
import type { JsonObject } from "../jsonl.ts";

/** A piece of text, and whether the model learns to produce it. */
export interface Segment {
  readonly text: string;
  readonly trained: boolean;
}

/** One turn of a conversation; keys beyond these two reach the template as they are. */
export interface Message {
  readonly role: string;
  readonly content: string;
  readonly [key: string]: unknown;
}

/** One row of a dataset before tokenizing. */
export type RawSample =
  | { readonly kind: "segments"; readonly segments: readonly Segment[] }
  | { readonly kind: "conversation"; readonly messages: readonly Message[] }
  /** `labels` as Hugging Face stores them: not shifted, `−100` where nothing is learned. */
  | { readonly kind: "tokens"; readonly ids: readonly number[]; readonly labels: readonly number[] };

export interface DatasetFormat {
  readonly name: string;
  /** One line for the reference: the fields of a row. */
  readonly doc: string;
  read(row: Row): RawSample | undefined;
}

/** One row with its place in the file; collects problems. */
export class Row {
  readonly object: JsonObject;
  readonly problems: Diagnostic[] = [];
  readonly #where: Place;

  constructor(object: JsonObject, where: Place) {
    this.object = object;
    this.#where = where;
  }

  /** The string at `key`; a problem when it is missing or something else. */
  string(key: string): string | undefined {
    return this.stringIn(this.object, key, key);
  }

  /** The string at `key`, or "" where the field is missing or null. */
  optionalString(key: string): string | undefined {
    return this.object[key] === undefined || this.object[key] === null ? "" : this.string(key);
  }

  /** The string at `key` of an object inside the row; `path` names it in the problem. */
  stringIn(object: JsonObject, key: string, path: string): string | undefined {
    const value = object[key];
    if (typeof value === "string") {
      if (!/\p{Surrogate}/u.test(value)) return value;
      this.problem(
        "data.wrong-type",
        path,
        `\`${path}\` holds half of a surrogate pair, which is no character`,
      );
    } else {
      this.#unexpected(value, path, "a string");
    }
    return undefined;
  }

  /** The non-empty array of objects at `key`. */
  objects(key: string): readonly JsonObject[] | undefined {
    const value = this.object[key];
    if (Array.isArray(value) && value.length > 0 && value.every(isObject)) return value;
    this.#unexpected(value, key, "a non-empty array of objects");
    return undefined;
  }

  /** The array of integers at `key`, none below `minimum`. */
  integers(key: string, minimum: number): readonly number[] | undefined {
    const value = this.object[key];
    if (!Array.isArray(value)) {
      this.#unexpected(value, key, "an array of integers");
      return undefined;
    }
    const stray = value.findIndex((item) => !(Number.isInteger(item) && item >= minimum && item < 2 ** 31));
    if (stray === -1) return value as number[];
    const found = `\`${key}[${stray}]\` is ${JSON.stringify(value[stray])}`;
    this.problem("data.wrong-type", key, `${found}, expected an integer from ${minimum} to 2^31 − 1`);
    return undefined;
  }

  /** Refuses features that would be lost without a word. */
  refuse(object: JsonObject, key: string, path: string): void {
    const value = object[key];
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return;
    this.problem("data.unsupported-field", path, `\`${path}\` is not supported and would be ignored`);
  }

  problem(
    code: "data.wrong-type" | "data.unsupported-field" | "data.missing-field",
    path: string,
    summary: string,
  ) {
    this.problems.push(diagnostic(code, { summary, where: { ...this.#where, path } }));
  }

  #unexpected(value: unknown, path: string, expected: string): void {
    if (value === undefined) {
      const found = Object.keys(this.object).join(", ") || "none";
      this.problem("data.missing-field", path, `\`${path}\` is missing (fields of this row: ${found})`);
    } else {
      this.problem("data.wrong-type", path, `\`${path}\` is ${describe(value)}, expected ${expected}`);
    }
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
