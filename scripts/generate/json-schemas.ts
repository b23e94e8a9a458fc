/** schemas/generated/*.schema.json: the input side of each document, for editors and for other languages. */
import type { z } from "zod";
import { hardwareSchema } from "../../schemas/hardware.ts";
import { inputJsonSchema } from "../../schemas/key-reference.ts";
import { recipeSchema } from "../../schemas/recipe.ts";
import { runSchema } from "../../schemas/run.ts";
import type { GeneratedFile } from "./generator.ts";

const DOCUMENTS: Readonly<Record<string, z.ZodType>> = {
  recipe: recipeSchema,
  hardware: hardwareSchema,
  run: runSchema,
};

export function generateJsonSchemas(): GeneratedFile[] {
  return Object.entries(DOCUMENTS).map(([name, schema]) => ({
    path: `schemas/generated/${name}.schema.json`,
    content: `${JSON.stringify(inputJsonSchema(schema), null, 2)}\n`,
  }));
}
