/** Notebooks as files, and the files inside them, read back by Python where it is there. */
import { spawnSync } from "node:child_process";
import { brotliDecompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { archiveCell } from "../../kaggle/archive.ts";
import { base85 } from "../../kaggle/base85.ts";
import { acceleratorFor, checkUser, kernelMetadata, slugOf } from "../../kaggle/metadata.ts";
import { code, markdown, notebook, notebookText, pythonValue } from "../../kaggle/notebook.ts";

const python = spawnSync("python3", ["--version"]).status === 0;

function runPython(source: string): string {
  const { status, stdout, stderr } = spawnSync("python3", ["-"], { input: source, encoding: "utf8" });
  expect(status, stderr).toBe(0);
  return stdout;
}

describe("a notebook", () => {
  const text = notebookText(notebook([markdown("title", "# é → 🙂"), code("one", "\nprint('é')\n")]));

  it("is nbformat 4.5 in ASCII, with a kernel's name and without outputs", () => {
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
    expect(JSON.parse(text)).toEqual({
      nbformat: 4,
      nbformat_minor: 5,
      metadata: {
        kernelspec: { name: "python3", display_name: "Python 3", language: "python" },
        language_info: { name: "python", file_extension: ".py", mimetype: "text/x-python" },
      },
      cells: [
        { cell_type: "markdown", id: "title", metadata: {}, source: "# é → 🙂" },
        {
          cell_type: "code",
          id: "one",
          metadata: {},
          execution_count: null,
          outputs: [],
          source: "print('é')",
        },
      ],
    });
  });

  it.runIf(python)("gives Python the values that are put into it", () => {
    const value = { text: "\"quotes\" \\ é 🙂\n'''", none: null, yes: true, list: [1, 2.5] };
    const back = runPython(`import json\nprint(json.dumps(${pythonValue(value)}))`);
    expect(JSON.parse(back)).toEqual(value);
  });
});

describe("base 85", () => {
  it("is as in RFC 1924", () => {
    expect(base85(new Uint8Array())).toBe("");
    // Python: base64.b85encode(b"lema"), and of one byte, which is padded.
    expect(base85(new TextEncoder().encode("lema"))).toBe("Y-Md>");
    expect(base85(new Uint8Array([255]))).toBe("{{");
  });

  it.runIf(python)("is what Python reads, of every length", () => {
    const contents = Array.from({ length: 9 }, (_, length) =>
      Uint8Array.from({ length }, (__, i) => 255 - 31 * i),
    );
    const texts = JSON.stringify(contents.map(base85));
    const back = runPython(
      `import base64, json\nprint(json.dumps([list(base64.b85decode(t)) for t in json.loads(r'''${texts}''')]))`,
    );
    expect(JSON.parse(back)).toEqual(contents.map((content) => [...content]));
  });
});

it("files stand in a cell with their digest, text as text and bytes in base 64, sorted by path", () => {
  const cell = archiveCell("files", "project", [
    { path: "b/text.txt", content: new TextEncoder().encode("é\n") },
    { path: "a.bin", content: new Uint8Array([0, 255, 1]) },
  ]);
  expect(cell.source).toMatch(/^unpack\(WORK \/ "project", "[0-9a-f]{64}", """\n[\s\S]*\n"""\)$/);
  expect(cell.metadata).toEqual({ "_kg_hide-input": true, jupyter: { source_hidden: true } });
  if (!python) return;
  const encoded = cell.source.split('"""')[1]!;
  const hex = runPython(`import base64\nprint(base64.b85decode("".join("""${encoded}""".split())).hex())`);
  const contents = brotliDecompressSync(Buffer.from(hex.trim(), "hex")).toString();
  expect(contents).toBe('{"a.bin":{"base64":"AP8B"},"b/text.txt":{"text":"é\\n"}}');
});

describe("the metadata", () => {
  const identity = { user: "someone", slug: "lema-tiny-train" };
  const machine = {
    accelerator: "NvidiaTeslaT4",
    visibility: "private",
    datasets: ["a/b"],
    models: ["a/b/transformers/c/1"],
    notebooks: [],
  } as const;

  it("writes every key, as JSON's own booleans, and a title that leads to the address", () => {
    expect(kernelMetadata(identity, "lema-tiny-train.ipynb", machine)).toEqual({
      id: "someone/lema-tiny-train",
      title: "lema tiny train",
      code_file: "lema-tiny-train.ipynb",
      language: "python",
      kernel_type: "notebook",
      is_private: true,
      enable_gpu: true,
      enable_tpu: false,
      enable_internet: true,
      machine_shape: "NvidiaTeslaT4",
      dataset_sources: ["a/b"],
      competition_sources: [],
      kernel_sources: [],
      model_sources: ["a/b/transformers/c/1"],
    });
    const plain = kernelMetadata(identity, "x.ipynb", {
      ...machine,
      accelerator: null,
      visibility: "public",
      notebooks: [{ user: "someone", slug: "lema-tiny-train" }],
    });
    expect(plain).toMatchObject({
      enable_gpu: false,
      is_private: false,
      kernel_sources: ["someone/lema-tiny-train"],
    });
    expect(plain).not.toHaveProperty("machine_shape");
  });

  it.each([
    ["Llama 2, on P100!", "lema-llama-2-on-p100-train"],
    ["çédille", "lema-cedille-train"],
    ["x".repeat(80), `lema-${"x".repeat(39)}-train`],
  ])("makes of %s an address of at most 50 characters", (name, slug) => {
    expect(slugOf(name, "train")).toBe(slug);
    expect(slug.length).toBeLessThanOrEqual(50);
  });

  it("asks for the GPU of the recipe, or for none", () => {
    expect(acceleratorFor({ hardware: "p100", memory: { vram: 1 } })).toBe("NvidiaTeslaP100");
    expect(acceleratorFor({ hardware: "auto", memory: { vram: 1 } })).toBe("NvidiaTeslaT4");
    expect(acceleratorFor({ hardware: "p100", memory: { vram: null } })).toBeNull();
  });

  it.each([undefined, "", "no name", "-x"])("refuses the user %s", (user) => {
    expect(() => checkUser(user)).toThrow(expect.objectContaining({ name: "DiagnosticError" }));
  });
});
