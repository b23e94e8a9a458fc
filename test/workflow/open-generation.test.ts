/** From directories to a session: the right weights under the right adapter, planned for the memory that is given. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileGeneration } from "../../planner/compile.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import { parseHardware } from "../../schemas/hardware.ts";
import {
  type GenerationMachine,
  type GenerationRequest,
  openGeneration,
  planGeneration,
} from "../../workflow/open-generation.ts";
import { greedy } from "../end-to-end/greedy.ts";

const golden = join(import.meta.dirname, "../golden");
const directory = join(golden, "parity/rslora");
const { rslora } = JSON.parse(readFileSync(join(golden, "generation.json"), "utf8"));
const profile = readFileSync(join(import.meta.dirname, "../../recipes/hardware/cpu-2core.yaml"), "utf8");

const machine: GenerationMachine = {
  hardware: parseHardware(profile, { file: "cpu-2core.yaml" }).profile!,
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

async function tokens(change: Partial<GenerationRequest>, prompt: readonly number[]) {
  const { session } = await openGeneration(request(change), machine);
  try {
    return await greedy(session, prompt, 200);
  } finally {
    await session.close();
  }
}

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
