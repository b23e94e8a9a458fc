"""What Transformers' logits processors leave of a distribution: the chances that lema's sampling must give.

    python test/parity/sampling.py           writes test/golden/sampling.json
    python test/parity/sampling.py --check   makes it anew and compares
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

GOLDEN = Path(__file__).parent.parent / "golden" / "sampling.json"
VOCABULARY = 40
# temperature, top_k, top_p, min_p, repetition_penalty
SETTINGS = [
    (1.0, None, 1.0, 0.0, 1.0),
    (0.3, None, 1.0, 0.0, 1.0),
    (2.0, 7, 1.0, 0.0, 1.0),
    (1.0, 1, 1.0, 0.0, 1.0),
    (1.0, 100, 1.0, 0.0, 1.0),
    (1.0, None, 0.9, 0.0, 1.0),
    (1.5, None, 0.2, 0.0, 1.0),
    (1.0, None, 0.01, 0.0, 1.0),
    (1.0, None, 1.0, 0.1, 1.0),
    (1.3, None, 1.0, 1.0, 1.0),
    (1.0, None, 1.0, 0.0, 1.7),
    (0.8, 20, 0.8, 0.05, 1.2),
    (1.9, 12, 0.6, 0.3, 0.8),
]


def chances(logits: torch.Tensor, before: list[int], setting: tuple) -> list[list[float]]:
    temperature, top_k, top_p, min_p, penalty = setting
    # In the order in which GenerationMixin puts them.
    processors = LogitsProcessorList()
    if penalty != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(penalty))
    if temperature != 1.0:
        processors.append(TemperatureLogitsWarper(temperature))
    if top_k is not None:
        processors.append(TopKLogitsWarper(top_k))
    if top_p < 1.0:
        processors.append(TopPLogitsWarper(top_p))
    if min_p > 0.0:
        processors.append(MinPLogitsWarper(min_p))
    scores = processors(torch.tensor([before]), logits[None].double())[0]
    probabilities = scores.softmax(0)
    kept = [[token, probabilities[token].item()] for token in range(VOCABULARY) if probabilities[token] > 0]
    kept.sort(key=lambda pair: (-pair[1], pair[0]))
    return [[token, float(f"{probability:.9e}")] for token, probability in kept]


def make() -> str:
    rng = torch.Generator().manual_seed(7)
    made = []
    for setting in SETTINGS:
        logits = (3 * torch.randn(VOCABULARY, generator=rng)).round(decimals=3)
        before = torch.randint(0, VOCABULARY, (6,), generator=rng).tolist()
        names = ("temperature", "topK", "topP", "minP", "repetitionPenalty")
        made.append(
            {
                "sampling": dict(zip(names, setting)),
                "logits": [round(value, 3) for value in logits.tolist()],
                "before": before + before[:2],
                "chances": chances(logits, before + before[:2], setting),
            }
        )
    return "[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in made) + "\n]\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed golden instead of writing it")
    check = parser.parse_args().check
    made = make()
    if not check:
        GOLDEN.write_text(made)
        return 0
    same = GOLDEN.read_text() == made
    print("sampling.json: the same chances" if same else "FAIL sampling.json: Transformers gives other chances")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
