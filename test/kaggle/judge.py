"""Notebooks as others see them.

judge.py check DIRECTORY...   each is valid nbformat, and Kaggle's own command would push it as it was meant (offline:
                              what it would send is recorded instead)
judge.py run NOTEBOOK         executes it in Jupyter, in the current folder
"""

import json
import os
import pathlib
import sys

import nbformat


class Recorder:
    """Stands for Kaggle's client where the command would call its server."""

    def __enter__(self):
        self.kernels = self.kernels_api_client = self
        return self

    def __exit__(self, *_):
        return False

    def save_kernel(self, request):
        self.request = request
        return request


def check(directory):
    os.environ.update(KAGGLE_USERNAME="nobody", KAGGLE_KEY="none")  # asked for at import, and sent nowhere
    from kaggle.api.kaggle_api_extended import KaggleApi

    metadata = json.loads((directory / "kernel-metadata.json").read_text())
    notebook = nbformat.read(directory / metadata["code_file"], as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)

    api, recorder = KaggleApi(), Recorder()
    api.build_kaggle_client = lambda: recorder
    api.kernels_push(str(directory), None, None)
    sent = recorder.request
    assert sent.slug == metadata["id"] and sent.new_title == metadata["title"]
    assert (sent.language, sent.kernel_type) == ("python", "notebook")
    assert (sent.enable_gpu, sent.enable_internet, sent.is_private) == (True, True, True)
    assert sent.machine_shape == "NvidiaTeslaP100"
    assert sent.kernel_data_sources == metadata["kernel_sources"]
    size = len(sent.text.encode())
    assert size < 1_000_000, f"Kaggle refuses {size} bytes"
    assert "kernelspec" in json.loads(sent.text)["metadata"]
    print(f"{directory}: nbformat 4.5; Kaggle's command would send {size} bytes to {sent.slug}")


def run(path):
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=1200, kernel_name="python3").execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            print(output.get("text", ""), end="")


if __name__ == "__main__":
    task, *paths = sys.argv[1:]
    for path in map(pathlib.Path, paths):
        {"check": check, "run": run}[task](path)
