"""What lema is measured against: one LoRA fine-tune with Transformers + PEFT, set up as its users would.

    .venv/bin/python bench/peft_baseline.py --model DIR [--gradient-checkpointing] [--weights float32]
    .venv/bin/python bench/peft_baseline.py --make-model DIR     writes the bench model, random, in bfloat16

On a GPU with `--device cuda`, everything resident. `--make-model DIR --shape llama2-7b` draws a model of that size there.

Fair to PEFT: SDPA attention, whole rows without a padding mask, torch's AdamW, warm-up steps that are not counted, nothing
else in the process. Weights are bfloat16; on a CPU without AMX float32 can be the faster choice, so measure that too
before calling anything faster than PEFT. Prints one JSON object: times are wall-clock; memory is in bytes, the largest
seen in /proc/self/status. The base weights may be mapped from their file, and are then RssFile and no part of RssAnon.
`cpu_share` is the CPU time that the timed steps got, of what their threads could have had: well below 1, the machine
was busy with something else and the figures are too low.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import peft
import torch
import transformers

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def resident(*kinds: str) -> int:
    """The sum of these Rss… fields of this process now, in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * sum(int(fields[kind].split()[0]) for kind in kinds)


def rss() -> int:
    return resident("RssAnon", "RssShmem")


@contextmanager
def peak_rss(interval: float = 0.005):
    """Yields a one-element list that holds the largest rss() sampled so far."""
    peak, stop = [rss()], threading.Event()

    def sample() -> None:
        while not stop.wait(interval):
            peak[0] = max(peak[0], rss())

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield peak
    finally:
        stop.set()
        sampler.join()


SHAPES = {
    # 223 M parameters.
    "bench": {"num_hidden_layers": 12, "hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16},
    "llama2-7b": {"num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32},
}


def make_model(directory: Path, shape: str, device: str) -> None:
    """Random weights in bfloat16, drawn on the device; a vocabulary of 32000."""
    torch.manual_seed(0)
    heads = SHAPES[shape]["num_attention_heads"]
    config = transformers.LlamaConfig(
        **SHAPES[shape],
        vocab_size=32000,
        num_key_value_heads=heads,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        dtype=torch.bfloat16,
    )
    with torch.device(device):
        model = transformers.LlamaForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(directory)


def load(arguments: argparse.Namespace) -> peft.PeftModel:
    placement = {"device_map": arguments.device} if arguments.device != "cpu" else {}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        arguments.model, dtype=getattr(torch, arguments.weights), attn_implementation="sdpa", **placement
    )
    model.config.use_cache = False
    if arguments.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    lora = peft.LoraConfig(
        task_type="CAUSAL_LM", r=arguments.rank, lora_alpha=2 * arguments.rank, target_modules=TARGETS
    )
    return peft.get_peft_model(model, lora).train()


def measure(arguments: argparse.Namespace, peak: list[int]) -> dict:
    model = load(arguments)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
    tokens = arguments.batch * arguments.length
    gpu = arguments.device != "cpu"
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    rng = torch.Generator().manual_seed(arguments.seed)
    seconds, cpu_seconds, losses = [], [], []
    for _ in range(arguments.warmup + arguments.steps):
        ids = torch.randint(model.config.vocab_size, (arguments.batch, arguments.length), generator=rng).to(arguments.device)
        if gpu:
            torch.cuda.synchronize()
        start, cpu_start = time.perf_counter(), time.process_time()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
        losses.append(loss.item())
    warmup, seconds = seconds[: arguments.warmup], seconds[arguments.warmup :]
    return {
        "tokens_per_second": tokens / statistics.median(seconds),
        "tokens_per_second_of_each_step": [tokens / s for s in seconds],
        "seconds_of_warmup_steps": warmup,
        "cpu_share": sum(cpu_seconds[arguments.warmup :]) / (sum(seconds) * arguments.threads),
        "losses": losses,
        "peak_rss_bytes": peak[0],
        "rss_file_bytes": resident("RssFile"),
        "device_peak_bytes": torch.cuda.max_memory_reserved() if gpu else None,
        "parameters": {"all": model.num_parameters(), "trained": sum(p.numel() for p in trained)},
    }


def settings(arguments: argparse.Namespace) -> dict:
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
    return {
        "settings": {
            "batch": arguments.batch,
            "length": arguments.length,
            "rank": arguments.rank,
            "targets": TARGETS,
            "weights": arguments.weights,
            "adapter": "float32",
            "attention": "sdpa",
            "gradient_checkpointing": arguments.gradient_checkpointing,
            "device": torch.cuda.get_device_name() if arguments.device != "cpu" else "cpu",
            "threads": torch.get_num_threads(),
            "warmup": arguments.warmup,
            "steps": arguments.steps,
            "seed": arguments.seed,
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "peft": peft.__version__,
        },
        "cpu": {"cores": os.cpu_count(), "bf16": sorted(f for f in flags if f in ("avx512_bf16", "amx_bf16"))},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, metavar="DIR", help="a Hugging Face model to fine-tune")
    what.add_argument("--make-model", type=Path, metavar="DIR", help="write the bench model there and stop")
    parser.add_argument("--gradient-checkpointing", action="store_true", help="recompute each block in the backward")
    parser.add_argument("--weights", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--shape", choices=SHAPES, default="bench", help="of the model that is written")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4, help="rows a step")
    parser.add_argument("--length", type=int, default=512, help="tokens a row")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--warmup", type=int, default=2, help="steps that are not counted")
    parser.add_argument("--steps", type=int, default=5, help="steps that are timed")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    if arguments.make_model:
        make_model(arguments.make_model, arguments.shape, arguments.device)
        return 0
    if not (arguments.model / "config.json").exists():
        parser.error(f"{arguments.model} is not a model folder: it has no config.json")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    with peak_rss() as peak:
        result = measure(arguments, peak)
    print(json.dumps(result | settings(arguments), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
