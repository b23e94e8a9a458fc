import { describe, expect, it } from "vitest";
import { formatDuration, type ShownStep, TrainingProgress } from "../../cli/render/progress.ts";

const FACTS = { tokensPerStep: 500, plannedBytes: 272 * 2 ** 20 };

const step = (number: number, seconds = 0.5): ShownStep => ({
  step: number,
  totalSteps: 40,
  loss: 2.5,
  lr: 1e-4,
  seconds,
  peakBytes: 220 * 2 ** 20,
});

function shown(isTTY: boolean, use: (progress: TrainingProgress) => void, columns?: number): string {
  let text = "";
  const sink = {
    isTTY,
    columns,
    write: (more: string) => {
      text += more;
    },
  };
  use(new TrainingProgress(sink, FACTS));
  return text;
}

const LINE = "step 1/40  loss 2.5000  lr 1.0e-4  1,000 tokens/s  ETA 0:20  ram 220 MiB of 272 MiB";

describe("TrainingProgress", () => {
  it("rewrites one line on a terminal, and makes room for lines that stay", () => {
    const text = shown(true, (progress) => {
      progress.step(step(1));
      progress.note("note");
      progress.clear();
    });
    expect(text).toBe(`\r\u001b[K${LINE}\r\u001b[Knote\n`);
  });

  it("is one line on any terminal, since it is rewritten", () => {
    const lineIn = (columns: number): string =>
      shown(true, (progress) => progress.step(step(1)), columns).replace("\r\u001b[K", "");
    expect(lineIn(LINE.length + 1)).toBe(LINE);
    expect(lineIn(80)).toBe("step 1/40  loss 2.5000  lr 1.0e-4  1,000 tokens/s  ETA 0:20");
    expect(lineIn(40)).toBe("step 1/40  loss 2.5000  ETA 0:20");
  });

  it("writes a line every few seconds elsewhere, and always the last one", () => {
    const text = shown(false, (progress) => {
      for (let number = 1; number <= 40; number++) progress.step(step(number));
    });
    const steps = text.match(/^step \d+/gm);
    expect(text.startsWith(`${LINE}\n`)).toBe(true);
    expect(steps).toEqual(["step 1", "step 11", "step 21", "step 31", "step 40"]);
    expect(text).not.toContain("\r");
  });

  it("measures speed over the last steps only", () => {
    const text = shown(true, (progress) => {
      progress.step(step(1, 1000));
      for (let number = 2; number <= 21; number++) progress.step(step(number, 0.25));
    });
    expect(text.slice(text.lastIndexOf("step"))).toContain("2,000 tokens/s");
  });
});

describe("formatDuration", () => {
  it.each([
    [0, "0:00"],
    [65.4, "1:05"],
    [3599.6, "1:00:00"],
    [90_061, "25:01:01"],
  ])("writes %d s as %s", (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});
