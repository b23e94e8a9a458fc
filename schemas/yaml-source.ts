/**
 * A YAML 1.2 document that remembers where everything stands: the shared base of recipes and hardware profiles.
 *
 * Reading never throws; problems of syntax come back as diagnostics with a place. Does no I/O: the caller hands in
 * the text and the name it has for it.
 */
import { type Document, type ErrorCode, isAlias, isMap, isNode, isScalar, isSeq, parseDocument } from "yaml";
import { type Diagnostic, type DiagnosticCode, diagnostic, type Place } from "./diagnostic.ts";

export type KeyPath = readonly (string | number)[];

export interface YamlSource {
  readonly file: string;
  readonly document: Document;
  /** The text that the document's positions count in. */
  readonly text: string;
  /** Values set from outside the file: key path → how they were given, such as `--set memory.ram=6GiB`. */
  readonly overrides: Map<string, string>;
}

/** The codes under which one kind of document reports its problems. */
export interface DocumentCodes {
  readonly syntax: DiagnosticCode;
  readonly duplicateKey: DiagnosticCode;
  readonly unknownKey: DiagnosticCode;
  readonly missingKey: DiagnosticCode;
  readonly invalidValue: DiagnosticCode;
}

/** Frequent problems in our words; the rest keep the YAML parser's. */
const KNOWN_PROBLEMS: Readonly<Partial<Record<ErrorCode, { summary: string; hint: string }>>> = {
  DUPLICATE_KEY: { summary: "this key is given twice", hint: "remove one of the two" },
  TAB_AS_INDENT: { summary: "a tab is used as indentation", hint: "YAML is indented with spaces" },
  MULTIPLE_DOCS: {
    summary: "a second document begins here",
    hint: "one file holds one document: remove the `---`",
  },
};

export function readYaml(
  text: string,
  file: string,
  codes: DocumentCodes,
): { source: YamlSource; diagnostics: Diagnostic[] } {
  // A byte-order mark is not part of the first key.
  const plain = text.replace(/^\uFEFF/, "");
  const document: Document = parseDocument(plain, {
    version: "1.2",
    schema: "core",
    prettyErrors: false,
  });
  const source = { file, document, text: plain, overrides: new Map<string, string>() };
  const diagnostics = [...document.errors, ...document.warnings].map((problem) => {
    const known = KNOWN_PROBLEMS[problem.code];
    return diagnostic(problem.code === "DUPLICATE_KEY" ? codes.duplicateKey : codes.syntax, {
      ...(known ?? { summary: lowerFirst(problem.message) }),
      where: placeAt(source, problem.pos[0]),
    });
  });
  return { source, diagnostics };
}

/** The document as plain data; a diagnostic when its aliases cannot be expanded. */
export function toPlainData(
  source: YamlSource,
  codes: DocumentCodes,
): { data: unknown } | { diagnostics: Diagnostic[] } {
  try {
    return { data: source.document.toJS() };
  } catch (error) {
    // `yaml` refuses unresolved aliases and exponential alias bombs by throwing a ReferenceError.
    if (!(error instanceof ReferenceError)) throw error;
    return {
      diagnostics: [
        diagnostic(codes.syntax, { summary: lowerFirst(error.message), where: { file: source.file } }),
      ],
    };
  }
}

/** Where `path` stands: its key (`key`) or what it holds (`value`); the nearest parent when it is absent. */
export function locate(source: YamlSource, path: KeyPath, part: "key" | "value"): Place {
  const name = formatPath(path);
  for (let length = path.length; length > 0; length--) {
    const origin = source.overrides.get(formatPath(path.slice(0, length)));
    if (origin !== undefined) return { file: origin, path: name };
  }
  let node: unknown = source.document.contents;
  let start: number | undefined = isNode(node) ? node.range?.[0] : undefined;
  for (const [index, step] of path.entries()) {
    const child = childOf(source, node, step);
    if (child === undefined) break;
    const last = index === path.length - 1;
    start =
      (last && part === "value" ? startOf(child.value) : undefined) ??
      startOf(child.key) ??
      startOf(child.value) ??
      start;
    node = child.value;
  }
  const place = start === undefined ? { file: source.file } : placeAt(source, start);
  return name === "" ? place : { ...place, path: name };
}

/** The text that a key of the document holds; undefined for anything else. */
export function textAt(source: YamlSource, key: string): string | undefined {
  const value = childOf(source, source.document.contents, key)?.value;
  const node = isAlias(value) ? value.resolve(source.document) : value;
  return isScalar(node) && typeof node.value === "string" ? node.value : undefined;
}

/** `["adapter", "targets", 0]` → `adapter.targets[0]`. */
export function formatPath(path: KeyPath): string {
  return path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : text === "" ? step : `${text}.${step}`),
    "",
  );
}

function childOf(
  source: YamlSource,
  parent: unknown,
  step: string | number,
): { key?: unknown; value: unknown } | undefined {
  const node = isAlias(parent) ? parent.resolve(source.document) : parent;
  if (isMap(node)) {
    // Of a key that is given twice, the last one counts, as in the plain data.
    const pair = node.items.findLast(({ key }) => String(isScalar(key) ? key.value : key) === String(step));
    return pair && { key: pair.key, value: pair.value };
  }
  if (isSeq(node)) return { value: node.items[Number(step)] };
  return undefined;
}

/** First character of a node; undefined for the empty value of `key:`, which has none. */
function startOf(node: unknown): number | undefined {
  if (!isNode(node) || !node.range) return undefined;
  const [start, end] = node.range;
  return start === end ? undefined : start;
}

function placeAt({ file, text }: Pick<YamlSource, "file" | "text">, position: number): Place {
  const before = text.slice(0, position);
  return { file, line: before.split("\n").length, column: position - before.lastIndexOf("\n") };
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
