"""The parity cases: what each proves, and the model, adapter and batches it is made of.

Everything random comes from a generator seeded with the case's name, so a case is the same bytes on every machine.
A batch row is laid out as segments: Segment(8, prompt=3) is 8 tokens whose first 3 targets are not supervised; what is
left of the row is one padding segment. The last token of a segment has no target: no label crosses a segment.
"""

import json
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file

IGNORED = -100
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Segment:
    tokens: int
    prompt: int = 0


Row = tuple[Segment, ...]


@dataclass(frozen=True)
class Adapter:
    rank: int
    alpha: int
    rslora: bool = False
    targets: tuple[str, ...] = ALL_LINEAR
    rank_pattern: dict[str, int] = field(default_factory=dict)
    alpha_pattern: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0


@dataclass(frozen=True)
class Case:
    name: str
    proves: str
    sequence_length: int = 16
    rows: tuple[Row, ...] = ((Segment(16),), (Segment(16, prompt=5),))
    config: dict = field(default_factory=dict)
    adapter: Adapter = Adapter(rank=2, alpha=4)
    training: Training = Training()
    stored: torch.dtype = torch.float32
    shards: int = 1
    precisions: tuple[str, ...] = ("f32",)
    batches: int = 3
    curve_steps: int = 0
    """How many steps the case trains for its `curve`; 0: none. Only where rounding does not grow to be seen."""


# The keys and their form are those of published Llama 2 checkpoints, not what Transformers 5 itself would write.
PUBLISHED = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 32,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "max_position_embeddings": 256,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 4,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "use_cache": True,
    "vocab_size": 97,
}
GQA = {"num_key_value_heads": 2}
WIDE_HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1}
LLAMA3 = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 64,
    "rope_type": "llama3",
}
LARGER = {"hidden_size": 48, "intermediate_size": 72, "vocab_size": 151}

CASES = (
    Case("base", "multi-head attention, every linear layer adapted", adapter=Adapter(rank=4, alpha=8)),
    Case("gqa", "grouped-query attention; clipping is active, weights decay", config=GQA,
         training=Training(weight_decay=0.1, max_grad_norm=0.05)),
    Case("gqa_head_dim", "head_dim that is not hidden_size / heads", config={**GQA, "head_dim": 16}),
    Case("tied", "the head is the embedding", config={**GQA, "tie_word_embeddings": True}),
    Case("odd", "sizes that are no multiple of any tile; an epsilon large enough to matter",
         sequence_length=13, rows=((Segment(13),), (Segment(13, prompt=4),), (Segment(11),)),
         config={"hidden_size": 40, "intermediate_size": 44, "num_key_value_heads": 2, "vocab_size": 101,
                 "rms_norm_eps": 3e-3},
         adapter=Adapter(rank=3, alpha=5)),
    Case("rope_linear", "linear rope scaling, spelled with `type` as old checkpoints do",
         sequence_length=48, rows=((Segment(48),),),
         config={**GQA, "rope_scaling": {"type": "linear", "factor": 4.0}}),
    Case("rope_llama3", "llama3 rope scaling with frequencies in all three of its ranges",
         sequence_length=80, rows=((Segment(80),),),
         config={**WIDE_HEADS, "rope_theta": 500000.0, "rope_scaling": LLAMA3}),
    Case("rope_parameters", "the same scaling in the one `rope_parameters` object that Transformers 5 writes",
         sequence_length=80, rows=((Segment(80),),),
         config={**WIDE_HEADS, "rope_parameters": {**LLAMA3, "rope_theta": 500000.0}}),
    Case("targets", "an adapter on q_proj and v_proj alone; other Adam constants",
         config=GQA, adapter=Adapter(rank=4, alpha=16, targets=("q_proj", "v_proj")),
         training=Training(betas=(0.8, 0.95), eps=1e-3)),
    Case("rslora", "scaling alpha / sqrt(rank)", adapter=Adapter(rank=3, alpha=2, rslora=True)),
    Case("patterns", "ranks and alphas by pattern; a linear that one layer of three adapts, and a layer without any",
         config={**GQA, "num_hidden_layers": 3},
         adapter=Adapter(rank=2, alpha=4,
                         targets=("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "model.layers.0.self_attn.v_proj",
                                  "model.layers.1.self_attn.v_proj", "model.layers.0.mlp.up_proj",
                                  "model.layers.1.mlp.up_proj", "model.layers.1.mlp.down_proj"),
                         rank_pattern={"model.layers.1.self_attn.q_proj": 5, "v_proj": 3},
                         alpha_pattern={"(layers.0.mlp.up|layers.1.self_attn.v)_proj": 7})),
    Case("packing", "several segments a row, one of a single token", config=GQA, sequence_length=24,
         rows=((Segment(9, prompt=2), Segment(8), Segment(7, prompt=3)), (Segment(1), Segment(20), Segment(3)))),
    Case("padding", "padded rows, and a row that is nothing but padding",
         rows=((Segment(16),), (Segment(5, prompt=1),), (Segment(10),), ())),
    Case("accumulation", "the mean is over the step's tokens: rows with 15, 1, 7 and 3 supervised tokens", config=GQA,
         rows=((Segment(16),), (Segment(16, prompt=14),), (Segment(10, prompt=2),), (Segment(16, prompt=12),))),
    Case("curve", "the losses of 300 steps, at a learning rate at which two roundings of one training stay together",
         config=GQA, training=Training(learning_rate=5e-4), curve_steps=300,
         rows=((Segment(16),), (Segment(16, prompt=14),), (Segment(10, prompt=2),), (Segment(16, prompt=12),))),
    Case("mistral", "a Mistral config whose sliding window is no shorter than the sequence",
         config={**GQA, "architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 16}),
    Case("bf16_shards", "bfloat16 weights in two shards with an index", sequence_length=32,
         rows=((Segment(32, prompt=6),), (Segment(32),), (Segment(24),), (Segment(32, prompt=16),)),
         config=LARGER, adapter=Adapter(rank=4, alpha=8),
         stored=torch.bfloat16, shards=2, precisions=("f32", "bf16"), batches=6),
    Case("bf16_packing", "bfloat16 weights, grouped-query attention, packed rows", sequence_length=32,
         rows=((Segment(20), Segment(12, prompt=4)), (Segment(7), Segment(25)), (Segment(32),), (Segment(15),)),
         config={**LARGER, **GQA, "num_hidden_layers": 3}, adapter=Adapter(rank=3, alpha=8),
         stored=torch.bfloat16, precisions=("f32", "bf16"), batches=6),
    Case("fp16", "float16 weights", sequence_length=32,
         rows=((Segment(32, prompt=6),), (Segment(32),), (Segment(24),), (Segment(32, prompt=16),)),
         config={**LARGER, **GQA}, adapter=Adapter(rank=4, alpha=8),
         stored=torch.float16, precisions=("f32", "fp16", "bf16"), batches=6),
)


def generator(case: Case, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(f"{case.name}/{purpose}".encode()))


def make_row(row: Row, length: int, vocab: int, rng: torch.Generator) -> dict[str, list[int]]:
    """Tokens, already shifted labels, positions and segment starts of one row, each `length` long."""
    used = sum(segment.tokens for segment in row)
    assert used <= length, "the segments are longer than the row"
    tokens, labels, positions, starts = [], [], [], []
    for segment in row:
        ids = torch.randint(vocab, (segment.tokens,), generator=rng).tolist()
        starts += [len(tokens)] * segment.tokens
        positions += range(segment.tokens)
        labels += [IGNORED if t < segment.prompt else ids[t + 1] for t in range(segment.tokens - 1)] + [IGNORED]
        tokens += ids
    padding = length - used
    return {
        "tokens": tokens + [0] * padding,
        "labels": labels + [IGNORED] * padding,
        "positions": positions + list(range(padding)),
        "segment_start": starts + [used] * padding,
    }


def describe(case: Case) -> dict:
    """The contents of case.json."""
    rng = generator(case, "batches")
    vocab = {**PUBLISHED, **case.config}["vocab_size"]
    batches = [[make_row(row, case.sequence_length, vocab, rng) for row in case.rows] for _ in range(case.batches)]
    return {
        "name": case.name,
        "proves": case.proves,
        "precisions": case.precisions,
        "sequence_length": case.sequence_length,
        "adapter": {key: value for key, value in asdict(case.adapter).items() if value != {}},
        "training": asdict(case.training),
        **({"curve_steps": case.curve_steps} if case.curve_steps else {}),
        "batches": batches,
    }


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_case_json(path: Path, case: Case) -> None:
    """One line a batch row, so that the file can be read and its diffs reviewed."""
    value = describe(case)
    rows = [",\n".join("    " + json.dumps(row) for row in batch) for batch in value.pop("batches")]
    head = json.dumps(value, indent=2).removesuffix("\n}")
    path.write_text(head + ',\n  "batches": [[\n' + "\n  ], [\n".join(rows) + "\n  ]]\n}\n")


def write_model(directory: Path, case: Case) -> None:
    """Writes config.json and the weights: large enough that every gradient is alive, norm weights away from 1."""
    from transformers import AutoConfig, AutoModelForCausalLM

    directory.mkdir(parents=True)
    config = {**PUBLISHED, **case.config, "torch_dtype": str(case.stored).removeprefix("torch.")}
    if "rope_parameters" in config:
        del config["rope_theta"], config["rope_scaling"]
    write_json(directory / "config.json", config)

    rng = generator(case, "weights")
    shapes = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory)).state_dict()
    weights = {}
    for name in sorted(shapes):
        if name == "lm_head.weight" and config["tie_word_embeddings"]:
            continue
        noise = torch.randn(shapes[name].shape, generator=rng)
        if noise.dim() == 1:
            weight = 1 + 0.2 * noise
        else:
            weight = noise * (0.6 if "embed" in name else 1.2 / noise.shape[1] ** 0.5)
        weights[name] = weight.to(case.stored).contiguous()

    metadata = {"format": "pt"}
    if case.shards == 1:
        save_file(weights, directory / "model.safetensors", metadata)
        return
    # Neighbouring names share a shard, as in published checkpoints: a layer may be cut in two.
    names, index = sorted(weights), {}
    for shard in range(case.shards):
        mine = names[shard * len(names) // case.shards : (shard + 1) * len(names) // case.shards]
        file = f"model-{shard + 1:05}-of-{case.shards:05}.safetensors"
        save_file({name: weights[name] for name in mine}, directory / file, metadata)
        index |= dict.fromkeys(mine, file)
    size = sum(w.numel() * w.element_size() for w in weights.values())
    write_json(directory / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": index})


def write_adapter(directory: Path, model: Path, case: Case) -> None:
    """Writes a PEFT adapter with random A and random B (with PEFT's own B = 0 no gradient would reach A)."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=case.adapter.rank,
        lora_alpha=case.adapter.alpha,
        use_rslora=case.adapter.rslora,
        target_modules=list(case.adapter.targets),
        rank_pattern=case.adapter.rank_pattern,
        alpha_pattern=case.adapter.alpha_pattern,
        lora_dropout=0.0,
        bias="none",
    )
    peft = get_peft_model(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), lora)
    rng = generator(case, "adapter")
    for name, parameter in sorted(peft.named_parameters()):
        if parameter.requires_grad:
            scale = 1 / parameter.shape[1] ** 0.5 if "lora_A" in name else 0.2
            parameter.data = scale * torch.randn(parameter.shape, generator=rng)
    peft.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    # The base path would name this machine, and the order of a set is not the same in every process.
    config = json.loads((directory / "adapter_config.json").read_text())
    config |= {"base_model_name_or_path": "../model", "target_modules": sorted(config["target_modules"])}
    write_json(directory / "adapter_config.json", config)
