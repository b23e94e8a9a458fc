"""Answers held-out questions greedily with Transformers, and with PEFT where an adapter is named.

    python answer.py MODEL HELD_OUT.jsonl [--adapter DIR] [--template lema-reply.jinja] > answers.jsonl

Without a template the questions are put in the tokenizer's own, which is plain prose, without a system prompt; with one,
all messages before the reply are rendered. score.ts reads what this writes.
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

BATCH = 25
NEW_TOKENS = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--template", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model, padding_side="left")
    tokenizer.pad_token = tokenizer.eos_token
    template = arguments.template.read_text() if arguments.template else None
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    if arguments.adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, arguments.adapter)
    model.eval()
    rows = [json.loads(line) for line in arguments.held_out.read_text().splitlines()]
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        prompts = [
            tokenizer.apply_chat_template(
                row["messages"][0 if template else 1 : 2],
                chat_template=template,
                add_generation_prompt=True,
                tokenize=False,
            )
            for row in batch
        ]
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.inference_mode():
            out = model.generate(**inputs, do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=tokenizer.eos_token_id)
        for row, ids in zip(batch, out[:, inputs["input_ids"].shape[1] :]):
            reply = tokenizer.decode(ids, skip_special_tokens=True)
            answered = {"question": row["messages"][1]["content"], "expected": row["answer"], "reply": reply, "topic": row["topic"]}
            print(json.dumps(answered, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
