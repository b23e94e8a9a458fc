/**
 * The keys of a document, read from the JSON Schema of its input side.
 *
 * One list serves the reference page, the check for unknown keys and the suggestions, so they cannot disagree.
 */
import * as z from "zod";

export interface KeyReference {
  /** Key path, such as `training.optimizer.eps`. */
  readonly path: string;
  readonly description: string;
  /** What may stand there, in words: `whole number`, `` `a` | `b` ``, `section`. */
  readonly accepts: string;
  /** The schema's default; absent when there is none or when it depends on other keys (the description says so). */
  readonly default?: unknown;
  readonly required: boolean;
}

type JsonSchema = z.core.JSONSchema.JSONSchema;

/** Draft-07, which yaml-language-server and ajv read without options. */
export function inputJsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", target: "draft-7" });
}

/** Every key below the root, parents before children, in the schema's order. */
export function listKeys(schema: z.ZodType): KeyReference[] {
  return keysOf(inputJsonSchema(schema), "");
}

function keysOf(schema: JsonSchema, parent: string): KeyReference[] {
  return alternatives(schema).flatMap((branch) =>
    Object.entries(branch.properties ?? {}).flatMap(([key, value]) => {
      const child = value as JsonSchema;
      const path = parent === "" ? key : `${parent}.${key}`;
      const { default: preset } = child;
      return [
        {
          path,
          description: child.description ?? "",
          accepts: acceptsOf(child),
          ...(preset === undefined || isEmptySection(preset) ? {} : { default: preset }),
          required: branch.required?.includes(key) ?? false,
        },
        ...keysOf(child, path),
      ];
    }),
  );
}

function alternatives(schema: JsonSchema): JsonSchema[] {
  return schema.anyOf && schema.title === undefined
    ? (schema.anyOf as JsonSchema[]).flatMap(alternatives)
    : [schema];
}

function isEmptySection(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function acceptsOf(schema: JsonSchema): string {
  return [...new Set(alternatives(schema).map(acceptsOne))].join(" | ");
}

function acceptsOne(schema: JsonSchema): string {
  // A notation of its own, such as a size: the alternatives of its spelling say less than its name.
  if (schema.title !== undefined) return schema.title;
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum) return schema.enum.map((choice) => `\`${choice}\``).join(" | ");
  switch (schema.type) {
    case "string":
      return "text";
    case "integer":
      return "whole number";
    case "number":
      return "number";
    case "boolean":
      return "`true` | `false`";
    case "array":
      return "list";
    case "object":
      return "section";
    default:
      return String(schema.type ?? "anything");
  }
}
