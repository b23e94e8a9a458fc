/** Tasks of a generation step: blocks over their caches, and the logits of what comes behind the last position. */
import { dtypeBytes } from "../../schemas/ops/define-op.ts";
import { adapterPlace } from "./block-tasks.ts";
import type { GenerationContext } from "./generation-context.ts";
import type { ValuePlace } from "./schedule.ts";
import { at } from "./values.ts";

export function forward(c: GenerationContext, block: number): void {
  const tables = c.tasks.name("tables/mb0");
  c.tasks.run(
    `fwd/${c.unitOf(block)}/mb0`,
    `${c.nameOf(block)}.forward${c.suffix}`,
    {
      x: c.stream(block, 0),
      y: c.stream(block + 1, 0),
      cosine: at(tables),
      sine: at(tables, c.tableBytes),
      ...(c.adapterBytes(block) > 0 && { adapter: adapterPlace(c, block, "up") }),
      ...c.cache(block),
      kv_length: c.length("kv_length"),
      new_tokens: c.length("new_tokens"),
    },
    { unit: c.unitOf(block) },
  );
}

/** The final norm of the last new position, and its product with every chunk of the head. */
export function head(c: GenerationContext): void {
  const bind = {
    x: c.stream(c.blocks.length, 0),
    y: normalized(c),
    new_tokens: c.length("new_tokens"),
  };
  c.tasks.run("head/begin/mb0", `head.begin${c.suffix}`, bind, { unit: c.units.norm });
  for (const [chunk, { unit, firstRow }] of c.units.head.entries()) {
    const places = { x: normalized(c), logits: c.logits(firstRow) };
    c.tasks.run(`${unit}/mb0`, `head.tile/${chunk}`, places, { unit });
  }
  if (c.onDevice) c.tasks.copy("copy/logits", "d2h", c.logits(0), at("logits"), c.logitsBytes);
}

/** Nothing of a cache is read before it was written, not even by a kernel that looks at whole blocks. */
export function zeroCache(c: GenerationContext, block: number): void {
  if (c.cacheBytes(block) === 0) return;
  const { k_cache: cache } = c.cache(block);
  c.tasks.run(`zero/cache/${c.unitOf(block)}`, `${c.nameOf(block)}.zero`, { cache: cache! });
}

function normalized(c: GenerationContext): ValuePlace {
  const { activation } = c.inputs.numerics;
  return at(c.tasks.value("normalized", c.inputs.model.hidden * dtypeBytes[activation], "activation"));
}
