/** The recipe: what a user writes (`document.ts`), what lema works with (`resolved.ts`), and the way between them (`parse.ts`). */
export { type RecipeDocument, recipeSchema } from "./recipe/document.ts";
export { applyOverrides, isOverride } from "./recipe/overrides.ts";
export { type ParsedRecipe, parseRecipe } from "./recipe/parse.ts";
export {
  type AdapterRecipe,
  type DatasetRecipe,
  type Precision,
  type Recipe,
  resolvedRecipeSchema,
  type TrainingRecipe,
} from "./recipe/resolved.ts";
