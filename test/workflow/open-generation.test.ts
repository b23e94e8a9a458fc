/** From directories to a session: the right weights under the right adapter, planned for the memory that is given. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { compileGeneration } from "../../planner/compile.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import { parseHardware } from "../../schemas/hardware.ts";
import { mergeRun } from "../../workflow/merge-run.ts";
import {
  type GenerationMachine,
  type GenerationRequest,
  openGeneration,
  openPlanned,
  planGeneration,
} from "../../workflow/open-generation.ts";
import { CHECKED_TOKENS, type MergeSide, verifyMerge } from "../../workflow/verify-merge.ts";
import { greedy } from "../end-to-end/greedy.ts";
import { hasBackend } from "../end-to-end/has-backend.ts";

const golden = join(import.meta.dirname, "../golden");
const directory = join(golden, "parity/rslora");
const { rslora } = JSON.parse(readFileSync(join(golden, "generation.json"), "utf8"));
function profile(name: string) {
  const file = join(import.meta.dirname, `../../recipes/hardware/${name}.yaml`);
  return parseHardware(readFileSync(file, "utf8"), { file }).profile!;
}

const machine: GenerationMachine = {
  hardware: profile("cpu-2core"),
  lemaVersion: "0.0.0",
  compile: compileGeneration,
  engine: { backend: "cpu", serialLanes: false, diskThrottle: null },
};

function request(change: Partial<GenerationRequest>): GenerationRequest {
  return {
    model: join(directory, "adapter"),
    adapter: "applied",
    base: join(directory, "model"),
    context: 256,
    memory: { ram: null, vram: null },
    cwd: "/",
    cacheDirectory: null,
    ...change,
  };
}

async function tokens(
  change: Partial<GenerationRequest>,
  prompt: readonly number[],
  { on = machine, count = 200 } = {},
) {
  const { session } = await openGeneration(request(change), on);
  try {
    return await greedy(session, prompt, count);
  } finally {
    await session.close();
  }
}

describe("on a device", () => {
  const device: GenerationMachine = {
    ...machine,
    hardware: profile("t4"),
    engine: { ...machine.engine, backend: "cuda-emulated" },
    freeVram: 2 ** 30,
  };

  it("plans for the memory that is free there, of which as much as is given", async () => {
    const budgetOf = async (vram: number | null) =>
      (await planGeneration(request({ memory: { ram: null, vram } }), device)).plan.budgets.vram!.budget;
    expect(await budgetOf(null)).toBe(Math.floor(0.8 * 2 ** 30));
    expect(await budgetOf(2 ** 29 + 2 ** 20)).toBe(2 ** 29 + 2 ** 20);
  });

  it.skipIf(!hasBackend("cuda-emulated"))("says what the processor says, streamed too", async () => {
    const { prompt, tokens: expected } = rslora.adapter[0];
    const few = { on: device, count: 12 };
    expect(await tokens({}, prompt, few)).toEqual(expected.slice(0, 12));
    const refused = await planGeneration(request({ memory: { ram: null, vram: 1 } }), device).catch(
      (error: DiagnosticError) => error.diagnostics[0]!.summary,
    );
    const least = Number(/at least (\d+) bytes/.exec(String(refused))![1]);
    expect(await tokens({ memory: { ram: null, vram: least } }, prompt, few)).toEqual(expected.slice(0, 12));
  });

  it.skipIf(!hasBackend("cuda-emulated"))("holds a merged model to its base and adapter", async () => {
    const scratch = await mkdtemp(join(tmpdir(), "lema-merged-"));
    onTestFinished(() => rm(scratch, { recursive: true }));
    const merged = join(scratch, "merged");
    await mergeRun({
      source: request({}).model,
      output: merged,
      base: request({}).base,
      dtype: null,
      maxShardBytes: 1e9,
      cwd: ".",
      cacheDirectory: null,
    });
    const sides: Record<MergeSide, Partial<GenerationRequest>> = {
      unmerged: {},
      base: { adapter: "left out" },
      merged: { model: merged, base: null },
    };
    const check = await verifyMerge(async (side) => {
      const planned = await planGeneration(request({ ...sides[side], context: CHECKED_TOKENS }), device);
      const { session } = await openPlanned(planned, device);
      return { session, dtypes: planned.plan.tensors.map(({ storage }) => storage) };
    });
    expect(check.agreeing).toBe(check.positions);
    expect(check.effect).toBeGreaterThan(100 * check.difference);
  });
});

describe("openGeneration", () => {
  it("applies an adapter to its base, unmerged", async () => {
    const { prompt, tokens: expected } = rslora.adapter[0];
    expect(await tokens({}, prompt)).toEqual(expected);
  });

  it("leaves the adapter out, or takes a model that has none", async () => {
    const { prompt, tokens: expected } = rslora.base[0];
    expect(await tokens({ adapter: "left out" }, prompt)).toEqual(expected);
    expect(await tokens({ model: join(directory, "model"), base: null }, prompt)).toEqual(expected);
  });

  it("says where the files are that spell the tokens", async () => {
    const { files, plan } = await planGeneration(request({}), machine);
    expect(files).toMatchObject({
      modelDirectory: join(directory, "model"),
      adapterDirectory: join(directory, "adapter"),
      run: null,
      diagnostics: [],
    });
    expect(plan.generation.capacity).toBe(256);
    expect(plan.inputs.adapter).not.toBeNull();
  });

  it("has the context of the model where nobody asks for one, and warns of a longer one", async () => {
    const { max_position_embeddings: positions } = JSON.parse(
      readFileSync(join(directory, "model/config.json"), "utf8"),
    );
    const usual = await planGeneration(request({ context: null }), machine);
    expect(usual.plan.generation.capacity).toBe(positions);
    const longer = await planGeneration(request({ context: positions + 1 }), machine);
    expect(longer.files.diagnostics.map(({ code }) => code)).toEqual(["model.sequence-too-long"]);
  });

  it("says in its own words what memory is needed", async () => {
    const memory = { ram: 2 ** 20, vram: null };
    const error = await planGeneration(request({ memory }), machine).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(DiagnosticError);
    const [{ code, hint, where }] = error.diagnostics;
    expect({ code, where }).toEqual({ code: "plan.does-not-fit", where: undefined });
    const ram = Number(/--memory ram=(\d+) or more, or lower --context/.exec(hint)?.[1]);
    const { plan } = await planGeneration(request({ memory: { ram, vram: null } }), machine);
    expect(plan.budgets.ram.total).toBeLessThanOrEqual(ram);
  });
});
