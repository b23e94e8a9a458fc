/** docs/diagnostics.md: every code, grouped by the part of lema that reports it. */
import { diagnosticCodes } from "../../schemas/diagnostic.ts";
import { type GeneratedFile, MARKDOWN_NOTICE, markdownTable } from "./generator.ts";

const INTRODUCTION = `# Diagnostics

Every problem has a code, a place and, where there is one, a way out. The kind says who can act: \`user\` (the recipe, the
command or the data), \`environment\` (the machine: files, memory, permissions) or \`bug\` (lema itself; please report it).

The exit code of a command is the highest of its errors; warnings do not count. 0 ok · 1 error · 2 differs · 3 does not
fit · 4 stale plan · 5 verification failed.
`;

export function generateDiagnosticsReference(): GeneratedFile[] {
  const entries = Object.entries(diagnosticCodes);
  const groups = [...new Set(entries.map(([code]) => groupOf(code)))];
  const content = [
    MARKDOWN_NOTICE + INTRODUCTION,
    ...groups.flatMap((group) => [
      `## ${group}\n`,
      `${markdownTable(
        ["code", "kind", "exit", "meaning"],
        entries
          .filter(([code]) => groupOf(code) === group)
          .map(([code, { kind, exit, doc }]) => [`\`${code}\``, kind, String(exit), doc]),
      )}\n`,
    ]),
  ];
  return [{ path: "docs/diagnostics.md", content: content.join("\n") }];
}

const groupOf = (code: string): string => code.slice(0, code.indexOf("."));
