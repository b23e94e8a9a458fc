"""What Transformers replies, greedily, in conversations of several turns with the small Llama that ships.

    python test/parity/chat_replies.py           writes test/golden/chat-replies.json
    python test/parity/chat_replies.py --check   makes it anew and compares

Each turn is generated from the whole conversation as `apply_chat_template` gives it; lema goes on from what its cache
holds (test/end-to-end/chat.test.ts).
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "assets" / "lema-mini"
GOLDEN = ROOT / "test" / "golden" / "chat-replies.json"
TEMPLATES = ROOT / "test" / "golden" / "data" / "transformers.json"
NEW_TOKENS = 60
QUESTIONS = ["What is the capital of Peru?", "Who wrote Hamlet?", "Name the chemical symbol of gold.", "And of tin?"]
# The chat template, and the system prompt.
CASES = [("tokenizer", None), ("tokenizer", "Answer in a few words."), ("lema-reply", None), ("chatml", None)]


def converse(model, tokenizer, template: str | None, system: str | None) -> list[dict]:
    messages = [] if system is None else [{"role": "system", "content": system}]
    turns = []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        prompt = tokenizer.apply_chat_template(
            messages, chat_template=template, add_generation_prompt=True, return_dict=False
        )
        if prompt[0] != tokenizer.bos_token_id:
            prompt = [tokenizer.bos_token_id, *prompt]
        with torch.inference_mode():
            out = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                do_sample=False,
                max_new_tokens=NEW_TOKENS,
                pad_token_id=tokenizer.eos_token_id,
            )
        reply = tokenizer.decode(out[0, len(prompt) :], skip_special_tokens=True)
        turns.append({"question": question, "prompt_tokens": len(prompt), "reply": reply})
        messages.append({"role": "assistant", "content": reply})
    return turns


def make() -> str:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    sources = json.loads(TEMPLATES.read_text())["templates"]
    made = [
        {"template": name, "system": system, "turns": converse(model, tokenizer, sources.get(name), system)}
        for name, system in CASES
    ]
    return json.dumps(made, indent=1, ensure_ascii=True) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed golden instead of writing it")
    if not parser.parse_args().check:
        GOLDEN.write_text(make())
        return 0
    same = GOLDEN.read_text() == make()
    print("chat-replies.json: the same replies" if same else "FAIL chat-replies.json: Transformers replies otherwise")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
