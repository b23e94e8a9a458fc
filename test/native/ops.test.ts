/** The op suite of the native build, on every instruction set; and the planner's scratch ceilings against what kernels ask for. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type BoundOperand, bindDims } from "../../schemas/ops/define-op.ts";
import { getOp, type OpName, ops } from "../../schemas/ops/index.ts";

const executable = (name: string) =>
  fileURLToPath(new URL(`../../build/native/bin/${name}`, import.meta.url));

function run(name: string, ...args: string[]): string[] {
  return runIn({}, name, ...args);
}

function runIn(environment: Readonly<Record<string, string>>, name: string, ...args: string[]): string[] {
  const env = { ...process.env, ...environment };
  const output = execFileSync(executable(name), args, { encoding: "utf8", maxBuffer: 64 << 20, env });
  return output.trimEnd().split("\n");
}

interface Workspace {
  readonly op: OpName;
  readonly threads: number;
  readonly workspace: number;
  readonly operands: Readonly<Record<string, BoundOperand>>;
  readonly attributes: readonly number[];
}

describe("op suite", () => {
  // The executable for the processor's own instruction set is one of these.
  // `cuda_emulated` are the device's kernels, compiled for the processor.
  test.each(["generic", "avx2", "avx512", "avx512bf16", "cuda_emulated"])(
    "%s",
    (name) => {
      const lines = run(`lema_op_suite_${name}`);
      expect(lines.filter((line) => line.startsWith("FAIL"))).toEqual([]);
      const tried = new Set(lines.filter((line) => line.startsWith("ok ")).map((line) => line.split(" ")[1]));
      expect([...tried].sort()).toEqual(ops.map((op) => op.name).sort());
    },
    300_000,
  );
});

describe("products on tensor cores that have f16 and no bf16", () => {
  test.each(["linear", "linear_grad_input", "linear_grad_weight", "cross_entropy_tile"])("%s", (op) => {
    const [device, ...lines] = runIn({ LEMA_EMULATED_PTX: "75" }, "lema_op_suite_cuda_emulated", op);
    expect(device).toBe("device: emulated device, kernels for sm_75");
    expect(lines.filter((line) => line.startsWith("FAIL"))).toEqual([]);
    expect(lines.at(-1)).toMatch(/^[1-9]\d* passed, 0 failed$/);
  });
});

describe("attention by warpgroups, in kernels that were compiled for sm_90a", () => {
  test.each(["attention", "attention_backward"])("%s", (op) => {
    const [device, ...lines] = runIn({ LEMA_EMULATED_PTX: "90" }, "lema_op_suite_cuda_emulated", op);
    expect(device).toBe("device: emulated device, kernels for sm_90");
    expect(lines.filter((line) => line.startsWith("FAIL"))).toEqual([]);
    expect(lines.at(-1)).toMatch(/^[1-9]\d* passed, 0 failed$/);
  });
});

test("kernels that were compiled for sm_90 without warpgroups run as on a device that has none", () => {
  const [device, ...lines] = runIn({ LEMA_EMULATED_PTX: "89" }, "lema_op_suite_cuda_emulated", "add");
  expect(device).toBe("device: emulated device, kernels for sm_89");
  expect(lines.at(-1)).toMatch(/^[1-9]\d* passed, 0 failed$/);
});

test("kernels that were compiled for an older device run as on that one", () => {
  const [device, ...lines] = runIn({ LEMA_EMULATED_PTX: "60" }, "lema_op_suite_cuda_emulated", "attention");
  expect(device).toBe("device: emulated device, kernels for sm_60");
  expect(lines.at(-1)).toMatch(/^[1-9]\d* passed, 0 failed$/);
});

test("an event of the emulated device may be destroyed while a stream waits for it", () => {
  expect(run("lema_cuda_streams_emulated").at(-1)).toBe("10 passed, 0 failed");
});

describe("matrix products of the cuda kernels", () => {
  test("every tile has the same bits, at odd sizes and addresses, and the sums of doubles", () => {
    const lines = run("lema_cuda_products_emulated");
    expect(lines.filter((line) => line.startsWith("FAIL"))).toEqual([]);
    expect(lines.at(-1)).toMatch(/^[1-9]\d* passed, 0 failed$/);
  });

  test("a matrix library computes what it serves: both layouts, every number of rows, alone and on top", () => {
    const lines = runIn({ LEMA_CUBLASLT: "emulated" }, "lema_cuda_library_emulated");
    expect(lines.filter((line) => line.startsWith("FAIL"))).toEqual([]);
    expect(lines.at(-1)).toBe("27 passed, 0 failed");
  });

  test.each([
    ["emulated-unsteady", "own", "11 passed, 0 failed"],
    ["emulated-unsteady-at-40", "refused-at-40", "23 passed, 0 failed"],
  ])("one whose sums depend on the number of rows is refused: %s", (library, expected, last) => {
    const lines = runIn({ LEMA_CUBLASLT: library }, "lema_cuda_library_emulated", expected);
    expect(lines.filter((line) => line.startsWith("FAIL"))).toEqual([]);
    expect(lines.at(-1)).toBe(last);
  });

  test("it serves the ops that have prepared their products, and no other of the same sizes", () => {
    const lines = runIn({ LEMA_CUBLASLT: "emulated" }, "lema_cuda_products_emulated", "--library");
    expect(lines.filter((line) => line.startsWith("FAIL"))).toEqual([]);
    expect(lines.at(-1)).toBe("2 passed, 0 failed");
  });

  test("the kernel follows from shape, dtype and device", () => {
    const chosen = new Map(
      run("lema_cuda_products_emulated", "--paths").map((line) => line.split(": ") as [string, string]),
    );
    expect(
      Object.fromEntries(
        [...chosen].filter(([product]) =>
          /bf16, .*sm_90|f32, .*sm_90| f16, .*sm_75|attention of .* bf16, sm_80/.test(product),
        ),
      ),
    ).toMatchInlineSnapshot(`
      {
        "attention of heads of 128, bf16, sm_80": "tensor 128",
        "attention of heads of 128, bf16, sm_90": "warpgroup 128",
        "attention of heads of 128, f32, sm_90": "simt 128",
        "attention of heads of 256, bf16, sm_80": "simt 256",
        "attention of heads of 256, bf16, sm_90": "simt 256",
        "attention of heads of 256, f32, sm_90": "simt 256",
        "attention of heads of 32, bf16, sm_80": "simt 64",
        "attention of heads of 32, bf16, sm_90": "simt 64",
        "attention of heads of 32, f32, sm_90": "simt 64",
        "attention of heads of 64, bf16, sm_80": "tensor 64",
        "attention of heads of 64, bf16, sm_90": "warpgroup 64",
        "attention of heads of 64, f32, sm_90": "simt 64",
        "attention of heads of 80, bf16, sm_80": "simt 128",
        "attention of heads of 80, bf16, sm_90": "simt 128",
        "attention of heads of 80, f32, sm_90": "simt 128",
        "gate_proj of 512 tokens, bf16, converted, sm_90": "tensor 64x64",
        "gate_proj of 512 tokens, bf16, copied, sm_90": "tensor 128x128",
        "gate_proj of 512 tokens, f16, converted, sm_75": "f16 tensor 128x128",
        "gate_proj of 512 tokens, f16, copied, sm_75": "f16 tensor 128x128",
        "gate_proj of 512 tokens, f32, converted, sm_90": "simt 128x128",
        "gate_proj of 512 tokens, f32, copied, sm_90": "simt 128x128",
        "gradient of lora_A, bf16, converted, sm_90": "tensor 32x32",
        "gradient of lora_A, bf16, copied, sm_90": "tensor 32x32",
        "gradient of lora_A, f16, converted, sm_75": "f16 tensor 32x32",
        "gradient of lora_A, f16, copied, sm_75": "f16 tensor 32x32",
        "gradient of lora_A, f32, converted, sm_90": "simt 16x128",
        "gradient of lora_A, f32, copied, sm_90": "simt 16x128",
        "head tile of 512 tokens, bf16, converted, sm_90": "tensor 64x64",
        "head tile of 512 tokens, bf16, copied, sm_90": "tensor 64x64",
        "head tile of 512 tokens, f16, converted, sm_75": "f16 tensor 64x64",
        "head tile of 512 tokens, f16, copied, sm_75": "f16 tensor 64x64",
        "head tile of 512 tokens, f32, converted, sm_90": "simt 128x128",
        "head tile of 512 tokens, f32, copied, sm_90": "simt 128x128",
        "k_proj of 512 tokens, bf16, converted, sm_90": "tensor 64x64",
        "k_proj of 512 tokens, bf16, copied, sm_90": "tensor 64x64",
        "k_proj of 512 tokens, f16, converted, sm_75": "f16 tensor 64x64",
        "k_proj of 512 tokens, f16, copied, sm_75": "f16 tensor 64x64",
        "k_proj of 512 tokens, f32, converted, sm_90": "simt 128x128",
        "k_proj of 512 tokens, f32, copied, sm_90": "simt 128x128",
        "lora_A of 4096 tokens, bf16, converted, sm_90": "tensor 32x32",
        "lora_A of 4096 tokens, bf16, copied, sm_90": "tensor 32x32",
        "lora_A of 4096 tokens, f16, converted, sm_75": "f16 tensor 32x32",
        "lora_A of 4096 tokens, f16, copied, sm_75": "f16 tensor 32x32",
        "lora_A of 4096 tokens, f32, converted, sm_90": "simt 128x16",
        "lora_A of 4096 tokens, f32, copied, sm_90": "simt 128x16",
        "lora_B of 4096 tokens, bf16, converted, sm_90": "simt 128x128",
        "lora_B of 4096 tokens, bf16, copied, sm_90": "simt 128x128",
        "lora_B of 4096 tokens, f16, converted, sm_75": "simt 128x128",
        "lora_B of 4096 tokens, f16, copied, sm_75": "simt 128x128",
        "lora_B of 4096 tokens, f32, converted, sm_90": "simt 128x128",
        "lora_B of 4096 tokens, f32, copied, sm_90": "simt 128x128",
        "q_proj of 4096 tokens, bf16, converted, sm_90": "tensor 64x64",
        "q_proj of 4096 tokens, bf16, copied, sm_90": "tensor 128x128",
        "q_proj of 4096 tokens, f16, converted, sm_75": "f16 tensor 128x128",
        "q_proj of 4096 tokens, f16, copied, sm_75": "f16 tensor 128x128",
        "q_proj of 4096 tokens, f32, converted, sm_90": "simt 128x128",
        "q_proj of 4096 tokens, f32, copied, sm_90": "simt 128x128",
        "q_proj of one token, bf16, converted, sm_90": "tensor 32x32",
        "q_proj of one token, bf16, copied, sm_90": "tensor 32x32",
        "q_proj of one token, f16, converted, sm_75": "f16 tensor 32x32",
        "q_proj of one token, f16, copied, sm_75": "f16 tensor 32x32",
        "q_proj of one token, f32, converted, sm_90": "simt 16x128",
        "q_proj of one token, f32, copied, sm_90": "simt 16x128",
      }
    `);
    for (const [product, kernel] of chosen) {
      const wide = !/heads of (32|80|256)|lora_B/.test(product);
      const tensor = wide && /bf16, (.*, )?sm_(80|90)/.test(product);
      const f16 = wide && / f16, .*sm_75/.test(product);
      expect(kernel, product).toMatch(tensor ? /^(tensor|warpgroup) / : f16 ? /^f16 tensor / : /^simt /);
    }
  });
});

/** Calls of the op suite whose kernels ask for more scratch than their op declares, and how many ask for any. */
function workspacesOf(executable: string, names: readonly OpName[]): { exceeded: Workspace[]; used: number } {
  const cases = run(executable, "--workspaces")
    .map((line) => JSON.parse(line) as Workspace)
    .filter(({ op }) => names.includes(op));
  const exceeded = cases.filter(({ op: name, threads, workspace, operands, attributes }) => {
    const op = getOp(name);
    const { dims, problems } = bindDims(op, operands);
    expect(problems).toEqual([]);
    const call = {
      dims,
      dtypes: Object.fromEntries(Object.entries(operands).map(([operand, { dtype }]) => [operand, dtype])),
      attributes: Object.fromEntries(
        Object.keys(op.attributes).map((attribute, i) => [attribute, attributes[i]!]),
      ),
    };
    return workspace > (op.scratch?.(call, threads) ?? 0);
  });
  return { exceeded, used: cases.filter(({ workspace }) => workspace > 0).length };
}

test("no kernel asks for more scratch than its declaration grants", () => {
  const { exceeded, used } = workspacesOf(
    "lema_op_suite",
    ops.map(({ name }) => name),
  );
  expect(exceeded).toEqual([]);
  expect(used).toBeGreaterThan(0);
});

test("nor does a kernel of a device, where it does not take what it is given", () => {
  const linears = ["linear", "linear_grad_input", "linear_grad_weight"] as const;
  const { exceeded, used } = workspacesOf("lema_op_suite_cuda_emulated", [...linears, "square_sum"]);
  expect(exceeded).toEqual([]);
  expect(used).toBeGreaterThan(0);
});
