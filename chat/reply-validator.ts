/**
 * Reads a reply in LEMA's format strictly, whole or while it is still being generated.
 *
 * A text is valid if, without white space around it, it is what `formatReply` writes for some reply; otherwise every
 * problem is named with its line. Text arrives in pieces: wherever it is cut, the result is the same. Only whole lines are
 * judged before the end, so a problem that has been reported stays.
 *
 * Example: `validateReply("[LEMA_REPLY]\nAnswer: 4")` finds `missing-field` twice and `no-closing-tag`.
 */
import {
  CLOSING_TAG,
  CONFIDENCES,
  type Confidence,
  FIELDS,
  type Field,
  fieldOf,
  OPENING_TAG,
  type Reply,
} from "../data/reply/reply.ts";
import { invariant } from "../schemas/diagnostic.ts";

export type ReplyProblemCode =
  | "no-opening-tag"
  | "no-closing-tag"
  | "repeated-tag"
  | "misplaced-tag"
  | "text-outside"
  | "text-before-field"
  | "missing-field"
  | "repeated-field"
  | "field-order"
  | "empty-field"
  | "spacing"
  | "bad-confidence";

export interface ReplyProblem {
  readonly code: ReplyProblemCode;
  /** One sentence for a person. */
  readonly message: string;
  /** Counted from 1; where the problem is something missing, the last line. */
  readonly line: number;
}

export type ReplyResult =
  | { readonly valid: true; readonly reply: Reply }
  | { readonly valid: false; readonly problems: readonly ReplyProblem[] };

/** Where the whole lines read so far end. */
export type ReplyStage = "before" | "inside" | Field | "after";

/** A field under way: what stands behind its label, line by line. */
interface OpenField {
  readonly field: Field;
  readonly line: number;
  readonly lines: string[];
}

/** Judges a whole text. */
export function validateReply(text: string): ReplyResult {
  const validator = new ReplyValidator();
  validator.push(text);
  return validator.end();
}

/** One reply, piece by piece: `push` its text, then `end`. */
export class ReplyValidator {
  /** The line under way. */
  #partial = "";
  #line = 0;
  #stage: ReplyStage = "before";
  #opened = false;
  #closed = false;
  #current: OpenField | undefined;
  readonly #values = new Map<Field, string>();
  readonly #problems: ReplyProblem[] = [];
  /** Sides of the reply on which text has been reported. */
  readonly #outside = new Set<ReplyStage>();
  #result: ReplyResult | undefined;

  /** Takes the next piece of the text. */
  push(piece: string): void {
    invariant(this.#result === undefined, "a reply goes on after its end");
    const lines = (this.#partial + piece).split("\n");
    this.#partial = lines.pop()!;
    for (const line of lines) this.#readLine(line);
  }

  get stage(): ReplyStage {
    return this.#stage;
  }

  /** What is wrong whatever follows; it only grows. */
  get problems(): readonly ReplyProblem[] {
    return this.#problems;
  }

  /** Ends the text; a second call gives the same result. */
  end(): ReplyResult {
    this.#result ??= this.#finish();
    return this.#result;
  }

  #finish(): ReplyResult {
    this.#readLine(this.#partial);
    this.#leaveField();
    if (!this.#opened) this.#report("no-opening-tag", `${OPENING_TAG} is missing`);
    for (const field of FIELDS) {
      if (!this.#values.has(field)) this.#report("missing-field", `the field ${field} is missing`);
    }
    if (!this.#closed) this.#report("no-closing-tag", `${CLOSING_TAG} is missing`);
    if (this.#problems.length > 0) return { valid: false, problems: this.#problems };
    const [answer, explanation] = [this.#values.get("Answer")!, this.#values.get("Explanation")!];
    const confidence = asConfidence(this.#values.get("Confidence")!)!;
    return { valid: true, reply: { answer, explanation, confidence } };
  }

  #readLine(line: string): void {
    this.#line++;
    // White space around the whole reply is nobody's text.
    const bare = this.#opened ? line : line.trimStart();
    if (bare === OPENING_TAG) this.#open();
    else if (bare.trimEnd() === CLOSING_TAG) this.#close();
    else this.#readParts(bare);
  }

  /** A line that is no tag; tags within it are taken for what they are, so that one slip is one problem. */
  #readParts(line: string): void {
    const tag = [OPENING_TAG, CLOSING_TAG].find((tag) => line.includes(tag));
    if (tag === undefined) {
      this.#readText(line);
      return;
    }
    const at = line.indexOf(tag);
    const [before, after] = [line.slice(0, at).trimEnd(), line.slice(at + tag.length)];
    if (before !== "") this.#readParts(before);
    this.#report("misplaced-tag", `${tag} is not on a line of its own`);
    if (tag === OPENING_TAG) this.#open();
    else this.#close();
    if (after.trim() !== "") this.#readParts(after.trimStart());
  }

  #open(): void {
    if (this.#opened) this.#report("repeated-tag", `${OPENING_TAG} comes again`);
    else if (this.#stage !== "before") this.#report("misplaced-tag", `${OPENING_TAG} does not come first`);
    this.#opened = true;
    if (this.#stage === "before") this.#stage = "inside";
  }

  #close(): void {
    if (this.#closed) this.#report("repeated-tag", `${CLOSING_TAG} comes again`);
    this.#leaveField();
    this.#closed = true;
    this.#stage = "after";
  }

  #readText(line: string): void {
    const field = fieldOf(line);
    // A field without an opening tag in front is a field all the same: what is wrong is the tag.
    if (field !== undefined && !this.#closed) this.#enterField(field, line.slice(field.length + 1));
    else if (this.#current !== undefined) this.#current.lines.push(line);
    else if (this.#stage === "inside") {
      this.#report("text-before-field", "there is something between the opening tag and the first field");
    } else this.#readOutside(line);
  }

  /** Text on one side of the reply is one problem, however long it is. */
  #readOutside(line: string): void {
    if (line.trim() === "" || this.#outside.has(this.#stage)) return;
    this.#outside.add(this.#stage);
    const place = this.#stage === "after" ? `behind ${CLOSING_TAG}` : `before ${OPENING_TAG}`;
    this.#report("text-outside", `there is text ${place}`);
  }

  #enterField(field: Field, rest: string): void {
    this.#leaveField();
    const later = FIELDS.slice(FIELDS.indexOf(field) + 1).find((other) => this.#values.has(other));
    if (this.#values.has(field)) this.#report("repeated-field", `the field ${field} comes again`);
    else if (later !== undefined) this.#report("field-order", `the field ${field} comes after ${later}`);
    this.#current = { field, line: this.#line, lines: [rest] };
    this.#stage = field;
  }

  /** Judges the value of the field that ends here. */
  #leaveField(): void {
    if (this.#current === undefined) return;
    const { field, line, lines } = this.#current;
    this.#current = undefined;
    const raw = lines.join("\n");
    const value = raw.trim();
    if (value === "") this.#report("empty-field", `the field ${field} is empty`, line);
    else if (raw !== ` ${value}`) {
      this.#report(
        "spacing",
        `the field ${field} is not one space and its value, without white space at the end`,
        line,
      );
    }
    if (field === "Confidence" && value !== "" && asConfidence(value) === undefined) {
      const [known, found] = [CONFIDENCES.join(", "), JSON.stringify(value)];
      this.#report("bad-confidence", `the confidence ${found} is none of ${known}`, line);
    }
    if (!this.#values.has(field)) this.#values.set(field, value);
  }

  #report(code: ReplyProblemCode, message: string, line: number = this.#line): void {
    this.#problems.push({ code, message, line });
  }
}

function asConfidence(text: string): Confidence | undefined {
  return CONFIDENCES.find((confidence) => confidence === text);
}
