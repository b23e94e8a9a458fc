import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ReplyValidator, validateReply } from "../../chat/reply-validator.ts";
import { CONFIDENCES, FIELDS, formatReply, isFieldValue, type Reply } from "../../data/reply/reply.ts";

const reply: Reply = { answer: "Lima", explanation: "Lima is the capital of Peru.", confidence: "High" };
const text = formatReply(reply);

/** `code@line` of every problem. */
function problemsOf(reply: string): string[] {
  const result = validateReply(reply);
  return result.valid ? [] : result.problems.map(({ code, line }) => `${code}@${line}`);
}

describe("a reply that is not in the format", () => {
  const cases: readonly [what: string, text: string, problems: readonly string[]][] = [
    [
      "plain prose",
      "Lima is the capital of Peru.",
      [
        "text-outside@1",
        "no-opening-tag@1",
        "missing-field@1",
        "missing-field@1",
        "missing-field@1",
        "no-closing-tag@1",
      ],
    ],
    ["no opening tag", text.replace("[LEMA_REPLY]\n", ""), ["no-opening-tag@4"]],
    ["no closing tag", text.replace("\n[/LEMA_REPLY]", ""), ["no-closing-tag@4"]],
    ["another tag", text.replace("[LEMA_REPLY]", "[Lema_Reply]"), ["text-outside@1", "no-opening-tag@5"]],
    [
      "tags the wrong way round",
      "[/LEMA_REPLY]\n[LEMA_REPLY]",
      ["misplaced-tag@2", "missing-field@2", "missing-field@2", "missing-field@2"],
    ],
    [
      "an opening tag behind a field",
      text.replace("[LEMA_REPLY]\nAnswer: Lima", "Answer: Lima\n[LEMA_REPLY]"),
      ["misplaced-tag@2"],
    ],
    ["a tag twice", `[LEMA_REPLY]\n${text}`, ["repeated-tag@2"]],
    ["a closing tag twice", `${text}\n[/LEMA_REPLY]`, ["repeated-tag@6"]],
    ["a tag behind text", text.replace("High\n[", "High ["), ["misplaced-tag@4"]],
    ["a tag before text", text.replace("]\nAnswer", "]Answer"), ["misplaced-tag@1"]],
    ["no answer", text.replace("Answer: Lima\n", ""), ["missing-field@4"]],
    ["no explanation", text.replace(/Explanation: .*\n/, ""), ["missing-field@4"]],
    ["no confidence", text.replace("Confidence: High\n", ""), ["missing-field@4"]],
    ["a field twice", text.replace("Confidence", "Answer: Quito\nConfidence"), ["repeated-field@4"]],
    ["another order", text.replace(/(Answer.*)\n(Explanation.*)/, "$2\n$1"), ["field-order@3"]],
    ["an empty answer", text.replace(" Lima\n", "\n"), ["empty-field@2"]],
    ["an answer of white space", text.replace(" Lima\n", " \n\t\n"), ["empty-field@2"]],
    ["an empty confidence", text.replace(" High", ""), ["empty-field@4"]],
    ["an unknown confidence", text.replace("High", "Certain"), ["bad-confidence@4"]],
    ["a confidence in small letters", text.replace("High", "high"), ["bad-confidence@4"]],
    ["a confidence with more behind it", text.replace("High", "High\nreally"), ["bad-confidence@4"]],
    ["no space", text.replace(": Lima", ":Lima"), ["spacing@2"]],
    ["two spaces", text.replace(": Lima", ":  Lima"), ["spacing@2"]],
    ["space at the end", text.replace("Lima\n", "Lima \n"), ["spacing@2"]],
    ["an empty line between fields", text.replace("Lima\n", "Lima\n\n"), ["spacing@2"]],
    ["text before", `Sure!\n${text}`, ["text-outside@1"]],
    ["text behind", `${text}\nAnything else?\nAnything?`, ["text-outside@6"]],
    ["text on both sides", `Sure!\n${text}\nBye.`, ["text-outside@1", "text-outside@7"]],
    ["a field behind the reply", `${text}\nAnswer: Quito`, ["text-outside@6"]],
    ["text before the first field", text.replace("Answer", "Well.\nAnswer"), ["text-before-field@2"]],
    [
      "nothing at all",
      "",
      ["no-opening-tag@1", "missing-field@1", "missing-field@1", "missing-field@1", "no-closing-tag@1"],
    ],
  ];

  it.each(cases)("%s", (_, text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
  });

  it("is told in words", () => {
    expect(validateReply(text.replace("High", "Sure"))).toEqual({
      valid: false,
      problems: [
        {
          code: "bad-confidence",
          message: 'the confidence "Sure" is none of High, Medium, Low',
          line: 4,
        },
      ],
    });
  });
});

/** Pieces of what replies are made of, so that random texts come near the format. */
const fragment = fc.oneof(
  fc.constantFrom(
    "[LEMA_REPLY]",
    "[/LEMA_REPLY]",
    "\n",
    " ",
    "High",
    "[",
    ":",
    ...FIELDS.map((f) => `${f}: `),
  ),
  fc.string({ unit: "grapheme", maxLength: 5 }),
);
const anyText = fc.oneof(
  fc.array(fragment, { maxLength: 25 }).map((parts) => parts.join("")),
  // The format with one line replaced, removed or repeated.
  fc.tuple(fc.nat(4), fragment, fc.constantFrom(0, 1, 2)).map(([at, other, copies]) => {
    const lines = text.split("\n");
    lines.splice(at, 1, ...Array.from({ length: copies }, () => other + lines[at]));
    return lines.join("\n");
  }),
);
const value = fc
  .array(fc.oneof(fragment, fc.constant("word")), { minLength: 1, maxLength: 8 })
  .map((parts) => parts.join("").trim())
  .filter(isFieldValue);
const anyReply = fc.record({
  answer: value,
  explanation: value,
  confidence: fc.constantFrom(...CONFIDENCES),
});

describe("every reply", () => {
  it("that is valid is accepted, with all lines of its fields, whatever white space is around it", () => {
    fc.assert(
      fc.property(anyReply, fc.constantFrom("", "\n", "  ", " \n\n\t"), (reply, space) => {
        expect(validateReply(space + formatReply(reply) + space)).toEqual({ valid: true, reply });
      }),
    );
  });

  it("that is accepted is what its fields are written as", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const result = validateReply(text);
        if (result.valid) expect(formatReply(result.reply)).toBe(text.trim());
        else expect(result.problems).not.toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it("gives the same result in any pieces, and takes no problem back", () => {
    fc.assert(
      fc.property(fc.oneof(anyText, anyReply.map(formatReply)), fc.array(fc.nat(200)), (text, cuts) => {
        const validator = new ReplyValidator();
        const places = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
        for (let i = 1; i < places.length; i++) {
          const known = [...validator.problems];
          validator.push(text.slice(places[i - 1], places[i]));
          expect(validator.problems.slice(0, known.length)).toEqual(known);
        }
        expect(validator.end()).toEqual(validateReply(text));
        expect(validator.end()).toBe(validator.end());
      }),
      { numRuns: 500 },
    );
  });

  it("says where it is while it streams", () => {
    const validator = new ReplyValidator();
    const stages = [...text.split(/(?<=\n)/), "\n"].map((piece) => {
      validator.push(piece);
      return validator.stage;
    });
    expect(stages).toEqual(["inside", "Answer", "Explanation", "Confidence", "Confidence", "after"]);
  });

  it("takes no text after its end", () => {
    const validator = new ReplyValidator();
    validator.end();
    expect(() => validator.push("more")).toThrow("a reply goes on after its end");
  });
});
