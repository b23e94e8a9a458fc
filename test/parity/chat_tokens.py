"""What Transformers makes of conversations: test/golden/data/, with three small tokenizers beside it.

`test/data/transformers-parity.test.ts` and `test/chat/token-stream.test.ts` compare lema with it id by id, without Python.

    python test/parity/chat_tokens.py           writes the golden and its tokenizers
    python test/parity/chat_tokens.py --check   makes the golden anew from them and compares
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "test" / "golden" / "data"
GOLDEN = OUT / "transformers.json"
LEMA_MINI = ROOT / "assets" / "lema-mini"

CORPUS = [
    "You are a precise assistant trained using LEMA.",
    "<|system|>\n\n<|user|>\n\n<|assistant|>\n[LEMA_REPLY]\nAnswer: Paris\nExplanation: Paris is the capital.\n",
    "Confidence: High\n[/LEMA_REPLY]\n<|im_start|>user<|im_end|>\n[INST] <<SYS>> <</SYS>> [/INST]",
    "What is the capital of France? The capital of France is Paris. It lies on the Seine.",
    "What is the boiling point of water? Water boils at 100 degrees at sea level, 212 in Fahrenheit.",
    "How many planets are there? There are eight planets; Neptune is the farthest from the sun.",
    "Größe, café, naïve, 東京, ünïcödé.",
] * 4

# The pattern that Llama 3 splits words by.
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Handlebars of a Qwen-like template with generation blocks, and of a Zephyr-like one that has no BOS.
GENERATION = (
    "{{ bos_token }}{% for message in messages %}\n"
    "    {%- if message['role'] == 'assistant' %}\n"
    "        {{- '<|im_start|>assistant\\n' }}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}\n"
    "        {{- '\\n' }}\n"
    "    {%- else %}\n"
    "        {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\n"
    "    {%- endif %}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n"
    "    {{- '<|im_start|>assistant\\n' }}\n"
    "{%- endif %}\n"
)
ZEPHYR = (
    "{% for message in messages %}\n"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token }}\n"
    "{% if loop.last and add_generation_prompt %}\n"
    "{{ '<|assistant|>' }}\n"
    "{% endif %}\n"
    "{% endfor %}\n"
)

SYSTEM = {"role": "system", "content": "  Answer in one word. "}
CONVERSATIONS = {
    "short": [
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "[LEMA_REPLY]\nAnswer: Paris\nConfidence: High\n[/LEMA_REPLY]"},
    ],
    "turns": [
        SYSTEM,
        {"role": "user", "content": "How many planets are there?\n"},
        {"role": "assistant", "content": " Eight.\n\n"},
        {"role": "user", "content": "Größe 東京 🚀 12345?"},
        {"role": "assistant", "content": "café – naïve 😀\u200d😀 \t end"},
    ],
    "reply": [
        {"role": "user", "content": "What is the capital of Peru?"},
        {
            "role": "assistant",
            "content": "[LEMA_REPLY]\nAnswer: Lima\nExplanation: Lima is the capital of Peru.\nConfidence: High\n[/LEMA_REPLY]",
        },
        {"role": "user", "content": "And of Iceland?"},
        {
            "role": "assistant",
            "content": "[LEMA_REPLY]\nAnswer: Reykjavík\nExplanation: It lies on a bay.\nConfidence: Low\n[/LEMA_REPLY]",
        },
        {"role": "user", "content": "Thanks."},
        {"role": "assistant", "content": "You are welcome."},
    ],
}
TEXTS = ["Hello  world", " leading", "trailing \n\n", "a</s>b <s> c", "<|eot_id|>\n\nx", "", "\n", "ﬁ é e\u0301"]


def byte_level() -> Tokenizer:
    """Llama 3's kind: byte-level BPE, BOS by the post-processor."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=480, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    bos = ("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{bos[0]} $A", pair=f"{bos[0]} $A {bos[0]}:1 $B:1", special_tokens=[bos]),
        ]
    )
    return tokenizer


def sentencepiece() -> Tokenizer:
    """Llama 2's kind: BPE over text with ▁ for spaces and a token for each byte, in the layout of its conversion."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=260, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    # A character of the corpus that is left out must come back as bytes.
    tokens += [token for token in model["vocab"] if "ü" not in token]
    merges = [tuple(pair) for pair in model["merges"] if "ü" not in "".join(pair)]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def metaspace() -> Tokenizer:
    """The newer layout of the same: spaces by the pre-tokenizer, one in front of the text only."""
    tokenizer = sentencepiece()
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return tokenizer


TOKENIZERS = {
    "byte-level": (byte_level, {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}),
    "sentencepiece": (sentencepiece, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
    "metaspace": (metaspace, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
}


def builtin_templates() -> dict[str, str]:
    script = 'import("./data/builtin-templates.ts").then((m) => console.log(JSON.stringify([...m.builtinTemplates])))'
    output = subprocess.run(["npx", "tsx", "-e", script], cwd=ROOT, check=True, capture_output=True, text=True)
    return dict(json.loads(output.stdout))


def chat_case(tokenizer, template: str, messages: list) -> dict:
    def ids(**options):
        return tokenizer.apply_chat_template(messages, chat_template=template, return_dict=False, **options)

    case = {
        "text": ids(tokenize=False),
        "ids": ids(),
        # What each reply is generated from.
        "prompts": [
            tokenizer.apply_chat_template(
                messages[:turn], chat_template=template, return_dict=False, add_generation_prompt=True
            )
            for turn, message in enumerate(messages)
            if message["role"] == "assistant"
        ],
    }
    if "generation" in template.replace("add_generation_prompt", ""):
        masked = tokenizer.apply_chat_template(
            messages, chat_template=template, return_dict=True, return_assistant_tokens_mask=True
        )
        case["assistant_mask"] = masked["assistant_masks"]
    return case


def save_tokenizers() -> None:
    for name, (build, config) in TOKENIZERS.items():
        directory = OUT / name
        directory.mkdir(parents=True, exist_ok=True)
        build().save(str(directory / "tokenizer.json"), pretty=False)
        config = {**config, "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def make() -> str:
    templates = {**builtin_templates(), "generation": GENERATION, "zephyr": ZEPHYR}
    golden = {"templates": templates, "conversations": CONVERSATIONS, "chat": [], "text": []}
    for name, directory in {**{name: OUT / name for name in TOKENIZERS}, "lema-mini": LEMA_MINI}.items():
        tokenizer = AutoTokenizer.from_pretrained(directory)
        own = {} if tokenizer.chat_template is None else {"tokenizer": tokenizer.chat_template}
        for template, source in {**templates, **own}.items():
            for conversation, messages in CONVERSATIONS.items():
                case = chat_case(tokenizer, source, messages)
                golden["chat"].append(
                    {"tokenizer": name, "template": template, "conversation": conversation, **case}
                )
        for text in TEXTS:
            golden["text"].append({"tokenizer": name, "text": text, "ids": tokenizer(text)["input_ids"]})
    return json.dumps(golden, ensure_ascii=True) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed golden instead of writing it")
    if not parser.parse_args().check:
        save_tokenizers()
        GOLDEN.write_text(make())
        return 0
    same = GOLDEN.read_text() == make()
    print("chat tokens: the same ids" if same else "FAIL chat tokens: Transformers gives other ids")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
