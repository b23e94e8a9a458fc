import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { stripVTControlCharacters } from "node:util";
import Ajv04 from "ajv-draft-04";
import formats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { renderGithub } from "../../cli/render/github.ts";
import { renderHuman } from "../../cli/render/human.ts";
import { renderJson } from "../../cli/render/json.ts";
import { renderSarif } from "../../cli/render/sarif.ts";
import {
  type Diagnostic,
  type DiagnosticCode,
  diagnostic,
  diagnosticCodes,
} from "../../schemas/diagnostic.ts";

const SOURCE = "lema: 1\nadapter:\n  lora_r: 16\n";
const UNKNOWN = diagnostic("recipe.unknown-key", {
  summary: "unknown key `lora_r`",
  where: { file: "a.yaml", line: 3, column: 3, path: "adapter.lora_r" },
  hint: "it is `adapter.rank` here",
});
const WARNING = diagnostic("hardware.beyond-memory", { severity: "warning", summary: "too large" });

const human = (list: readonly Diagnostic[], source: string | null = SOURCE, color = false) =>
  narrow(list, Number.POSITIVE_INFINITY, source, color);
const narrow = (list: readonly Diagnostic[], width: number, source: string | null = SOURCE, color = false) =>
  renderHuman(list, { color, width, readSource: () => source ?? undefined });

describe("human", () => {
  it("frames the place, points at the whole word and gives the hint", () => {
    expect(human([UNKNOWN])).toBe(`error: unknown key \`lora_r\` [recipe.unknown-key]
  ┌ a.yaml:3:3
3 │   lora_r: 16
  │   ^^^^^^
  hint: it is \`adapter.rank\` here
`);
  });

  it("says who has to act", () => {
    expect(human([diagnostic("cli.system", { summary: "disk full" })])).toMatch(/^error \(environment\): /);
    expect(human([diagnostic("lema.bug", { summary: "oops" })])).toMatch(/^error \(bug in lema\): /);
    expect(human([WARNING])).toBe("warning: too large [hardware.beyond-memory]\n");
  });

  it("names the key where there is no line to show", () => {
    const where = { file: "--set memory.ram=lots", path: "memory.ram" };
    expect(human([{ ...UNKNOWN, where }], null)).toContain("  at --set memory.ram=lots (memory.ram)\n");
    expect(human([UNKNOWN], null)).toContain("  at a.yaml:3:3\n");
    // The file has changed since: the line is gone.
    expect(human([UNKNOWN], "lema: 1\n")).toContain("  at a.yaml:3:3\n");
  });

  it("points beyond the end of a line, and at quoted text as a whole", () => {
    const at = (column: number) => ({ ...UNKNOWN, where: { file: "a", line: 1, column } });
    expect(human([at(10)], "path: abc")).toMatch(/│ {10}\^\n/);
    expect(human([at(7)], 'path: "a b: c" # x')).toMatch(/│ {7}\^{8}\n/);
  });

  it("shows a window of an endless line", () => {
    const text = human(
      [{ ...UNKNOWN, where: { file: "a", line: 1, column: 5001 } }],
      `${"x".repeat(5000)}HERE${"y".repeat(5000)}`,
    );
    const [, , shown, carets] = text.split("\n");
    expect(shown!.length).toBeLessThan(140);
    expect(shown![carets!.indexOf("^")]).toBe("H");
  });

  it("goes on below where a terminal is narrow, and shows the part of the line that matters", () => {
    const one = {
      ...UNKNOWN,
      detail: "the largest buffers:\n     258 MiB  slot/mlp/0 of many and more words",
    };
    const source = `${"x: 1, ".repeat(20)}lora_r: 16, ${"y: 2, ".repeat(20)}`;
    const where = { file: "a.yaml", line: 1, column: 121 };
    expect(narrow([{ ...one, where }], 40, source).split("\n")).toEqual([
      "error: unknown key `lora_r`",
      "[recipe.unknown-key]",
      "  ┌ a.yaml:1:121",
      "1 │ : 1, x: 1, x: 1, lora_r: 16, y: 2, ",
      "  │                  ^^^^^^",
      "  the largest buffers:",
      "       258 MiB  slot/mlp/0 of many and",
      "                more words",
      "  hint: it is `adapter.rank` here",
      "",
    ]);
    const coloured = narrow([one], 40, SOURCE, true);
    expect(stripVTControlCharacters(coloured)).toBe(narrow([one], 40));
  });

  it("lets no file write to the terminal", () => {
    const text = human([{ ...UNKNOWN, summary: "a\u001b[2Jb" }], "\u001b]0;x\u0007\n\n  \u202elora_r: 16\n");
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
  });

  it("colours only when asked", () => {
    expect(human([UNKNOWN])).not.toContain("\u001b");
    expect(human([UNKNOWN], SOURCE, true)).toContain("\u001b[31merror\u001b[39m");
  });
});

it("json carries the diagnostics as they are", () => {
  expect(JSON.parse(renderJson([UNKNOWN, WARNING]))).toEqual({
    errors: 1,
    warnings: 1,
    diagnostics: [UNKNOWN, WARNING],
  });
});

describe("github", () => {
  it("writes workflow commands, with everything escaped that the runner reads", () => {
    const nasty = {
      ...UNKNOWN,
      summary: "100%\r\nof a: b, c",
      where: { file: "a:b,c%.yaml", line: 3, column: 3 },
    };
    expect(renderGithub([nasty])).toBe(
      "::error file=a%3Ab%2Cc%25.yaml,line=3,col=3,title=recipe.unknown-key::100%25%0D%0Aof a: b, c%0Ahint: it is `adapter.rank` here\n",
    );
    expect(renderGithub([WARNING])).toBe("::warning title=hardware.beyond-memory::too large\n");
  });

  it("names a file as the checkout does", () => {
    const where = { file: "./recipes/../a.yaml", line: 2 };
    expect(renderGithub([{ ...WARNING, where }])).toMatch(/^::warning file=a\.yaml,line=2,/);
  });

  it("names no file for a value from the command line", () => {
    const where = { file: "--set a=1", path: "a" };
    expect(renderGithub([{ ...UNKNOWN, summary: "no", where, hint: undefined }])).toBe(
      "::error title=recipe.unknown-key::no%0A--set a=1\n",
    );
  });

  it("keeps to ten annotations of a kind and says how many are left out", () => {
    const lines = renderGithub([
      ...Array<Diagnostic>(25).fill(UNKNOWN),
      ...Array<Diagnostic>(10).fill(WARNING),
    ])
      .trim()
      .split("\n");
    expect(lines.filter((line) => line.startsWith("::error"))).toHaveLength(10);
    expect(lines[9]).toBe("::error::and 16 more of lema's errors");
    expect(lines.filter((line) => line.startsWith("::warning"))).toHaveLength(10);
    expect(lines.at(-1)).toContain("too large");
  });
});

describe("sarif", () => {
  const results = (list: readonly Diagnostic[]) => JSON.parse(renderSarif(list, "1.2.3")).runs[0].results;
  const fingerprint = (list: readonly Diagnostic[]) =>
    results(list).map(
      (result: { partialFingerprints: Record<string, string> }) => result.partialFingerprints["lema/v1"],
    );

  it("is a 2.1.0 log whose results refer to their rules", () => {
    const log = JSON.parse(renderSarif([UNKNOWN, WARNING], "1.2.3"));
    expect(log.version).toBe("2.1.0");
    const { driver } = log.runs[0].tool;
    expect(driver).toMatchObject({ name: "lema", semanticVersion: "1.2.3" });
    expect(log.runs[0].results).toHaveLength(2);
    for (const result of log.runs[0].results) expect(driver.rules[result.ruleIndex].id).toBe(result.ruleId);
    expect(log.runs[0].results[0]).toMatchObject({
      ruleId: "recipe.unknown-key",
      level: "error",
      message: { text: "unknown key `lora_r`\nHint: it is `adapter.rank` here" },
      locations: [
        {
          physicalLocation: { artifactLocation: { uri: "a.yaml" }, region: { startLine: 3, startColumn: 3 } },
          logicalLocations: [{ fullyQualifiedName: "adapter.lora_r" }],
        },
      ],
    });
    expect(log.runs[0].results[1]).not.toHaveProperty("locations");
  });

  it("writes paths as URI references", () => {
    const uri = (file: string) =>
      results([{ ...UNKNOWN, where: { file } }])[0].locations[0].physicalLocation.artifactLocation.uri;
    expect(uri("my recipes/a b.yaml")).toBe("my%20recipes/a%20b.yaml");
    expect(uri("/srv/a.yaml")).toBe("file:///srv/a.yaml");
    expect(uri("./recipes/../a.yaml")).toBe("a.yaml");
  });

  it("gives a value from the command line no file", () => {
    const where = { file: "--set a=1", path: "a" };
    expect(results([{ ...UNKNOWN, where }])[0].locations).toEqual([
      { logicalLocations: [{ fullyQualifiedName: "a" }] },
    ]);
  });

  it("keeps fingerprints when lines move and files are renamed, and tells equal problems of a file apart", () => {
    const at = (file: string, line: number) => ({ ...UNKNOWN, where: { ...UNKNOWN.where!, file, line } });
    const [first, second] = fingerprint([at("a.yaml", 3), at("a.yaml", 9)]);
    expect(first).not.toBe(second);
    expect(fingerprint([at("a.yaml", 30), at("a.yaml", 90)])).toEqual([first, second]);
    expect(fingerprint([at("deep/b.yaml", 3), at("deep/b.yaml", 9)])).toEqual([first, second]);
    // The problems of another file do not renumber this one's.
    expect(fingerprint([at("other.yaml", 1), at("a.yaml", 3)])[1]).toBe(first);
  });

  it.each([
    ["code", { code: "recipe.invalid-value" as const }],
    ["key", { where: { ...UNKNOWN.where!, path: "training.lora_r" } }],
    ["wording", { summary: "unknown key `lora_alpha`" }],
  ])("gives a problem of another %s another fingerprint", (_, change) => {
    expect(fingerprint([{ ...UNKNOWN, ...change }])).not.toEqual(fingerprint([UNKNOWN]));
  });

  it("is valid by the schema of SARIF 2.1.0, whatever the diagnostics are", () => {
    // The published schema is draft-04, with a pattern that is none under the u flag.
    const ajv = new Ajv04.default({ allErrors: true, strict: false, unicodeRegExp: false });
    formats.default(ajv);
    const schema = createRequire(import.meta.url).resolve(
      "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json",
    );
    const validate = ajv.compile(JSON.parse(readFileSync(schema, "utf8")));
    const everyCode = (Object.keys(diagnosticCodes) as DiagnosticCode[]).map((code, index) =>
      diagnostic(code, {
        severity: index % 2 === 0 ? "error" : "warning",
        summary: `problem of ${code}`,
        where: { file: `dir ${index}/ä%#?.yaml`, line: index + 1, column: 1, path: `a.${index}` },
        detail: "more\nlines",
        hint: "a way out",
      }),
    );
    const bare = [WARNING, { ...UNKNOWN, where: { file: "--set a=1", path: "a" } }];
    for (const list of [[], everyCode, bare]) {
      validate(JSON.parse(renderSarif(list, "1.2.3")));
      expect(validate.errors).toBeNull();
    }
    const broken = JSON.parse(renderSarif([UNKNOWN], "1.2.3"));
    broken.runs[0].results[0].level = "fatal";
    expect(validate(broken)).toBe(false);
  });
});
