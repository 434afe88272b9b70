"""From how many videos on does noise-contrastive estimation pay?

    uv run python benchmarks/estimators.py

Compares one step's loss, forward and backward, of the softmax over all N entries of the memory bank
with that of NCE with 4,096 negatives, on the GPU if there is one. Prints, for every N, seconds and
memory of each and their ratios, softmax / NCE: above 1, NCE is cheaper. Each measurement has a
process of its own; the two of a ratio take turns, so that other work on the machine slows both.
The memory is what a step adds to that of the process (Linux) or to that on the device.
"""

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from vie.objectives.bank import MemoryBank
from vie.objectives.instance_recognition import InstanceRecognition

DIMENSIONS, NEGATIVES, TEMPERATURE = 128, 4096, 0.07
VIDEOS = (1_000, 4_000, 16_000, 64_000, 128_000, 256_000, 512_000, 1_000_000)
ESTIMATORS = ("softmax", "nce_paper")


def measure(videos: int, batch: int, repeats: int, estimator: str) -> tuple[float, float]:
    """(median seconds, MiB) of a step's loss and its gradient."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vectors = MemoryBank(videos, DIMENSIONS, seed=0).to(device).get_buffer("vectors")  # (N, D)
    generator = torch.Generator(device).manual_seed(1)
    instances = torch.arange(batch, device=device)
    noise = torch.randn(batch, DIMENSIONS, generator=generator, device=device)
    embedding = F.normalize(vectors[instances] + 0.1 * noise, dim=1).requires_grad_()
    settings = {"estimator": estimator, "negatives": NEGATIVES, "temperature": TEMPERATURE}
    objective = InstanceRecognition(videos, **settings).to(device)
    before, seconds = memory(device, start=True), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        objective(embedding, instances, vectors, generator).backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]), memory(device) - before


def memory(device: torch.device, *, start: bool = False) -> float:
    """The largest memory since the last `start`, or that in use at a start, in MiB."""
    if device.type == "cuda":
        found = torch.cuda.memory_allocated() if start else torch.cuda.max_memory_allocated()
        if start:
            torch.cuda.reset_peak_memory_stats()
        return found / 2**20
    if start:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    field = "VmRSS" if start else "VmHWM"
    text = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if field in line)) / 1024


def main() -> None:
    """Measure one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, nargs="+", default=VIDEOS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="turns of the two")
    asked = parser.parse_args()
    print(f"batch {asked.batch}, {DIMENSIONS} dimensions, {NEGATIVES:,} negatives")
    print(f"{'videos':>10} {'softmax':>20} {'NCE':>20}   softmax / NCE: time, memory")
    for videos in asked.videos:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ESTIMATORS}
        for name in ESTIMATORS * asked.rounds:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                arguments = (videos, asked.batch, asked.repeats, name)
                found[name].append(pool.apply(measure, arguments))
        medians = [[statistics.median(x) for x in zip(*found[n], strict=True)] for n in ESTIMATORS]
        (softmax, its_memory), (nce, nce_memory) = medians
        print(
            f"{videos:10,} {softmax:9.4f} s {its_memory:5.0f} MiB {nce:9.4f} s {nce_memory:5.0f} "
            f"MiB   {softmax / nce:6.2f} {its_memory / max(nce_memory, 1):6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
