"""Every check of the suite that asks nothing of lema, one after the other in one process: importing torch and
Transformers takes longer than most of them.

    python test/parity/check.py
"""

import sys

import training  # first: it fixes how torch computes

import adamw
import chat_replies
import chat_tokens
import compare
import generation
import merge
import reference
import sampling


def main() -> int:
    training.make_deterministic()
    failed = []
    for module, argument in (
        (reference, "--check"),
        (adamw, "--check"),
        (generation, "--check"),
        (sampling, "--check"),
        (chat_tokens, "--check"),
        (chat_replies, "--check"),
        (merge, "--check"),
        (compare, "--self-test"),
    ):
        command = f"{module.__name__}.py {argument}"
        print(f"\n{command}", flush=True)
        sys.argv = command.split()
        if module.main() != 0:
            failed.append(command)
    print("".join(f"FAIL {command}\n" for command in failed), end="", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
