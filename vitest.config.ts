import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** They take half a minute and more: begun first, none of them is what one core is left with at the end. */
const LONG = [
  "test/runtime/generation-session.test.ts",
  "test/end-to-end/cuda.test.ts",
  "test/native/ops.test.ts",
  "test/schemas/verify/mutations.test.ts",
  "test/cli/export.test.ts",
  "test/kaggle/execute-notebook.test.ts",
  "test/fuzz/plans.test.ts",
];

/** They replace what other files import or load the addon in ways of their own: each in a process of its own. */
const ALONE = [
  "test/{end-to-end,fuzz,native,runtime,scripts}/**/*.test.ts",
  "test/kaggle/{cells-on-device,execute-notebook}.test.ts",
  "test/planner/pass-removal.test.ts",
];

for (const file of LONG) {
  if (!existsSync(new URL(file, import.meta.url))) throw new Error(`vitest.config.ts: there is no ${file}`);
}

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const found = LONG.findIndex((file) => moduleId.endsWith(`/${file}`));
      return found < 0 ? LONG.length : found;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: "alone", include: ALONE } },
      // What one file has imported the next need not: half of what a short file takes.
      {
        extends: true,
        test: { name: "shared", include: ["test/**/*.test.ts"], exclude: ALONE, isolate: false },
      },
    ],
  },
});
