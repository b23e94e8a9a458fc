"""Compares what lema computed with the goldens, within the tolerances of the project's contract.

    python test/parity/compare.py --lema DIR [--precisions f32,bf16,fp16]
    python test/parity/compare.py --self-test

DIR holds, per case, result.safetensors (float32) and result.<precision>.safetensors (that precision's first step), with
the keys of expected.safetensors. Required: loss, grad.*, and in float32 losses and param20.* too; grad_norm, grad_norms
and logits are compared where they are there; any other key is an error. Exit code 1 when anything is out of tolerance.

The self-test shows that the tolerances can be met and can be failed: a float64 run of every case passes, and so many
subtle mistakes (mistakes.py), or a gradient that is off by one part in a thousand, do not.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import training  # first: it fixes how torch computes
import torch
from safetensors.torch import load_file

from precision import GOLDEN, MARGIN, PER_STEP, relative

LOSS, GRADIENT, PARAMETER = 1e-5, 1e-4, 1e-3
# A later step's loss also carries how far the parameters may have drifted by then; logits have no loss's averaging.
LATER_LOSS, LOGITS = 1e-4, 1e-4
# Every one of the curve's 300 losses; float32 rounding moves the reference's own by less than a tenth of it, or the curve
# would say nothing about who computed it.
CURVE, CURVE_DRIFT = 1e-5, 1e-6


@dataclass(frozen=True)
class Check:
    """`measured` is a relative distance; the check passes when it is at most `allowed`."""

    key: str
    measured: float
    allowed: float

    @property
    def passed(self) -> bool:
        return self.measured <= self.allowed

    @property
    def share(self) -> float:
        """How much of what is allowed is used up; 1 still passes."""
        return self.measured / self.allowed if self.allowed else float("inf")


def judge(expected: dict[str, torch.Tensor], result: dict[str, torch.Tensor], precision: str) -> list[Check]:
    """Every comparison that `precision` calls for; a missing, unknown or misshapen entry is infinitely far off."""
    if precision == "f32":
        allowed = {"loss": LOSS, "losses": LATER_LOSS} | ({"curve": CURVE} if "curve" in expected else {})
        allowed |= {key: GRADIENT for key in expected if key.startswith("grad.")}
        allowed |= {key: PARAMETER for key in expected if key.startswith("param20.")}
        optional = {"grad_norm": GRADIENT, "grad_norms": PARAMETER, "logits": LOGITS}
        allowed |= {key: value for key, value in optional.items() if key in result}
    else:
        prefix = f"{precision}.distance."
        allowed = {k.removeprefix(prefix): MARGIN * v.item() for k, v in expected.items() if k.startswith(prefix)}
    checks = []
    for key in [*allowed, *(result.keys() - expected.keys())]:
        reference, value = expected.get(key), result.get(key)
        measured = float("inf")
        if reference is not None and value is not None and reference.shape == value.shape:
            measured = distance(key, value.double(), reference.double(), expected)
        checks.append(Check(key, measured, allowed.get(key, 0.0)))
    return checks


def distance(key: str, value: torch.Tensor, reference: torch.Tensor, expected: dict[str, torch.Tensor]) -> float:
    if not torch.isfinite(value).all():
        return float("inf")
    if key.startswith("param20."):
        moved = reference - expected[key.replace("param20.", "param0.")].double()
        return ((value - reference).norm() / moved.norm()).item()
    if key in PER_STEP:
        return ((value - reference).abs() / reference.abs()).max().item()
    return relative(value, reference)


def report(name: str, precision: str, checks: list[Check]) -> bool:
    """Prints one row, with the worst of each kind as a share of its tolerance, then each failure; true when all pass."""
    failures = [check for check in checks if not check.passed]
    row = f"{'FAIL' if failures else 'ok  '} {name:<16} {precision:<4}"
    for kind in ("loss", "grad.", "losses", "param20.", "curve"):
        of_kind = [c for c in checks if (c.key.startswith(kind) if kind.endswith(".") else c.key == kind)]
        if of_kind:
            worst = max(of_kind, key=lambda check: check.share)
            row += f"  {kind.rstrip('.')} {worst.measured:.1e} ({worst.share:.0%})"
    print(row)
    for check in failures:
        print(f"       {check.key}: {check.measured:.3e}, allowed {check.allowed:.3e}")
    return not failures


def compare(directory: Path, precisions: list[str]) -> int:
    passed = failed = 0
    print("largest relative distance of each kind, and its share of what is allowed")
    for case in golden_cases():
        expected = load_file(GOLDEN / case["name"] / "expected.safetensors")
        for precision in case["precisions"]:
            if precision not in precisions:
                continue
            suffix = "" if precision == "f32" else f".{precision}"
            file = directory / case["name"] / f"result{suffix}.safetensors"
            if not file.exists():
                print(f"FAIL {case['name']:<16} {precision:<4}  {file} is missing")
                failed += 1
                continue
            ok = report(case["name"], precision, judge(expected, load_file(file), precision))
            passed, failed = passed + ok, failed + (not ok)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def golden_cases() -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted(GOLDEN.glob("*/case.json"))]


def notices(expected: dict[str, torch.Tensor], wrong: dict[str, torch.Tensor], precision: str, trips: str) -> bool:
    """Whether a check whose key starts with `trips` fails on the wrong result."""
    return any(check.key.startswith(trips) and not check.passed for check in judge(expected, wrong, precision))


def self_test() -> int:
    import mistakes

    outcomes: list[bool] = []
    print("a float64 run of each case: largest relative distance of each kind, and its share of what is allowed")
    for case in golden_cases():
        directory = GOLDEN / case["name"]
        expected = load_file(directory / "expected.safetensors")
        exact = training.train(training.load(directory / "model", directory / "adapter", "f64"), case)
        exact = {key: value for key, value in exact.items() if not key.startswith("param0.")}
        missed = []
        for precision in case["precisions"]:
            result = exact if precision == "f32" else mistakes.first_step_of(exact)
            outcomes.append(report(case["name"], precision, judge(expected, result, precision)))
            made = list(mistakes.in_a_result(result, expected, precision))
            missed += [f"{precision} {key}" for key, wrong in made if not notices(expected, wrong, precision, key)]
            print(f"       {len(made)} mistakes made in these numbers, {len(missed)} overlooked {' '.join(missed)}")
        outcomes.append(not missed)
        if "curve" in expected:
            drift = distance("curve", expected["curve"].double(), exact["curve"], expected)
            print(f"{'ok  ' if drift < CURVE_DRIFT else 'FAIL'} {case['name']:<16} rounding moves the curve by {drift:.1e}")
            outcomes.append(drift < CURVE_DRIFT)
    print("mistakes in the mathematics")
    for mistake in mistakes.IN_THE_MATHEMATICS:
        expected = load_file(GOLDEN / mistake.case / "expected.safetensors")
        noticed = notices(expected, mistakes.run(mistake), "f32", mistake.trips)
        print(f"{'ok  ' if noticed else 'FAIL'} {mistake.case:<16} {mistake.what}")
        outcomes.append(noticed)
    print(f"{sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return 0 if all(outcomes) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--lema", type=Path, metavar="DIR", help="lema's results, a folder a case")
    mode.add_argument("--self-test", action="store_true", help="show that the comparison passes and fails as it should")
    parser.add_argument("--precisions", default="f32", help="comma-separated; f32 by default")
    arguments = parser.parse_args()
    training.make_deterministic()
    if arguments.self_test:
        return self_test()
    precisions = arguments.precisions.split(",")
    unknown = set(precisions) - {"f32", "bf16", "fp16"}
    if unknown:
        parser.error(f"no such precision: {', '.join(sorted(unknown))}")
    return compare(arguments.lema, precisions)


if __name__ == "__main__":
    sys.exit(main())
