"""Trains the base model of assets/lema-mini from the text that corpus.ts writes. See README.md beside it.

    python train.py corpus.jsonl OUT

A byte-level BPE tokenizer and a Llama of 1.9 million parameters, both from nothing, in one run of about a quarter of an
hour on two cores. Seeded; the same versions on the same processor give the same bytes.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM

SEED = 7
VOCABULARY = 1280
BOS, EOS = "<s>", "</s>"
ROW = 192
ROWS_A_STEP = 14
PEAK_RATE = 3e-3
WARMUP = 0.03
IGNORED = -100

CONFIG = dict(
    vocab_size=VOCABULARY,
    hidden_size=128,
    intermediate_size=320,
    num_hidden_layers=10,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=32,
    max_position_embeddings=1024,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    tie_word_embeddings=True,
    bos_token_id=0,
    eos_token_id=1,
)

# What the model reads: an optional request, then questions and answers. A closing </s> belongs to the answer.
CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}{{- '\\n' + message['content'] + eos_token -}}"
    "{%- else -%}{{- ('' if loop.first else '\\n\\n') + message['content'] -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '\\n' -}}{%- endif -%}"
)


def train_tokenizer(texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text.replace(EOS, "") for text in texts), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS}:1 $B:1", special_tokens=[(BOS, 0)]
    )
    assert tokenizer.get_vocab_size() == VOCABULARY
    return tokenizer


def pack(documents: list[list[int]], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Whole documents side by side in rows of ROW tokens, in an order of its own; (tokens, labels), both [rows, ROW]."""
    rows: list[list[int]] = [[]]
    for index in torch.randperm(len(documents), generator=generator).tolist():
        document = documents[index]
        assert len(document) <= ROW
        if len(rows[-1]) + len(document) > ROW:
            rows.append([])
        rows[-1].extend(document)
    tokens = torch.ones(len(rows), ROW, dtype=torch.long)
    labels = torch.full((len(rows), ROW), IGNORED)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = labels[i, : len(row)] = torch.tensor(row)
    labels[tokens == 0] = IGNORED  # Where a text begins cannot be foretold.
    return tokens, labels


def rate(done: float) -> float:
    """Linear warm-up, then a cosine to nothing; `done` in [0, 1]."""
    return min(done / WARMUP, 0.5 * (1 + math.cos(math.pi * done)))


def train(documents: list[list[int]], epochs: int) -> LlamaForCausalLM:
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = LlamaForCausalLM(LlamaConfig(**CONFIG, attn_implementation="eager"))
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
        lr=PEAK_RATE,
        betas=(0.9, 0.95),
    )
    started = time.monotonic()
    for epoch in range(epochs):
        tokens, labels = pack(documents, generator)
        batches = len(tokens) // ROWS_A_STEP
        total = 0.0
        for batch in range(batches):
            for group in optimizer.param_groups:
                group["lr"] = PEAK_RATE * rate((epoch + (batch + 1) / batches) / epochs)
            rows = slice(batch * ROWS_A_STEP, (batch + 1) * ROWS_A_STEP)
            loss = model(input_ids=tokens[rows], labels=labels[rows]).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total += loss.item()
            if batch % 50 == 49:
                seconds = time.monotonic() - started
                print(f"epoch {epoch + 1} batch {batch + 1}/{batches} loss {total / (batch + 1):.4f} {seconds:.0f} s", flush=True)
    return model


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: w.contiguous() for name, w in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", **CONFIG}
    config |= {"attention_bias": False, "mlp_bias": False, "torch_dtype": "float32"}
    special = {"bos_token": BOS, "eos_token": EOS, "add_bos_token": True, "clean_up_tokenization_spaces": False}
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "model_max_length": CONFIG["max_position_embeddings"],
        "chat_template": CHAT_TEMPLATE,
    }
    for name, content in {
        "config.json": config,
        "generation_config.json": {"bos_token_id": 0, "eos_token_id": 1},
        "tokenizer_config.json": tokenizer_config,
    }.items():
        (out / name).write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    texts = [json.loads(line) for line in arguments.corpus.read_text().splitlines()]
    tokenizer = train_tokenizer(texts)
    documents = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    longest = max(map(len, documents))
    print(f"{len(texts)} texts, {sum(map(len, documents))} tokens, the longest {longest}", flush=True)
    save(train(documents, arguments.epochs), tokenizer, arguments.out)


if __name__ == "__main__":
    main()
