import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseJson, parseJsonBytes, toPlain } from "../../models/strict-json.ts";

const plain = (text: string): unknown => {
  const parsed = parseJson(text);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return toPlain(parsed.value);
};
const problem = (text: string): string | undefined => {
  const parsed = parseJson(text);
  return "problem" in parsed ? parsed.problem : undefined;
};

describe("parseJson", () => {
  it("reads whatever JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat({ max: 3 }), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(plain(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it("accepts exactly what JSON.parse accepts, apart from repeated keys and half surrogates", () => {
    const tokens = [
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"a"',
      '"b"',
      "1",
      "-0",
      "01",
      "1.5e3",
      ".5",
      "true",
      "nul",
      " ",
      "\t",
      "\f",
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...tokens), { maxLength: 8 }), (parts) => {
        const text = parts.join("");
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        const found = problem(text);
        if (found?.includes("given twice")) return;
        expect(found === undefined).toBe(valid);
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses a repeated key, also when it is spelled differently", () => {
    expect(problem('{"a": 1, "b": 2, "a": 3}')).toBe('the key "a" is given twice (at character 18)');
    expect(problem(String.raw`{"a": 1, "\u0061": 3}`)).toMatch(/given twice/);
  });

  it("keeps whole numbers exact and tells them from fractions", () => {
    expect(parseJson("9007199254740993")).toEqual({ value: 9007199254740993n });
    expect(parseJson("[0, 1.0, 1e2, -0]")).toEqual({ value: [0n, 1, 100, -0] });
  });

  it("keeps __proto__ an ordinary key", () => {
    const value = plain('{"__proto__": {"polluted": true}}') as object;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect((value as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it.each([
    ["", "a value is expected"],
    ['"abc', "does not end"],
    ['"a\nb"', "control character"],
    [String.raw`"\x"`, "unknown escape"],
    [String.raw`"\u12g4"`, "unknown escape"],
    [String.raw`"\ud800"`, "surrogate"],
    ["[1,]", "a value is expected"],
    ["{a: 1}", "a key in quotes"],
    ['{"a" 1}', "`:` is expected"],
    ['{"a": 1 "b"', "`}` is expected"],
    ["[1 2]", "`]` is expected"],
    ["1 2", "follows the end"],
    ["NaN", "a value is expected"],
    ["[".repeat(100_000), "nested deeper"],
  ])("refuses %j", (text, expected) => {
    expect(problem(text)).toContain(expected);
  });

  it("refuses what is not UTF-8, a byte order mark included", () => {
    expect(parseJsonBytes(Uint8Array.of(0x22, 0xff, 0x22))).toEqual({ problem: "it is not UTF-8" });
    expect(parseJsonBytes(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31))).toHaveProperty("problem");
  });
});
