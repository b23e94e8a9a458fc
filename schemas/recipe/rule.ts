/** Rules that span keys, as refinements that do not wait for the rest of the recipe to be right. */

/** Options of a rule: it speaks about `path`, and runs when all of `keys` are themselves valid. */
export function rule(path: readonly string[], keys: readonly string[], message: string, hint?: string) {
  return {
    path: [...path],
    error: message,
    params: { code: "recipe.conflict", hint },
    when: ({
      issues,
    }: {
      issues: readonly { code?: string | undefined; path?: PropertyKey[] | undefined }[];
    }) =>
      issues.every(({ code, path: at }) =>
        at === undefined || at.length === 0
          ? code === "unrecognized_keys" || code === "custom"
          : code === "custom" || !keys.includes(String(at[0])),
      ),
  };
}
