/** Jupyter notebooks as nbformat 4.5 has them, in ASCII, with the kernel's name, without which Kaggle runs none. */

export type Cell = MarkdownCell | CodeCell;

interface MarkdownCell {
  readonly cell_type: "markdown";
  readonly id: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly source: string;
}

interface CodeCell extends Omit<MarkdownCell, "cell_type"> {
  readonly cell_type: "code";
  readonly execution_count: null;
  readonly outputs: readonly [];
}

export interface Notebook {
  readonly nbformat: 4;
  readonly nbformat_minor: 5;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly cells: readonly Cell[];
}

/** `id`: unique in its notebook, of letters, digits, `-` and `_`. */
export function markdown(id: string, source: string): Cell {
  return { cell_type: "markdown", id, metadata: {}, source };
}

export function code(id: string, source: string): Cell {
  return { cell_type: "code", id, metadata: {}, execution_count: null, outputs: [], source: source.trim() };
}

/** A cell of data that nobody wants to read: folded in Kaggle's editor and in JupyterLab. */
export function folded(id: string, source: string): Cell {
  const metadata = { "_kg_hide-input": true, jupyter: { source_hidden: true } };
  return { ...code(id, source), metadata };
}

export function notebook(cells: readonly Cell[]): Notebook {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: { name: "python3", display_name: "Python 3", language: "python" },
      language_info: { name: "python", file_extension: ".py", mimetype: "text/x-python" },
    },
    cells,
  };
}

export function notebookText(content: Notebook): string {
  return `${asciiJson(content)}\n`;
}

/** A value as a Python expression that gives it back; needs `json` to be imported. */
export function pythonValue(value: unknown): string {
  return `json.loads(${JSON.stringify(asciiJson(value))})`;
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
