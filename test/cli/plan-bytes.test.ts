/**
 * Same inputs and profile, same plan bytes: by processes of their own that differ in what must not matter. Only `meta`,
 * which no digest covers, may name the directory that a model lies in.
 */
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { makeLlama } from "../../models/make-llama.ts";
import { makeSmallTraining } from "./small-training.ts";

const SCRIPT = resolve(import.meta.dirname, "exec-process.ts");
/** By its place: the process starts in a folder without node_modules. */
const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

let directory = "";
let expected = "";

/** Text of the plan that a process of its own writes in `cwd`, with nothing cached and nothing but `env` around it. */
async function planned(cwd: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), "lema-home-"));
  const argv = ["--import", TSX, SCRIPT, "plan", "recipe.yaml", "--out", join(home, "plan.json")];
  const child = spawn(process.execPath, argv, { cwd, env: { PATH: process.env.PATH, HOME: home, ...env } });
  let said = "";
  child.stderr.on("data", (text) => {
    said += text;
  });
  const status = await new Promise((done, fail) => child.on("error", fail).on("close", done));
  expect({ status, said }).toEqual({ status: 0, said: "" });
  return readFileSync(join(home, "plan.json"), "utf8");
}

beforeAll(async () => {
  directory = await makeSmallTraining();
  rmSync(join(directory, "model"), { recursive: true });
  await makeLlama({
    directory: join(directory, "model"),
    hiddenSize: 64,
    intermediateSize: 192,
    layers: 12,
    heads: 4,
    keyValueHeads: 2,
    vocabSize: 259,
    dtype: "f32",
    seed: 1,
    shards: 3,
  });
  expected = await planned(directory);
});

describe("a plan's bytes do not depend on", () => {
  // Turkish has a dotless i; Swedish sorts ä behind z; Hindi writes other digits; the zones are a day apart.
  it.each([
    { LC_ALL: "tr_TR.UTF-8", TZ: "Pacific/Kiritimati" },
    { LANG: "sv_SE.UTF-8", LC_ALL: "sv_SE.UTF-8", TZ: "Pacific/Pago_Pago" },
    { LC_ALL: "hi_IN-u-nu-deva", LANGUAGE: "ar_EG", TZ: "America/St_Johns" },
  ])("the locale, the time zone and the process: %j", async (env) => {
    expect(await planned(directory, env)).toBe(expected);
  });

  it("where the files lie and in which order they came there", async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), "elsewhere-"));
    mkdirSync(join(elsewhere, "model"));
    const files = [
      "recipe.yaml",
      "data.jsonl",
      ...readdirSync(join(directory, "model")).map((f) => `model/${f}`),
    ];
    for (const file of files.toReversed()) copyFileSync(join(directory, file), join(elsewhere, file));
    const away = await planned(elsewhere);
    expect(away.replaceAll(elsewhere, directory)).toBe(expected);
    const { meta, ...digested } = JSON.parse(away);
    expect(JSON.stringify(digested)).not.toContain(elsewhere);
    expect(digested.plan_id).toBe(JSON.parse(expected).plan_id);
    expect(Object.keys(meta)).not.toEqual([]);
  });
});

it("the locales of this test are there, or it would test nothing", async () => {
  const child = spawn(process.execPath, ["-p", "Intl.DateTimeFormat().resolvedOptions().locale"], {
    env: { LC_ALL: "tr_TR.UTF-8" },
  });
  let said = "";
  child.stdout.on("data", (text) => {
    said += text;
  });
  await new Promise((done) => child.on("close", done));
  expect(said.trim()).toBe("tr-TR");
});
