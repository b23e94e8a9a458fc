/** What commands print for people fits the terminal that it is printed on, and stays as it is where there is none. */
import { beforeAll, describe, expect, it } from "vitest";
import { columnsOf } from "../../cli/io.ts";
import { StatusLine } from "../../cli/render/status-line.ts";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining } from "./small-training.ts";

const WIDTHS = [60, 80, 100];

let cwd = "";
const at = async (columns: number, ...argv: string[]) => {
  const { stdout, stderr } = await lema(argv, { cwd, isTTY: true, columns, env: { NO_COLOR: "1" } });
  // Without the status, which is gone by then.
  return stdout + stderr.split("\r\u001b[K").at(-1);
};
const plain = async (...argv: string[]) => {
  const { stdout, stderr } = await lema(argv, { cwd, columns: 40 });
  return stdout + stderr;
};
/** A word that is alone on its line cannot be broken. */
const tooWide = (text: string, columns: number) =>
  text.split("\n").filter((line) => line.length > columns && line.trim().includes(" "));

beforeAll(async () => {
  cwd = await makeSmallTraining();
  await lema(["plan", "recipe.yaml"], { cwd });
  await lema(["plan", "recipe.yaml", "-o", "roomy.json", "--what-if", "ram=140MiB"], { cwd });
  const device = ["--dry-run", "--what-if", "vram=256MiB,ram=512MiB"];
  await lema(["plan", "recipe.yaml", "-o", "device.json", ...device], { cwd });
});

const COMMANDS: readonly (readonly string[])[] = [
  ["plan", "recipe.yaml", "--dry-run"],
  ["plan", "recipe.yaml", "--dry-run", "--what-if", "vram=256MiB,ram=512MiB", "--ladder", "1MiB,1GiB"],
  ["plan", "recipe.yaml", "--dry-run", "--what-if", "ram=1MiB"],
  ["show", "runs/small"],
  ["show", "device.json"],
  ["show", "device.json", "--instructions"],
  ["show", "device.json", "--at", "37%"],
  ["show", "runs/small", "--layer", "L00"],
  ["show", "runs/small", "--why", "fwd/L01/mb0"],
  ["diff", "runs/small", "roomy.json"],
  ["diff", "runs/small", "device.json"],
  ["verify", "roomy.json"],
  ["validate", "recipe.yaml"],
  ["dataset", "inspect", "recipe.yaml", "--rows", "0"],
  ["dataset", "build", "--examples", "20"],
  ["doctor"],
  ["--help"],
  ["plan", "--help"],
];

describe.each(COMMANDS.map((argv) => [argv.join(" "), argv] as const))("lema %s", (_, argv) => {
  it("has no line that is wider than its terminal", async () => {
    for (const columns of WIDTHS) expect(tooWide(await at(columns, ...argv), columns)).toEqual([]);
  });
});

describe("where there is no terminal", () => {
  // Of the others, some tell of this moment, and some are prose, which wraps on every terminal.
  const tables = COMMANDS.filter(([name]) => /show|diff|verify/.test(name!));
  it.each(tables.map((argv) => [argv.join(" "), argv] as const))(
    "lema %s is as on the widest",
    async (_, argv) => {
      expect(await plain(...argv)).toBe(await at(1000, ...argv));
    },
  );

  it("a message stands on one line, however long it is", async () => {
    const argv = ["plan", "recipe.yaml", "--dry-run", "--what-if", "ram=1MiB"];
    const [title] = (await plain(...argv)).split("\n");
    expect(title).toMatch(/^error: .{70,} \[plan\.does-not-fit\]$/);
    expect((await at(60, ...argv)).split("\n").slice(0, 2).join(" ")).toBe(title);
  });
});

describe("columns", () => {
  it.each([
    [{ isTTY: true, columns: 80 }, 80],
    [{ isTTY: true, columns: 7 }, 40],
    [{ isTTY: true, columns: 0 }, Number.POSITIVE_INFINITY],
    [{ isTTY: true }, Number.POSITIVE_INFINITY],
    [{ isTTY: false, columns: 80 }, Number.POSITIVE_INFINITY],
    [{ columns: 80 }, Number.POSITIVE_INFINITY],
  ])("of %j are %d", (sink, expected) => {
    expect(columnsOf({ ...sink, write: () => {} })).toBe(expected);
  });
});

it("a status is cut to its line, since it is rewritten", () => {
  let text = "";
  const write = (more: string): void => {
    text += more;
  };
  new StatusLine({ isTTY: true, columns: 40, write }).show("x".repeat(60));
  expect(text).toBe(`\r\u001b[K${"x".repeat(38)}…`);
});
