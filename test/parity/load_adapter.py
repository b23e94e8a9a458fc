"""Proves that an adapter which lema wrote is PEFT's too: it loads whole, and PEFT computes with it what lema did.

    python test/parity/load_adapter.py --model DIR --adapter DIR --tokens FILE.json --expect-logits FILE.safetensors

FILE.json is a row {"tokens": [...], "labels", "positions", "segment_start"}, or a list of rows, as in case.json; without
positions and segment_start a row is one segment, and labels are needed only for a loss. FILE.safetensors holds what lema
computed in float32 with the trained adapter: `logits` [S, vocab] of the first row, `loss` [1] over all rows, or both.
Exit code 1 when the adapter does not load as it should or a value is out of tolerance.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import training  # first: it fixes how torch computes
import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file

from compare import LOGITS, LOSS
from precision import relative


def load_strictly(model: Path, adapter: Path) -> tuple[PeftModel, list[str]]:
    """The model, and every way in which the adapter on disk is not exactly what PEFT has then loaded."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = training.load(model, adapter, "f32")
    # PEFT only warns of missing keys and of configuration fields that it does not know.
    problems = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    on_disk = load_file(adapter / "adapter_model.safetensors")
    in_model = get_peft_model_state_dict(loaded, save_embedding_layers=False)
    problems += [f"missing from the adapter: {name}" for name in sorted(in_model.keys() - on_disk.keys())]
    problems += [f"unexpected in the adapter: {name}" for name in sorted(on_disk.keys() - in_model.keys())]
    for name in sorted(on_disk.keys() & in_model.keys()):
        if on_disk[name].dtype != torch.float32:
            problems.append(f"{name} is {on_disk[name].dtype}, not float32")
        elif not torch.equal(on_disk[name], in_model[name]):
            problems.append(f"{name} was not loaded as it is on disk")
    return loaded, problems


def complete(row: dict) -> dict:
    length = len(row["tokens"])
    return {"positions": list(range(length)), "segment_start": [0] * length} | row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--expect-logits", type=Path, required=True)
    arguments = parser.parse_args()
    training.make_deterministic()

    content = json.loads(arguments.tokens.read_text())
    rows = [complete(row) for row in (content if isinstance(content, list) else [content])]
    expected = load_file(arguments.expect_logits)
    model, problems = load_strictly(arguments.model, arguments.adapter)
    if not expected.keys() & {"logits", "loss"}:
        problems.append(f"{arguments.expect_logits} has neither logits nor loss")

    computed = {}
    with torch.no_grad():
        if "logits" in expected:
            computed["logits"] = training.logits_of(model, rows[0])
        if "loss" in expected:
            supervised = sum(label != training.IGNORED for row in rows for label in row["labels"])
            computed["loss"] = sum(training.row_loss(model, row) for row in rows).reshape(1) / supervised
    for key, value in computed.items():
        allowed = {"logits": LOGITS, "loss": LOSS}[key]
        if value.shape != expected[key].shape:
            problems.append(f"{key}: shape {list(expected[key].shape)}, PEFT has {list(value.shape)}")
            continue
        measured = relative(expected[key], value)
        print(f"{key}: relative distance {measured:.2e}, allowed {allowed:.0e}")
        if not measured <= allowed:
            problems.append(f"{key} is not what PEFT computes with this adapter")
    for problem in problems:
        print(f"FAIL {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
