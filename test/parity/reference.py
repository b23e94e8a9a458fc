"""Makes the goldens of the parity suite from Transformers + PEFT, and proves that the committed ones still are theirs.

    python test/parity/reference.py [CASE...]    writes test/golden/parity/<case>/ (all cases by default)
    python test/parity/reference.py --check      makes them anew in a scratch folder and compares

A case's folder holds model/, adapter/ (as PEFT saves it, with B random), case.json (labels are already shifted: labels[t]
is the id predicted after token t, -100 is none; token t attends to [segment_start[t], t]) and expected.safetensors:

    loss [1], grad_norm [1]      of the first step; the norm is the global one, before clipping
    logits [S, vocab]            of the first row of the first batch, before any step
    losses [20], grad_norms [20] step k trains on batch k mod n
    grad.<name>                  after the first backward, before clipping; names as in adapter_model.safetensors
    param0.<name>, param20.<name>
    curve [curve_steps]          the losses of a longer training, where case.json has `curve_steps`
    <precision>.distance.<key>   see precision.py
"""

import argparse
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path

import training  # first: it fixes how torch computes
import torch
from safetensors.torch import load_file, save_file

import precision
from cases import CASES, Case, write_adapter, write_case_json, write_model

GOLDEN = Path(__file__).parent.parent / "golden" / "parity"
CHECK_TOLERANCE = 1e-6
# Processors round differently, and 20 steps carry that on into the norms of their gradients (2.5e-6 between two of them):
# a tenth of what lema is allowed, so that goldens of one processor are those of another.
CARRIED_TOLERANCE = 1e-5


def expected_inverse_frequencies(config: dict) -> torch.Tensor:
    """Rotary inverse frequencies [head_dim / 2] from their published definitions, read off the JSON itself."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = rope.get("rope_theta") or config["rope_theta"]
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    inverse = [theta ** (-2 * i / head_dim) for i in range(head_dim // 2)]
    kind = rope.get("rope_type") or rope.get("type")
    if kind == "linear":
        inverse = [f / rope["factor"] for f in inverse]
    elif kind == "llama3":
        regimes = set()
        for i, frequency in enumerate(inverse):
            turns = rope["original_max_position_embeddings"] * frequency / (2 * math.pi)
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            keep = min(1.0, max(0.0, (turns - low) / (high - low)))
            inverse[i] = frequency * (keep + (1 - keep) / rope["factor"])
            regimes.add(0 if keep == 0 else 1 if keep == 1 else 2)
        assert regimes == {0, 1, 2}, "the case must have scaled, unscaled and smoothed frequencies"
    return torch.tensor(inverse)


def segments_apart(row: dict) -> list[dict]:
    """The row's segments, each as a row of its own."""
    cuts = sorted(set(row["segment_start"])) + [len(row["tokens"])]
    return [
        {key: [v - a for v in row[key][a:b]] if key == "segment_start" else row[key][a:b] for key in row}
        for a, b in zip(cuts, cuts[1:])
    ]


def assert_sound(directory: Path, case: dict, expected: dict[str, torch.Tensor]) -> None:
    """The reference means what we say it means, and would notice a mistake in any parameter."""
    model = training.load(directory / "model", directory / "adapter", "f32")
    config = json.loads((directory / "model" / "config.json").read_text())
    rotary = model.get_base_model().model.rotary_emb
    torch.testing.assert_close(rotary.inv_freq, expected_inverse_frequencies(config), rtol=1e-6, atol=0)
    assert rotary.attention_scaling == 1.0

    rows = case["batches"][0]
    apart = training.loss_and_gradients(model, [part for row in rows for part in segments_apart(row)])
    assert math.isclose(apart, expected["loss"].item(), rel_tol=1e-6), "a packed row is not its segments run apart"
    norms = {name: value.norm().item() for name, value in expected.items() if name.startswith("grad.")}
    dead = [name for name, norm in norms.items() if norm < 1e-3 * max(norms.values())]
    assert not dead, f"gradients too small to check anything: {dead}"
    assert expected["losses"][-1] < expected["losses"][0], "training does not train"
    if "curve" in expected:
        assert expected["curve"][-1] < expected["curve"][0] / 2, "the curve is flat"


def make(case: Case, directory: Path) -> None:
    """Writes one case's folder, which must not exist."""
    write_model(directory / "model", case)
    write_adapter(directory / "adapter", directory / "model", case)
    write_case_json(directory / "case.json", case)
    # From here on everything is read back from the files, as lema will read them.
    description = json.loads((directory / "case.json").read_text())
    expected = training.train(training.load(directory / "model", directory / "adapter", "f32"), description)
    assert_sound(directory, description, expected)
    for name in case.precisions:
        if name != "f32":
            expected |= precision.distances(directory, description, name)
    save_file(dict(sorted(expected.items())), directory / "expected.safetensors")


def differences(made: Path, golden: Path) -> list[str]:
    """What differs between two folders of one case: inputs must be the same bytes, results within the tolerance of their kind."""
    files = {p.relative_to(root) for root in (made, golden) for p in root.rglob("*") if p.is_file()}
    found = []
    for file in sorted(files - {Path("expected.safetensors")}):
        if not (made / file).exists() or not (golden / file).exists():
            found.append(f"{file}: only in the {'golden' if (golden / file).exists() else 'regenerated'} folder")
        elif (made / file).read_bytes() != (golden / file).read_bytes():
            found.append(f"{file}: not the same bytes")
    if not (golden / "expected.safetensors").exists():
        return [*found, "expected.safetensors: missing"]
    a, b = load_file(made / "expected.safetensors"), load_file(golden / "expected.safetensors")
    found += [f"expected.safetensors: {key} is on one side only" for key in sorted(a.keys() ^ b.keys())]
    for key in sorted(a.keys() & b.keys()):
        distance = precision.relative(a[key], b[key]) if a[key].shape == b[key].shape else float("inf")
        if not distance <= (CARRIED_TOLERANCE if key == "grad_norms" else CHECK_TOLERANCE):
            found.append(f"expected.safetensors: {key} is off by {distance:.1e} (relative)")
    return found


def check(cases: list[Case]) -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for case in cases:
            make(case, Path(scratch) / case.name)
            found = differences(Path(scratch) / case.name, GOLDEN / case.name)
            print(f"{'FAIL' if found else 'ok  '} {case.name}")
            print("".join(f"     {line}\n" for line in found), end="")
            failed += bool(found)
    unknown = {p.name for p in GOLDEN.iterdir() if p.is_dir()} - {case.name for case in CASES}
    for name in sorted(unknown):
        print(f"FAIL {name}: a golden of no case")
    print(f"{len(cases) - failed} passed, {failed + len(unknown)} failed")
    return 1 if failed or unknown else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", help="names of cases; all by default")
    parser.add_argument("--check", action="store_true", help="compare with the committed goldens instead of writing")
    arguments = parser.parse_args()
    unknown = set(arguments.case) - {case.name for case in CASES}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    chosen = [case for case in CASES if not arguments.case or case.name in arguments.case]
    training.make_deterministic()
    if arguments.check:
        return check(chosen)
    for case in chosen:
        shutil.rmtree(GOLDEN / case.name, ignore_errors=True)
        make(case, GOLDEN / case.name)
        print(f"{case.name}: {case.proves}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
