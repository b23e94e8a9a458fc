/**
 * Small tables of facts as text: one record a line, fields between bars, `-` where there is none.
 *
 * Example: `parseTable(["country", "capital"], "Peru | Lima")` gives `[{ country: "Peru", capital: "Lima" }]`.
 */
import { invariant } from "../../../schemas/diagnostic.ts";

export type Entry<Column extends string> = Readonly<Record<Column, string>>;

const NONE = "-";

/** The records of `text`; each has all columns, empty where the table says `-`. */
export function parseTable<const Column extends string>(
  columns: readonly Column[],
  text: string,
): Entry<Column>[] {
  const lines = text.trim().split("\n");
  return lines.map((line) => {
    const fields = line.split("|").map((field) => field.trim());
    invariant(fields.length === columns.length, `a fact has ${fields.length} fields: ${line}`);
    const entries = columns.map((column, i) => [column, fields[i] === NONE ? "" : fields[i]!] as const);
    return Object.fromEntries(entries) as Entry<Column>;
  });
}
