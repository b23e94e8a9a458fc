import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { METRICS_FILE, MetricsFile, readMetrics } from "../../runtime/metrics.ts";
import { scratch } from "./helpers.ts";

const row = (step: number) => ({ step, loss: 1 / step, grad_norm: 0.5, lr: 1e-4, tokens: 7, seconds: 0.25 });

describe("MetricsFile", () => {
  it("has one line a row, there as soon as it is written", async () => {
    const directory = await scratch();
    const metrics = await MetricsFile.open(directory, 0);
    await metrics.append(row(1));
    await metrics.append({ step: 1, eval_loss: 3 });
    expect(await readFile(join(directory, METRICS_FILE), "utf8")).toBe(
      `${JSON.stringify(row(1))}\n{"step":1,"eval_loss":3}\n`,
    );
  });

  it("goes on after a step: later rows and a half-written one are gone", async () => {
    const directory = await scratch();
    const first = await MetricsFile.open(directory, 0);
    for (const step of [1, 2]) await first.append(row(step));
    await first.append({ step: 2, eval_loss: 3 });
    await first.append(row(3));
    await appendFile(join(directory, METRICS_FILE), '{"step":4,"lo');
    const second = await MetricsFile.open(directory, 2);
    await second.append({ ...row(3), loss: 9 });
    expect(await readMetrics(directory)).toEqual([
      row(1),
      row(2),
      { step: 2, eval_loss: 3 },
      { ...row(3), loss: 9 },
    ]);
  });

  it("begins empty, whatever lay there", async () => {
    const directory = await scratch();
    await writeFile(join(directory, METRICS_FILE), `${JSON.stringify(row(1))}\n`);
    await MetricsFile.open(directory, 0);
    expect(await readMetrics(directory)).toEqual([]);
  });

  it("refuses a row that is not one", async () => {
    const metrics = await MetricsFile.open(await scratch(), 0);
    await expect(metrics.append({ ...row(1), loss: Number.NaN })).rejects.toThrow();
  });
});
