"""Makes the golden of the optimizer alone: torch.optim.AdamW (single tensor) on gradients of every magnitude.

    python test/parity/adamw.py            writes test/golden/adamw.safetensors
    python test/parity/adamw.py --check    makes it anew and compares every bit

For each setting, named in the file's metadata as JSON: `<name>.grad` [steps, n], `<name>.param` [steps + 1, n] from the
start on, `<name>.first_moment` and `<name>.second_moment` [steps, n] after each step, all float32.

The square root is torch's in float64, rounded: what IEEE 754 asks of one in float32. torch's own float32 root is MKL's,
which is an ulp off for one number in ten, and not the same on every machine.
"""

import json
import sys

import training  # first: it fixes how torch computes
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from precision import GOLDEN

FILE = GOLDEN.parent / "adamw.safetensors"
N, STEPS = 131, 8
SETTINGS = {
    "usual": {"learning_rate": 2e-4, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0},
    "decaying": {"learning_rate": 3e-3, "betas": [0.9, 0.95], "eps": 1e-6, "weight_decay": 0.1},
    "heavy": {"learning_rate": 1e-2, "betas": [0.8, 0.99], "eps": 1e-3, "weight_decay": 0.01},
}
ROOT = torch.Tensor.sqrt


def rounded_root(value: torch.Tensor) -> torch.Tensor:
    """A root in double precision, rounded once more, is the correctly rounded one in single precision."""
    return ROOT(value.double()).float()


def make(name: str, setting: dict) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(len(name))
    # From far below epsilon to far above 1, some of them 0 in every step.
    grads = torch.randn(STEPS, N, generator=rng) * 10 ** torch.empty(N).uniform_(-12, 4, generator=rng)
    grads[:, ::13] = 0
    param = torch.nn.Parameter(torch.randn(N, generator=rng))
    optimizer = torch.optim.AdamW(
        [param],
        lr=setting["learning_rate"],
        betas=tuple(setting["betas"]),
        eps=setting["eps"],
        weight_decay=setting["weight_decay"],
        foreach=False,
    )
    made = {"grad": grads, "param": [param.detach().clone()], "first_moment": [], "second_moment": []}
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
        state = optimizer.state[param]
        made["param"].append(param.detach().clone())
        made["first_moment"].append(state["exp_avg"].clone())
        made["second_moment"].append(state["exp_avg_sq"].clone())
    return {f"{name}.{key}": value if key == "grad" else torch.stack(value) for key, value in made.items()}


def main() -> int:
    training.make_deterministic()
    torch.Tensor.sqrt = rounded_root  # the optimizer's only root
    made = {key: value for name, setting in SETTINGS.items() for key, value in make(name, setting).items()}
    torch.Tensor.sqrt = ROOT
    metadata = {"settings": json.dumps(SETTINGS)}
    if sys.argv[1:] != ["--check"]:
        save_file(made, FILE, metadata)
        return 0
    with safe_open(FILE, "pt") as golden:
        same = golden.metadata() == metadata and set(golden.keys()) == made.keys()
        same = same and all(torch.equal(golden.get_tensor(key).view(torch.int32), made[key].view(torch.int32)) for key in made)
    print(f"{'ok  ' if same else 'FAIL'} AdamW alone, bit for bit")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
