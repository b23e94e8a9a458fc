"""How far PyTorch itself lands from the float32 reference when the base model is bfloat16 or float16.

lema may be at most MARGIN times as far. A distance is relative: |loss - loss_ref| / loss_ref, and for a gradient
‖g - g_ref‖ / ‖g_ref‖. Rounding errors of one batch can cancel by luck, so each distance is the largest over all of the
case's batches, all at the initial parameters. As in any PEFT training the adapter stays float32, and float16 runs
under a loss scale.

    python test/parity/precision.py          prints the distances of every case that has them
"""

import json
from pathlib import Path

import training  # first: it fixes how torch computes
import torch

MARGIN = 1.5
# Keys that hold one number a step, each of which is compared by itself.
PER_STEP = ("losses", "grad_norms", "curve")
GOLDEN = Path(__file__).parent.parent / "golden" / "parity"


def relative(value: torch.Tensor, reference: torch.Tensor) -> float:
    """‖value - reference‖ / ‖reference‖; infinite, and so never accepted, where either is not finite."""
    distance = (value.double() - reference.double()).norm() / reference.double().norm()
    return distance.item() if torch.isfinite(distance) else float("inf")


def first_step(directory: Path, precision: str, rows: list[dict]) -> dict[str, torch.Tensor]:
    """`loss` and `grad.*` of one batch at the initial parameters."""
    model = training.load(directory / "model", directory / "adapter", precision)
    loss = training.loss_and_gradients(model, rows, training.LOSS_SCALES.get(precision, 1.0))
    gradients = {f"grad.{name}": p.grad for name, p in training.trainable(model).items()}
    return {"loss": torch.tensor([loss])} | gradients


def distances(directory: Path, case: dict, precision: str) -> dict[str, torch.Tensor]:
    """`<precision>.distance.loss` and `<precision>.distance.grad.*`, each of shape [1]."""
    worst: dict[str, float] = {}
    for rows in case["batches"]:
        reference = first_step(directory, "f32", rows)
        lower = first_step(directory, precision, rows)
        for name, value in reference.items():
            worst[name] = max(worst.get(name, 0.0), relative(lower[name], value))
    return {f"{precision}.distance.{name}": torch.tensor([value]) for name, value in worst.items()}


def main() -> None:
    training.make_deterministic()
    for file in sorted(GOLDEN.glob("*/case.json")):
        case = json.loads(file.read_text())
        for precision in case["precisions"]:
            if precision == "f32":
                continue
            found = {k.split(".distance.")[1]: v.item() for k, v in distances(file.parent, case, precision).items()}
            gradients = [v for k, v in found.items() if k != "loss"]
            print(
                f"{case['name']:<14} {precision}: loss {found['loss']:.2e}, "
                f"gradients {min(gradients):.2e} to {max(gradients):.2e}"
            )


if __name__ == "__main__":
    main()
