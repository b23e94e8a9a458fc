/** docs/recipe.md: every key of a recipe, from the schema's own descriptions. */
import { type KeyReference, listKeys } from "../../schemas/key-reference.ts";
import { recipeSchema } from "../../schemas/recipe.ts";
import { type GeneratedFile, MARKDOWN_NOTICE, markdownTable } from "./generator.ts";

const INTRODUCTION = `# Recipe reference

A recipe is a YAML 1.2 file. It is strict: an unknown key is an error. Sizes are whole bytes or have units: \`7 GiB\` is
7·2³⁰ bytes, \`6.36 GB\` is 6.36·10⁹ bytes. \`recipes/\` has examples; \`lema validate\` checks a recipe without opening a model.

For completion and checks while you type, begin the file with

\`\`\`yaml
# yaml-language-server: $schema=<path to lema>/schemas/generated/recipe.schema.json
\`\`\`
`;

export function generateRecipeReference(): GeneratedFile[] {
  const keys = listKeys(recipeSchema);
  const topLevel = keys.filter(({ path }) => !path.includes("."));
  const sections = topLevel
    .map((section) => ({ section, children: keys.filter(({ path }) => path.startsWith(`${section.path}.`)) }))
    .filter(({ children }) => children.length > 0);
  const content = [
    MARKDOWN_NOTICE + INTRODUCTION,
    "## Top level\n",
    `${table(topLevel)}\n`,
    ...sections.flatMap(({ section, children }) => [
      `## \`${section.path}\`\n`,
      `${section.description}\n`,
      `${table(children)}\n`,
    ]),
  ];
  return [{ path: "docs/recipe.md", content: content.join("\n") }];
}

function table(keys: readonly KeyReference[]): string {
  return markdownTable(
    ["key", "accepts", "default", "meaning"],
    keys.map((key) => [`\`${key.path}\``, key.accepts, defaultOf(key), key.description]),
  );
}

function defaultOf(key: KeyReference): string {
  if (key.required) return "required";
  return key.default === undefined
    ? ""
    : `\`${typeof key.default === "string" ? key.default : JSON.stringify(key.default)}\``;
}
