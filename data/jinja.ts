/**
 * Jinja as Transformers runs chat templates: `trim_blocks`, `lstrip_blocks`, `raise_exception` and `strftime_now`.
 *
 * The library's own `Template` binds `strftime_now` to the wall clock, so its parts are put together here instead.
 */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";

/** A compiled template; throws an `Error` when a template rejects its input. */
export type Render = (variables: Readonly<Record<string, unknown>>) => string;

const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  raise_exception: (message: string) => {
    throw new Error(message);
  },
};

/** Parses `source`; throws a `SyntaxError` when it is not Jinja. */
export function compileJinja(source: string): Render {
  const program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  return (variables) => {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) environment.set(name, value);
    return String(new Interpreter(environment).run(program).value);
  };
}

/** Python's `range`. */
function range(from: number, to?: number, step = 1): number[] {
  if (step === 0) throw new RangeError("range() step must not be zero");
  const [start, stop] = to === undefined ? [0, from] : [from, to];
  return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_, i) => start + i * step);
}
