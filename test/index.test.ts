/** The library's face, used as somebody else would: no command line, no files but those named. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import {
  Conversation,
  chatPage,
  compile,
  compileGeneration,
  createApp,
  evaluateModel,
  GREEDY,
  heldOutQuestions,
  openChat,
  openGeneration,
  openPlan,
  parseHardware,
  parseRecipe,
  readInputs,
  simulate,
  verify,
} from "../index.ts";

function machine() {
  const file = "recipes/hardware/cpu-2core.yaml";
  return parseHardware(readFileSync(file, "utf8"), { file }).profile!;
}

it("goes from text to a proved and simulated plan", async () => {
  const file = "recipes/tinyllama-cpu.yaml";
  const { recipe, diagnostics } = parseRecipe(readFileSync(file, "utf8"), { file });
  expect(diagnostics).toEqual([]);
  const profile = machine();
  const { inputs } = await readInputs({
    recipe: recipe!,
    hardware: profile,
    lemaVersion: "0.0.0",
    cwd: "/",
    cacheDirectory: null,
    dryRun: true,
  });
  const { plan, passes } = compile(inputs);
  expect(verify(plan)).toEqual([]);
  const { duration, lanes } = simulate(plan!);
  expect(duration).toBeGreaterThanOrEqual(Math.max(...lanes.map(({ busy }) => busy)));
  // No clock was given, so nothing was timed.
  expect(passes.every(({ milliseconds }) => milliseconds === 0)).toBe(true);
});

it("returns what is wrong with a text, and throws what is wrong with a file, with the same codes", async () => {
  const { recipe, diagnostics } = parseRecipe("lema: 2\n", { file: "r.yaml" });
  expect(recipe).toBeUndefined();
  expect(diagnostics.map(({ code }) => code)).toContain("recipe.invalid-value");
  await expect(openPlan("/absent/plan.json")).rejects.toMatchObject({
    diagnostics: [{ code: "cli.unreadable-file" }],
  });
});

it("talks to a model, serves it and puts questions to it", async () => {
  const { session, files } = await openGeneration(
    {
      model: "assets/lema-mini",
      adapter: "applied",
      base: null,
      context: 512,
      memory: { ram: null, vram: null },
      cwd: process.cwd(),
      cacheDirectory: null,
    },
    {
      hardware: machine(),
      lemaVersion: "0.0.0",
      compile: compileGeneration,
      engine: { backend: "cpu", serialLanes: false, diskThrottle: null },
    },
  );
  const model = await openChat(session, files, { template: null, cwd: process.cwd() });
  const { signal } = new AbortController();
  const lima = "Lima is the capital of Peru, a country in South America.";
  const question = "What is the capital of Peru?";

  const conversation = new Conversation(model, null);
  let said = "";
  for await (const piece of conversation.say(question, {
    maxTokens: 60,
    sampling: GREEDY,
    stops: [],
    signal,
  }))
    said += piece;
  expect(said).toBe(lima);

  const limits = { time: 60_000, waiting: 1, bodyBytes: 10_000 };
  const common = { fingerprint: "f", token: null, hosts: "any", limits, shutdown: signal } as const;
  const app = createApp({ model, name: "mini", ...common, page: chatPage(), onServed: () => {} });
  const reply = await app.request("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "mini",
      temperature: 0,
      messages: [{ role: "user", content: question }],
    }),
  });
  expect(await reply.json()).toMatchObject({ choices: [{ message: { content: lima } }] });

  const report = await evaluateModel(model, heldOutQuestions(42, 3), { maxTokens: 60, signal });
  expect(report).toMatchObject({ questions: 3, inFormat: 0 });
  await model.cache.close();
});
