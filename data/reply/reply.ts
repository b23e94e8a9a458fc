/**
 * The reply format that LEMA's demonstration teaches, and how a reply is written in it:
 *
 *     [LEMA_REPLY]
 *     Answer: Lima
 *     Explanation: Lima is the capital of Peru.
 *     Confidence: High
 *     [/LEMA_REPLY]
 *
 * A value may span lines. It has text, no white space at its ends, no tag in it, and no line that begins as a field
 * does: so what is written can be read back, and is read in one way only.
 */
import { invariant } from "../../schemas/diagnostic.ts";

export const OPENING_TAG = "[LEMA_REPLY]";
export const CLOSING_TAG = "[/LEMA_REPLY]";
export const FIELDS = ["Answer", "Explanation", "Confidence"] as const;
export const CONFIDENCES = ["High", "Medium", "Low"] as const;

export type Field = (typeof FIELDS)[number];
export type Confidence = (typeof CONFIDENCES)[number];

export interface Reply {
  readonly answer: string;
  readonly explanation: string;
  readonly confidence: Confidence;
}

/** The text of a reply; its values must be as the head of this file says. */
export function formatReply({ answer, explanation, confidence }: Reply): string {
  for (const value of [answer, explanation]) {
    invariant(isFieldValue(value), `this cannot stand in a reply: ${JSON.stringify(value)}`);
  }
  const values = [answer, explanation, confidence];
  return [OPENING_TAG, ...FIELDS.map((field, i) => `${field}: ${values[i]}`), CLOSING_TAG].join("\n");
}

/** Whether `text` can be the value of a field. */
export function isFieldValue(text: string): boolean {
  return (
    text !== "" &&
    text === text.trim() &&
    !text.includes(OPENING_TAG) &&
    !text.includes(CLOSING_TAG) &&
    // The first line stands behind its label, so only later ones can be taken for a field.
    !text
      .split("\n")
      .slice(1)
      .some((line) => fieldOf(line) !== undefined)
  );
}

/** The field that a line begins. */
export function fieldOf(line: string): Field | undefined {
  return FIELDS.find((field) => line.startsWith(`${field}:`));
}
