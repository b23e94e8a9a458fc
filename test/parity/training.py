"""The reference itself: Transformers + PEFT forward, token-weighted loss, backward, clipping and torch's AdamW.

Imported before anything else imports torch: the settings below make the same bits on every x86-64 machine, whatever its
vector instructions (single thread, the compatible code path of MKL and of ATen, no oneDNN).
"""

import os
import warnings

os.environ.update(
    MKL_CBWR="COMPATIBLE", ATEN_CPU_CAPABILITY="default", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false"
)

from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging

IGNORED = -100
DTYPES = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16, "fp16": torch.float16}
# Half precision needs a loss scale, as any fp16 training has; 2^10 neither overflows nor underflows these cases.
LOSS_SCALES = {"fp16": 1024.0}
STEPS = 20


def make_deterministic() -> None:
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False
    torch.use_deterministic_algorithms(True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def load(model: Path, adapter: Path, precision: str) -> PeftModel:
    """The base model in `precision`, the adapter in float32 as PEFT keeps it (in float64, both)."""
    base_dtype = torch.float32 if precision == "f64" else DTYPES[precision]
    base = AutoModelForCausalLM.from_pretrained(model, dtype=base_dtype, attn_implementation="eager")
    peft = PeftModel.from_pretrained(base, adapter, is_trainable=True)
    return peft.double() if precision == "f64" else peft


def trainable(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """LoRA parameters by the name they have in adapter_model.safetensors, in that file's (sorted) order."""
    named = ((n.replace(".default.", "."), p) for n, p in model.named_parameters() if p.requires_grad)
    return dict(sorted(named))


def attention_mask(segment_start: list[int], dtype: torch.dtype) -> torch.Tensor:
    """Additive mask [1, 1, S, S]: 0 where t may attend to s, i.e. segment_start[t] <= s <= t, else the dtype's least."""
    start = torch.tensor(segment_start)[:, None]
    t = torch.arange(len(segment_start))
    allowed = (t[None, :] >= start) & (t[None, :] <= t[:, None])
    return torch.zeros(allowed.shape, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)[None, None]


def logits_of(model: PeftModel, row: dict[str, list[int]]) -> torch.Tensor:
    """Logits [S, vocab] of one row, at least float32."""
    dtype = next(p.dtype for p in model.parameters() if not p.requires_grad)
    output = model(
        input_ids=torch.tensor([row["tokens"]]),
        attention_mask=attention_mask(row["segment_start"], dtype),
        position_ids=torch.tensor([row["positions"]]),
        use_cache=False,
    )
    logits = output.logits[0]
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def row_loss(model: PeftModel, row: dict[str, list[int]]) -> torch.Tensor:
    """Sum of the cross-entropies of the row's supervised tokens."""
    labels = torch.tensor(row["labels"])
    return F.cross_entropy(logits_of(model, row), labels, ignore_index=IGNORED, reduction="sum")


def loss_and_gradients(model: PeftModel, rows: list[dict], loss_scale: float = 1.0) -> float:
    """Mean loss over the step's supervised tokens; adds its gradient to every LoRA parameter, a row at a time."""
    supervised = sum(label != IGNORED for row in rows for label in row["labels"])
    total = 0.0
    for row in rows:
        loss = row_loss(model, row) / supervised
        (loss * loss_scale).backward()
        total += loss.item()
    for parameter in trainable(model).values():
        parameter.grad /= loss_scale
    return total


def train(model: PeftModel, case: dict) -> dict[str, torch.Tensor]:
    """Trains for STEPS, or `curve_steps`, and returns expected.safetensors' entries, in the parameters' precision."""
    parameters = trainable(model)
    result = {f"param0.{name}": p.detach().clone() for name, p in parameters.items()}
    with torch.no_grad():
        result["logits"] = logits_of(model, case["batches"][0][0])
    settings = case["training"]
    optimizer = torch.optim.AdamW(
        parameters.values(),
        lr=settings["learning_rate"],
        betas=tuple(settings["betas"]),
        eps=settings["eps"],
        weight_decay=settings["weight_decay"],
    )
    losses, norms = [], []
    for step in range(case.get("curve_steps", STEPS)):
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss_and_gradients(model, case["batches"][step % len(case["batches"])]))
        if step == 0:
            result |= {f"grad.{name}": p.grad.clone() for name, p in parameters.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), settings["max_grad_norm"]).item())
        optimizer.step()
        if step + 1 == STEPS:
            result |= {f"param{STEPS}.{name}": p.detach().clone() for name, p in parameters.items()}
    curve, norms = (torch.tensor(values, dtype=result["logits"].dtype) for values in (losses, norms))
    result |= {"losses": curve[:STEPS].clone(), "grad_norms": norms[:STEPS].clone()}
    if "curve_steps" in case:
        result["curve"] = curve
    return result | {"loss": result["losses"][:1].clone(), "grad_norm": result["grad_norms"][:1].clone()}
