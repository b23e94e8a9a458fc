"""Plausible mistakes, each of which the parity suite must notice: what shows that its cases prove what they claim.

Some are made in the numbers of a good result, others in the mathematics: the reference runs on a copy of the case in
which one thing is subtly wrong.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import training
import torch

from precision import GOLDEN, MARGIN, PER_STEP

Tensors = dict[str, torch.Tensor]


def first_step_of(result: Tensors) -> Tensors:
    """The part of a result that is asked for in a precision other than float32."""
    return {key: value for key, value in result.items() if key == "loss" or key.startswith("grad.")}


def in_a_result(result: Tensors, expected: Tensors, precision: str) -> Iterator[tuple[str, Tensors]]:
    """(key, a good result in which that key alone is wrong), for every key that is compared."""
    rng = torch.Generator().manual_seed(7)

    def off(value: torch.Tensor, distance: float) -> torch.Tensor:
        noise = torch.randn(value.shape, generator=rng, dtype=value.dtype)
        return value + distance * noise / noise.norm()

    for key, value in result.items():
        if precision != "f32":
            distance = 2 * MARGIN * expected[f"{precision}.distance.{key}"].item() * value.norm().item()
        elif key.startswith("param20."):
            distance = 3e-3 * (value - expected[key.replace("param20.", "param0.")]).norm().item()
        else:
            distance = (5e-5 if key == "loss" else 1e-3) * value.norm().item()
        if key not in PER_STEP:
            yield key, result | {key: off(value, distance)}
            yield key, result | {key: torch.full_like(value, float("nan"))}
        else:
            yield key, result | {key: torch.cat([value[:-1], value[-1:] * 1.005])}
            yield key, result | {key: value[:-1]}
    gradient = next(key for key in result if key.startswith("grad."))
    yield gradient, {key: value for key, value in result.items() if key != gradient}
    yield "grad.misspelled", result | {"grad.misspelled": result[gradient]}


@dataclass(frozen=True)
class Mistake:
    case: str
    what: str
    trips: str
    """A check whose key starts with this must fail."""
    edit: Callable[[dict, dict, dict], None]
    """Changes (case.json, the model's config.json, adapter_config.json) in place."""


def one_segment(case: dict) -> None:
    for batch in case["batches"]:
        for row in batch:
            row["segment_start"] = [0] * case["sequence_length"]


def keep_rows(case: dict, kept: slice) -> None:
    case["batches"] = [batch[kept] for batch in case["batches"]]


FIRST_STEP, AFTER_20, IN_300 = "grad.", "param20.", "curve"
IN_THE_MATHEMATICS = (
    Mistake("packing", "attention crosses segments", FIRST_STEP, lambda case, *_: one_segment(case)),
    Mistake("accumulation", "the row with one supervised token is dropped", FIRST_STEP,
            lambda case, *_: case.update(batches=[[b[0], *b[2:]] for b in case["batches"]])),
    Mistake("padding", "the last row that is not all padding is dropped", FIRST_STEP,
            lambda case, *_: keep_rows(case, slice(2))),
    Mistake("rope_linear", "no scaling", FIRST_STEP, lambda _, config, __: config.update(rope_scaling=None)),
    Mistake("rope_llama3", "no scaling", FIRST_STEP, lambda _, config, __: config.update(rope_scaling=None)),
    Mistake("rope_llama3", "no smooth range", FIRST_STEP,
            lambda _, config, __: config["rope_scaling"].update(high_freq_factor=1.0001)),
    Mistake("rope_parameters", "no scaling", FIRST_STEP,
            lambda _, config, __: config.update(rope_parameters={"rope_type": "default", "rope_theta": 500000.0})),
    Mistake("base", "another rope base", FIRST_STEP, lambda _, config, __: config.update(rope_theta=20000.0)),
    Mistake("odd", "the usual epsilon", FIRST_STEP, lambda _, config, __: config.update(rms_norm_eps=1e-5)),
    Mistake("rslora", "scaling alpha / rank", FIRST_STEP, lambda _, __, adapter: adapter.update(use_rslora=False)),
    Mistake("gqa", "no clipping", AFTER_20, lambda case, *_: case["training"].update(max_grad_norm=1e9)),
    Mistake("gqa", "no weight decay", AFTER_20, lambda case, *_: case["training"].update(weight_decay=0.0)),
    Mistake("targets", "the usual betas", AFTER_20, lambda case, *_: case["training"].update(betas=[0.9, 0.999])),
    Mistake("targets", "the usual epsilon", AFTER_20, lambda case, *_: case["training"].update(eps=1e-8)),
    Mistake("base", "learning rate off by 1 %", AFTER_20,
            lambda case, *_: case["training"].update(learning_rate=1.01 * case["training"]["learning_rate"])),
    Mistake("curve", "learning rate off by a thousandth", IN_300,
            lambda case, *_: case["training"].update(learning_rate=1.001 * case["training"]["learning_rate"])),
)


def run(mistake: Mistake) -> Tensors:
    """The float32 result of the case with the mistake in it."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / mistake.case
        shutil.copytree(GOLDEN / mistake.case, directory)
        files = [directory / "case.json", directory / "model/config.json", directory / "adapter/adapter_config.json"]
        values = [json.loads(file.read_text()) for file in files]
        mistake.edit(*values)
        for file, value in zip(files, values):
            file.write_text(json.dumps(value))
        result = training.train(training.load(directory / "model", directory / "adapter", "f32"), values[0])
    return {key: value for key, value in result.items() if not key.startswith("param0.")}
