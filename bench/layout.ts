/**
 * The allocator on hard instances: for each file of a folder the time, the height reached over the bytes alive at the
 * fullest moment, and the search states visited.
 *
 *   npx tsx bench/layout.ts [FOLDER] [--out bench/results/NAME.json]
 *
 * FOLDER holds `NAME.CAPACITY.csv` files; by default the six instances in test/planner/layout/minimalloc.
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { allocate } from "../planner/layout/allocate.ts";
import { findFault, readInstances } from "./layout-instances.ts";

const { values, positionals } = parseArgs({
  options: { out: { type: "string" } },
  allowPositionals: true,
});

const rows = readInstances(positionals[0] ?? "test/planner/layout/minimalloc").map(
  ({ name, capacity, blocks }) => {
    const begun = performance.now();
    const { offsets, bytes, lowerBound, nodes } = allocate(blocks, { capacity });
    const milliseconds = Math.round(performance.now() - begun);
    const fault = findFault(blocks, offsets, bytes);
    if (fault) throw new Error(`${name}: ${fault}`);
    const ratio = Number((bytes / lowerBound).toFixed(4));
    return { name, buffers: blocks.length, fits: bytes <= capacity, ratio, nodes, milliseconds };
  },
);

console.table(rows);
if (values.out) {
  const command = `npx tsx bench/layout.ts${positionals[0] ? " FOLDER" : ""}`;
  const result = { command, cpu: cpus()[0]?.model ?? "unknown", rows };
  writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
}
if (rows.some(({ fits }) => !fits)) process.exitCode = 1;
