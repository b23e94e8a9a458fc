"""Runs the code cells of a notebook in one namespace, as a kernel would, and nothing else: run_cells.py NOTEBOOK."""

import json
import sys

with open(sys.argv[1]) as file:
    cells = json.load(file)["cells"]
namespace = {"__name__": "__main__"}
for cell in cells:
    if cell["cell_type"] == "code":
        print(f"[{cell['id']}]", flush=True)
        exec(compile(cell["source"], cell["id"], "exec"), namespace)
