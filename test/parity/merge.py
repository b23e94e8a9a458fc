"""Proves that what `lema merge` writes is PEFT's own merge: every tensor, the dtypes, and the logits.

    python test/parity/merge.py --write             writes test/golden/merge from PEFT
    python test/parity/merge.py --check             fails when PEFT no longer gives the committed files
    python test/parity/merge.py --lema COMMAND      merges the cases with `COMMAND merge` and compares

Each merged weight must be the one that PEFT's merge_and_unload gives in float64, rounded once to the dtype it is stored
in: no farther from it than half the distance between neighbouring numbers there, plus what one float32 rounding moves.
Loaded with AutoModelForCausalLM, without PEFT, the float32 model must give the logits of base + adapter.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import training  # first: it fixes how torch computes
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import generation
from cases import write_json
from precision import relative

PARITY = Path(__file__).parent.parent / "golden" / "parity"
GOLDEN = PARITY.parent / "merge"
LOGITS = 2e-5

# Adapters that only merging takes: ranks, scalings and layers that differ from module to module.
VARIANTS = {
    "patterns": ("gqa", dict(
        r=2, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj", "gate_proj"],
        rank_pattern={"down_proj": 5, r"layers\.1\.self_attn\.q_proj": 3},
        alpha_pattern={"v_proj": 1, "^model.layers.0.mlp.*": 9})),
    "rslora_patterns": ("gqa", dict(
        r=4, lora_alpha=3, use_rslora=True, target_modules="all-linear",
        rank_pattern={r"(up|gate)_proj": 1}, alpha_pattern={"o_proj": 16})),
    "layers": ("tied", dict(r=3, lora_alpha=5, target_modules=["k_proj", "up_proj"], layers_to_transform=[1])),
}
# Greedy tokens of merged models whose weights are rounded to float16: what an engine that stores them so must give. It
# also computes in float16, so a step counts only where the best logit leads by more than that moves.
GREEDY_CASES = ("base", "gqa_head_dim", "rope_linear", "rope_llama3", "tied")
GREEDY = dict(seed=2, count=48, lead=0.05)
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def write_variant(directory: Path, name: str) -> None:
    model, settings = VARIANTS[name]
    base = AutoModelForCausalLM.from_pretrained(PARITY / model / "model", dtype=torch.float32)
    peft = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, bias="none", **settings))
    rng = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    for parameter_name, parameter in sorted(peft.named_parameters()):
        if parameter.requires_grad:
            scale = 1 / parameter.shape[1] ** 0.5 if "lora_A" in parameter_name else 0.2
            parameter.data = scale * torch.randn(parameter.shape, generator=rng)
    peft.save_pretrained(directory / "adapter")
    (directory / "adapter" / "README.md").unlink(missing_ok=True)
    path = directory / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": f"../../../parity/{model}/model"}
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    write_json(path, config)
    merged = exact_merge(PARITY / model / "model", directory / "adapter")
    save_file({key: value.float().contiguous() for key, value in merged.items()}, directory / "merged.safetensors",
              {"format": "pt"})


def write_greedy(path: Path) -> None:
    golden = {}
    for name in GREEDY_CASES:
        model = training.load(PARITY / name / "model", PARITY / name / "adapter", "f32").merge_and_unload()
        model = model.half().float().eval()
        golden[name] = generation.continuations(model, model.config.vocab_size, **GREEDY)
    path.write_text(json.dumps(golden) + "\n")


def load_base(model: Path, dtype: torch.dtype) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(model, dtype=dtype, attn_implementation="eager")


def exact_merge(model: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """merge_and_unload in float64."""
    peft = PeftModel.from_pretrained(load_base(model, torch.float32), adapter).double()
    state = peft.merge_and_unload().state_dict()
    on_disk = {name for file in model.glob("*.safetensors") for name in load_file(file)}
    return {name: value for name, value in state.items() if name in on_disk}


def distance_in_roundings(merged: torch.Tensor, exact: torch.Tensor) -> float:
    """How far `merged` is from `exact`, in units of what rounding once may move it: at most 1 where all is well."""
    dtype = merged.dtype
    magnitude = exact.abs().clamp(min=torch.finfo(dtype).smallest_normal)
    ulp = torch.finfo(dtype).eps * 2 ** magnitude.log2().floor()
    allowed = ulp / 2 + (0 if dtype == torch.float32 else magnitude * 2**-23)
    return ((merged.double() - exact).abs() / allowed).max().item()


def compare(model: Path, adapter: Path, row: dict, dtype: str, shard_size: str, command: list[str]) -> list[str]:
    """Every way in which lema's merge is not PEFT's."""
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "merged"
        subprocess.run([*command, "merge", adapter, "-o", output, "--base", model, "--dtype", dtype,
                        "--max-shard-size", shard_size], check=True, stdout=subprocess.DEVNULL)
        files = sorted(output.glob("*.safetensors"))
        merged = {name: value for file in files for name, value in load_file(file).items()}
        exact = exact_merge(model, adapter)
        if merged.keys() != exact.keys():
            problems.append(f"other tensors: {sorted(merged.keys() ^ exact.keys())}")
        worst = 0.0
        for name in merged.keys() & exact.keys():
            if merged[name].dtype != DTYPES[dtype]:
                problems.append(f"{name} is {merged[name].dtype}")
            worst = max(worst, distance_in_roundings(merged[name], exact[name]))
        # 1 and what float64 itself rounds in the reference.
        if not worst <= 1 + 1e-6:
            problems.append(f"a weight is {worst:.3f} roundings from PEFT's")
        loaded, info = AutoModelForCausalLM.from_pretrained(
            output, dtype="auto", attn_implementation="eager", output_loading_info=True)
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            if info[kind]:
                problems.append(f"{kind}: {info[kind]}")
        if loaded.dtype != DTYPES[dtype]:
            problems.append(f"config.json makes Transformers load {loaded.dtype}")
        with torch.no_grad():
            reference = PeftModel.from_pretrained(load_base(model, torch.float32), adapter)
            distance = relative(training.logits_of(loaded.requires_grad_(False), row).float(), training.logits_of(reference, row).float())
        if dtype == "f32" and not distance <= LOGITS:
            problems.append(f"logits are {distance:.1e} from PEFT's, allowed {LOGITS:.0e}")
        print(f"{adapter.parent.name} {dtype}: {len(files)} file(s), weights {worst:.3f} roundings, "
              f"logits {distance:.1e} from PEFT's")
    return [f"{adapter.parent.name} {dtype}: {problem}" for problem in problems]


def self_test() -> list[str]:
    """The measure sees a weight that is the neighbour of the right one, and one rounded twice."""
    exact = torch.tensor([1 + 2**-9, 3.7], dtype=torch.float64)
    right = exact.to(torch.bfloat16)
    beside = (right.view(torch.int16) + 1).view(torch.bfloat16)
    seen = distance_in_roundings(right, exact) <= 1 < distance_in_roundings(beside, exact)
    return [] if seen else ["the measure does not see a neighbouring weight"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    action.add_argument("--lema", type=shlex.split, metavar="COMMAND")
    arguments = parser.parse_args()
    training.make_deterministic()
    problems = self_test()
    if arguments.lema:
        for name in ("base", "gqa", "tied", "targets", "rslora", "bf16_shards", "fp16"):
            row = json.loads((PARITY / name / "case.json").read_text())["batches"][0][0]
            for dtype in DTYPES:
                problems += compare(PARITY / name / "model", PARITY / name / "adapter", row, dtype, "20kB", arguments.lema)
        for name, (model, _) in VARIANTS.items():
            row = json.loads((PARITY / model / "case.json").read_text())["batches"][0][0]
            problems += compare(PARITY / model / "model", GOLDEN / name / "adapter", row, "f32", "5GB", arguments.lema)
    else:
        for name in VARIANTS:
            with tempfile.TemporaryDirectory() as scratch:
                directory = GOLDEN / name if arguments.write else Path(scratch)
                directory.mkdir(parents=True, exist_ok=True)
                write_variant(directory, name)
                for file in ("adapter/adapter_config.json", "adapter/adapter_model.safetensors", "merged.safetensors"):
                    if (directory / file).read_bytes() != (GOLDEN / name / file).read_bytes():
                        problems.append(f"{name}/{file} is not what PEFT gives")
        with tempfile.TemporaryDirectory() as scratch:
            path = (GOLDEN if arguments.write else Path(scratch)) / "greedy_f16.json"
            write_greedy(path)
            if path.read_bytes() != (GOLDEN / "greedy_f16.json").read_bytes():
                problems.append("greedy_f16.json is not what Transformers gives")
    for problem in problems:
        print(f"FAIL {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
