/** Whether a plan can be executed here at all: looked at before a run directory or an arena exists. */
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { opTableHash } from "../schemas/op-table.ts";
import type { AnyPlan, Plan } from "../schemas/plan.ts";
import type { RunRecord } from "../schemas/run.ts";
import { formatBytes } from "../schemas/units.ts";
import { nativeDevice } from "./addon.ts";
import { availableBytes, residentBytes } from "./memory.ts";

/** Throws `plan.not-executable`, `plan.op-table`, `plan.no-vram`, `plan.free-memory` and `run.no-device`. */
export function checkExecutable(plan: AnyPlan, backend: RunRecord["backend"]): void {
  if (!plan.executable) {
    const summary = "the plan comes from a dry run, which opens no weights and no data";
    throw refused("plan.not-executable", summary, "plan again without `--dry-run`");
  }
  const table = opTableHash();
  if (plan.op_table !== table) {
    const summary = `the plan was made by lema ${plan.lema_version} for other kernels`;
    const error = refused("plan.op-table", summary, "plan again with this version: `lema plan RECIPE`");
    throw new DiagnosticError({
      ...error.diagnostics[0]!,
      detail: `expected op table ${plan.op_table}\nactual   op table ${table}`,
    });
  }
  if (backend === "cuda" && plan.shape.compute_arena !== "vram") {
    const summary = "the plan computes in ram, and a CUDA device computes in vram";
    throw refused(
      "plan.no-vram",
      summary,
      "plan with a `memory.vram` and a profile with `links`, or use `--backend cpu`",
    );
  }
  checkFreeMemory(plan, backend, availableBytes(), residentBytes());
  if (backend === "cuda" || backend === "cuda-emulated") checkFreeVram(plan, nativeDevice(backend).freeBytes);
}

/** The arena against what is free on the device beside the context, which is there already. */
export function checkFreeVram({ budgets: { vram } }: Pick<Plan, "budgets">, free: number): void {
  const arena = vram?.arena ?? 0;
  if (free >= arena) return;
  throw refused(
    "plan.free-memory",
    `the plan needs ${formatBytes(arena)} of vram, and ${formatBytes(free)} are free on the device`,
    `close other programs there (\`nvidia-smi\` lists them), or plan for less: \`lema plan RECIPE --set memory.vram="${mebibytes(free - arena + (vram?.total ?? 0))} MiB"\``,
  );
}

/** Bytes of ram that the process will take: a backend on the processor keeps its vram arena there too. */
export function processBytes({ ram, vram }: Plan["budgets"], backend: RunRecord["backend"]): number {
  return ram.total + (backend === "cuda" ? 0 : (vram?.arena ?? 0));
}

/**
 * Compares what the plan needs with what is free, in bytes; `null`: unknown, and not compared. What the process holds
 * already counts as part of the reserve.
 */
export function checkFreeMemory(
  { budgets }: Pick<Plan, "budgets">,
  backend: RunRecord["backend"],
  available: number | null,
  resident: number | null,
): void {
  if (available === null) return;
  const needed = processBytes(budgets, backend);
  const free = available + Math.min(resident ?? 0, budgets.ram.reserve);
  if (free >= needed) return;
  throw refused(
    "plan.free-memory",
    `the plan needs ${formatBytes(needed)} of ram, and ${formatBytes(free)} are free`,
    `close other programs, or plan for less: \`lema plan RECIPE --set memory.ram="${mebibytes(free - needed + budgets.ram.total)} MiB"\``,
  );
}

const mebibytes = (bytes: number): number => Math.max(1, Math.floor(bytes / 2 ** 20));

function refused(
  code: "plan.not-executable" | "plan.op-table" | "plan.no-vram" | "plan.free-memory",
  summary: string,
  hint: string,
): DiagnosticError {
  return new DiagnosticError(diagnostic(code, { summary, hint }));
}
