"""What the device can do, measured by PyTorch in the same run: matrix products (cuBLAS), scaled dot-product attention, and
copies. lema's kernels and steps are held against these. One JSON object a line, written as soon as it is measured.

    python3 bench/cuda/yardsticks.py
"""

import json
import statistics

import torch
import torch.nn.functional as F

TOKENS, HIDDEN, INNER, HEADS, HEAD, RANK = 4096, 4096, 11008, 32, 128, 16


def milliseconds(work, runs: int = 20, warmup: int = 3) -> float:
    """The median between two events."""
    times = []
    for run in range(warmup + runs):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        end.synchronize()
        if run >= warmup:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


def report(name: str, ms: float, flops: float = 0, moved: float = 0) -> None:
    figures = {"case": name, "ms": round(ms, 4), "tflops": round(flops / ms * 1e-9, 2), "gb_per_s": round(moved / ms * 1e-6, 1)}
    print(json.dumps(figures), flush=True)


def products() -> None:
    for name, dtype in (("bf16", torch.bfloat16), ("f16", torch.float16), ("f32", torch.float32)):
        for columns, depth in ((HIDDEN, HIDDEN), (INNER, HIDDEN), (RANK, HIDDEN)):
            x = torch.randn(TOKENS, depth, device="cuda", dtype=dtype)
            w = torch.randn(columns, depth, device="cuda", dtype=dtype)
            report(f"cuBLAS {name} {TOKENS}x{depth} to {columns}", milliseconds(lambda: x @ w.T), 2 * TOKENS * columns * depth)


def attention() -> None:
    for length in (512, 1024, 2048, 4096):
        shape = (TOKENS // length, HEADS, length, HEAD)
        q, k, v = (torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
        dy = torch.randn(shape, device="cuda", dtype=torch.bfloat16)
        flops = 2 * TOKENS * length * HEADS * HEAD  # the causal half of two products
        with torch.no_grad():
            forward = milliseconds(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True))
        report(f"SDPA forward, length {length}", forward, flops)

        def both() -> None:
            F.scaled_dot_product_attention(q, k, v, is_causal=True).backward(dy)

        report(f"SDPA forward and backward, length {length}", milliseconds(both), 3.5 * flops)


def copies() -> None:
    count = 512 << 20
    host, device = torch.empty(count, dtype=torch.uint8, pin_memory=True), torch.empty(count, dtype=torch.uint8, device="cuda")
    other = torch.empty_like(device)
    report("copy to the device, pinned", milliseconds(lambda: device.copy_(host, non_blocking=True)), moved=count)
    report("copy from the device, pinned", milliseconds(lambda: host.copy_(device, non_blocking=True)), moved=count)
    report("copy on the device", milliseconds(lambda: other.copy_(device)), moved=2 * count)


if __name__ == "__main__":
    print(json.dumps({"case": "device", "name": torch.cuda.get_device_name(), "torch": torch.__version__}), flush=True)
    copies()
    products()
    attention()
