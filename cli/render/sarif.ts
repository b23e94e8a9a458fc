/**
 * Diagnostics as SARIF 2.1.0, for code scanning.
 *
 * A result's fingerprint is made of its rule, key path and wording, never of its line or file (which its location
 * says), so that neither an edit elsewhere in the file nor a rename makes an old problem look new. Equal problems of
 * one file are numbered in order.
 */
import { createHash } from "node:crypto";
import {
  type Diagnostic,
  type DiagnosticCode,
  diagnosticCodes,
  type Place,
} from "../../schemas/diagnostic.ts";
import { isOverride } from "../../schemas/recipe.ts";
import { checkoutPath } from "./checkout-path.ts";

const SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json";

export function renderSarif(diagnostics: readonly Diagnostic[], version: string): string {
  const rules = [...new Set(diagnostics.map(({ code }) => code))].sort();
  const seen = new Map<string, number>();
  const log = {
    $schema: SCHEMA,
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "lema", semanticVersion: version, rules: rules.map(rule) } },
        columnKind: "utf16CodeUnits",
        results: diagnostics.map((diagnostic) => result(diagnostic, rules, seen)),
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

function rule(code: DiagnosticCode) {
  const { doc, kind } = diagnosticCodes[code];
  return { id: code, shortDescription: { text: doc }, properties: { kind } };
}

function result(diagnostic: Diagnostic, rules: readonly DiagnosticCode[], seen: Map<string, number>) {
  const { code, severity, summary, detail, where, hint } = diagnostic;
  const identity = JSON.stringify([code, where?.path, summary]);
  const inFile = JSON.stringify([where?.file, identity]);
  const occurrence = seen.get(inFile) ?? 0;
  seen.set(inFile, occurrence + 1);
  return {
    ruleId: code,
    ruleIndex: rules.indexOf(code),
    level: severity,
    message: {
      text: [summary, detail, hint === undefined ? undefined : `Hint: ${hint}`].filter(Boolean).join("\n"),
    },
    ...(where === undefined ? {} : { locations: [location(where)] }),
    partialFingerprints: {
      "lema/v1": createHash("sha256").update(`${identity}#${occurrence}`).digest("hex"),
    },
  };
}

function location({ file, line, column, path }: Place) {
  const region =
    line === undefined ? {} : { region: { startLine: line, ...(column && { startColumn: column }) } };
  return {
    // A value from the command line stands in no file.
    ...(!isOverride(file) && { physicalLocation: { artifactLocation: { uri: fileUri(file) }, ...region } }),
    ...(path !== undefined && { logicalLocations: [{ fullyQualifiedName: path }] }),
  };
}

/** A URI reference: relative paths stay relative to the checkout. */
function fileUri(file: string): string {
  const path = checkoutPath(file).split("/").map(encodeURIComponent).join("/");
  return path.startsWith("/") ? `file://${path}` : path;
}
