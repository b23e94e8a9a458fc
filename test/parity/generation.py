"""Greedy generation of Transformers + PEFT in float32: the tokens that lema's decode must give, one by one.

    python test/parity/generation.py           writes test/golden/generation.json
    python test/parity/generation.py --check   makes it anew and compares

To check one, no token need be fed alone: that each is the best behind those before it is seen in one pass over them all.

For cases of the parity suite, with the adapter applied unmerged and with the base model alone: several prompts, and 200
tokens after each. No step is a close call: the best logit leads by more than rounding could take from it.
"""

import argparse
import json
import sys
from pathlib import Path

import training  # first: it fixes how torch computes
import torch

GOLDEN = Path(__file__).parent.parent / "golden"
# All that differ in what generates: shapes, rotation, how weights are stored, where adapters sit. Others repeat one of these
# with other data or another training; `mistral` attends to 16 tokens only.
CASES = ("base", "bf16_shards", "fp16", "gqa", "gqa_head_dim", "odd", "patterns", "rope_linear", "rope_llama3",
         "rope_parameters", "rslora", "targets", "tied")
NEW_TOKENS = 200
PROMPT_LENGTHS = (1, 5, 33, 17)
PROMPTS = 3
# Logits are of order 1 and computed within 1e-5.
LEAD = 1e-3


def generate(
    model: torch.nn.Module, prompt: list[int], count: int = NEW_TOKENS, lead: float = LEAD
) -> list[int] | None:
    """The greedy continuation, or None where some step is a close call."""
    tokens, cache, fed = [], None, prompt
    with torch.no_grad():
        while len(tokens) < count:
            result = model(input_ids=torch.tensor([fed]), past_key_values=cache, use_cache=True)
            cache = result.past_key_values
            best = result.logits[0, -1].topk(2)
            if best.values[0] - best.values[1] < lead:
                return None
            fed = [best.indices[0].item()]
            tokens += fed
    return tokens


def follows(model: torch.nn.Module, prompt: list[int], tokens: list[int], lead: float = LEAD) -> bool:
    """Whether `tokens` are the greedy continuation, none of them a close call."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + tokens[:-1]]), use_cache=False).logits[0, len(prompt) - 1 :]
    best = logits.topk(2)
    led = (best.values[:, 0] - best.values[:, 1] >= lead).all()
    return bool(led) and best.indices[:, 0].tolist() == tokens


def continuations(
    model: torch.nn.Module,
    vocabulary: int,
    seed: int,
    count: int = NEW_TOKENS,
    lead: float = LEAD,
    claimed: list[dict[str, list[int]]] = [],
) -> list[dict[str, list[int]]]:
    """`claimed` is what there may be already; a continuation in it that holds is taken, any other is made."""
    rng = torch.Generator().manual_seed(seed)
    found: list[dict[str, list[int]]] = []
    while len(found) < PROMPTS:
        length = PROMPT_LENGTHS[len(found) % len(PROMPT_LENGTHS)]
        prompt = torch.randint(3, vocabulary, (length,), generator=rng).tolist()
        claim = next((one["tokens"] for one in claimed if one["prompt"] == prompt), [])
        holds = len(claim) == count and follows(model, prompt, claim, lead)
        tokens = claim if holds else generate(model, prompt, count, lead)
        if tokens is not None:
            found.append({"prompt": prompt, "tokens": tokens})
    return found


def make(claimed: dict[str, dict[str, list]]) -> str:
    golden = {}
    for name in CASES:
        directory = GOLDEN / "parity" / name
        model = training.load(directory / "model", directory / "adapter", "f32").eval()
        vocabulary = model.config.vocab_size
        claims = claimed.get(name, {})
        golden[name] = {"adapter": continuations(model, vocabulary, seed=1, claimed=claims.get("adapter", []))}
        with model.disable_adapter():
            golden[name]["base"] = continuations(model, vocabulary, seed=2, claimed=claims.get("base", []))
        for kind, made in golden[name].items():
            variety = [len(set(one["tokens"])) for one in made]
            print(f"{name} {kind}: {variety} different tokens", file=sys.stderr)
    text = json.dumps(golden, separators=(",", ":"))
    return text.replace('{"prompt', '\n{"prompt') + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed golden instead of writing it")
    check = parser.parse_args().check
    training.make_deterministic()
    file = GOLDEN / "generation.json"
    made = make(json.loads(file.read_text()) if check else {})
    if not check:
        file.write_text(made)
        return 0
    same = file.read_text() == made
    print("generation.json: the same tokens" if same else "FAIL generation.json: Transformers gives other tokens")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
