/**
 * Memory: buffers inside their arenas, aligned, and disjoint while both are alive; budgets that add up. A buffer
 * without a lifetime is alive in every program, so it conflicts with all; buffers of different programs never meet.
 */
import type { AnyPlan, ArenaName, PlanBuffer } from "../plan.ts";
import { defineCheck } from "./check.ts";
import { type Interval, intersects } from "./intervals.ts";
import type { PlanIndex } from "./plan-index.ts";

export const checkBuffers = defineCheck({
  name: "buffers",
  proves: "Buffers lie aligned inside their arenas, and buffers that share bytes are never alive together.",
  codes: ["verify.arena", "verify.alignment", "verify.overlap", "verify.lifetime"],
  run(index, report) {
    const { plan } = index;
    plan.buffers.forEach((buffer, i) => {
      const path = `buffers[${i}]`;
      const arena = plan.budgets[buffer.arena];
      if (buffer.offset + buffer.bytes > (arena?.arena ?? 0)) {
        report("verify.arena", path, `${buffer.id} reaches beyond the ${buffer.arena} arena`);
      }
      if (buffer.offset % buffer.alignment !== 0) {
        report(
          "verify.alignment",
          path,
          `${buffer.id} is at ${buffer.offset}, not a multiple of ${buffer.alignment}`,
        );
      }
      const { lifetime } = buffer;
      if (lifetime) {
        const length = index.program(lifetime.program).length;
        if (lifetime.start >= lifetime.end || lifetime.end > length) {
          report(
            "verify.lifetime",
            path,
            `${buffer.id} lives over [${lifetime.start}, ${lifetime.end}) of ${length}`,
          );
        }
      }
    });
    for (const [a, b] of sharing(plan)) {
      report(
        "verify.overlap",
        `buffers[${plan.buffers.indexOf(b)}]`,
        `${b.id} shares bytes with ${a.id} while both live`,
      );
    }
  },
});

/** Pairs of buffers with common bytes and a common moment: a sweep over addresses, comparing only what is open. */
function sharing(plan: AnyPlan): [PlanBuffer, PlanBuffer][] {
  const pairs: [PlanBuffer, PlanBuffer][] = [];
  const sorted = plan.buffers.filter(({ bytes }) => bytes > 0).sort((a, b) => a.offset - b.offset);
  for (const arena of ["ram", "vram"] as const) {
    let open: PlanBuffer[] = [];
    for (const buffer of sorted.filter((candidate) => candidate.arena === arena)) {
      open = open.filter((other) => other.offset + other.bytes > buffer.offset);
      for (const other of open) if (coexist(other, buffer)) pairs.push([other, buffer]);
      open.push(buffer);
    }
  }
  return pairs;
}

function coexist(a: PlanBuffer, b: PlanBuffer): boolean {
  if (!a.lifetime || !b.lifetime) return true;
  return a.lifetime.program === b.lifetime.program && intersects(a.lifetime, b.lifetime);
}

export const checkBudgets = defineCheck({
  name: "budgets",
  proves:
    "Arena and reserve are the total, the total is within the budget, and max_live is the peak of live bytes.",
  codes: ["verify.budget"],
  run(index, report) {
    const { plan } = index;
    const arenas = ["ram", "vram"] as const;
    for (const arena of arenas) {
      const budget = plan.budgets[arena];
      if (!budget) continue;
      const wrong = (text: string) => report("verify.budget", `budgets.${arena}`, `${arena}: ${text}`);
      if (budget.arena + budget.reserve !== budget.total) wrong("arena and reserve are not the total");
      if (budget.total > budget.budget) wrong(`${budget.total} bytes exceed the budget of ${budget.budget}`);
      const live = maxLive(index, arena);
      if (live !== budget.max_live) wrong(`${live} bytes are alive at the peak, not ${budget.max_live}`);
    }
    const needed = plan.shape.tiers === "disk-ram-vram";
    if (needed !== (plan.budgets.vram !== null) || needed !== (plan.shape.compute_arena === "vram")) {
      report(
        "verify.budget",
        "shape.tiers",
        `${plan.shape.tiers} contradicts the budgets or the compute arena`,
      );
    }
  },
});

/** Largest sum of bytes of buffers that are alive at one serial position of one program. */
function maxLive(index: PlanIndex, arena: ArenaName): number {
  const buffers = index.plan.buffers.filter((buffer) => buffer.arena === arena);
  const always = buffers.filter(({ lifetime }) => !lifetime).reduce((sum, { bytes }) => sum + bytes, 0);
  let peak = 0;
  for (const program of index.programNames) {
    const changes = buffers.flatMap(({ lifetime, bytes }) =>
      lifetime?.program === program
        ? [
            { at: lifetime.start, bytes },
            { at: lifetime.end, bytes: -bytes },
          ]
        : [],
    );
    // At one position what ends goes before what starts: lifetimes are half-open.
    changes.sort((a, b) => a.at - b.at || a.bytes - b.bytes);
    let live = 0;
    for (const change of changes) {
      live += change.bytes;
      peak = Math.max(peak, live);
    }
  }
  return always + peak;
}

export const checkPlaces = defineCheck({
  name: "places",
  proves: "Every place that an instruction touches lies inside its buffer and inside the buffer's lifetime.",
  codes: ["verify.arena", "verify.lifetime"],
  run(index, report) {
    for (const step of index.steps) {
      const { id, reads, writes } = step.instruction;
      for (const range of [...reads, ...writes]) {
        const { bytes, lifetime } = index.buffer(range.buffer);
        if (range.offset + range.bytes > bytes) {
          report("verify.arena", step.path, `${id} touches bytes beyond ${range.buffer}`);
        }
        const alive: Interval | null = lifetime?.program === step.program ? lifetime : null;
        if (lifetime && !(alive && alive.start <= step.position && step.position < alive.end)) {
          report("verify.lifetime", step.path, `${id} touches ${range.buffer} outside its lifetime`);
        }
      }
    }
  },
});
