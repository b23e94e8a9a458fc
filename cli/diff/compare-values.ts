/** What differs between two JSON values, leaf by leaf, by path. */

export interface Change {
  /** Such as `recipe.memory.ram` or `files[model.safetensors].digest`. */
  readonly path: string;
  /** Undefined where the first value has nothing of the kind. */
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * Every leaf that differs, in the order of the first value, then of what only the second has. Lists of things with an
 * `id`, a `name` or a `tensor` are compared thing by thing; all other lists as a whole.
 */
export function compareValues(before: unknown, after: unknown, path = ""): Change[] {
  if (Object.is(before, after)) return [];
  const [a, b] = [entriesOf(before), entriesOf(after)];
  if (a === null || b === null || a.list !== b.list) {
    return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
  }
  const keys = new Set([...a.entries.keys(), ...b.entries.keys()]);
  const step = (key: string): string => (a.list ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`);
  return [...keys].flatMap((key) => compareValues(a.entries.get(key), b.entries.get(key), step(key)));
}

interface Entries {
  readonly list: boolean;
  readonly entries: ReadonlyMap<string, unknown>;
}

/** The named parts of a value; null for a leaf. */
function entriesOf(value: unknown): Entries | null {
  if (typeof value !== "object" || value === null) return null;
  if (!Array.isArray(value)) return { list: false, entries: new Map(Object.entries(value)) };
  const named = value.map((item: unknown) => [nameOf(item), item] as const);
  const entries = new Map(named.flatMap(([name, item]) => (name === null ? [] : [[name, item] as const])));
  return entries.size === value.length ? { list: true, entries } : null;
}

function nameOf(item: unknown): string | null {
  if (typeof item !== "object" || item === null) return null;
  const { id, name, tensor } = item as Readonly<Record<"id" | "name" | "tensor", unknown>>;
  const found = id ?? name ?? tensor;
  return typeof found === "string" ? found : null;
}
