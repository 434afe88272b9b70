"""Local aggregation at the paper's scale: a bank of 239,888 x 128, m = 8,000, k = 512.

    uv run python benchmarks/local_aggregation.py

Prints seconds and memory of each measurement, in a process of its own, on the GPU if there is one:

    k-means  one clustering, as at the start of every epoch: 20 iterations over the bank
    loss     the loss and its gradient for a batch of 128 embeddings, neighbours included
    bank     an update of the bank for the same batch
    naive    the loss as it is defined: similarities to the whole bank, kept for the backward pass

The memory is the largest resident memory (CPU) or memory on the device (GPU), in MiB. The bank
alone has 117 MiB.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from vie.objectives.bank import MemoryBank
from vie.objectives.clustering import kmeans
from vie.objectives.local_aggregation import LocalAggregation

VIDEOS, DIMENSIONS, CLUSTERS, NEIGHBOURS, BATCH, TEMPERATURE = 239_888, 128, 8_000, 512, 128, 0.07


def median_seconds(function: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median over `repeats` calls after one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def bank_of(videos: int, device: torch.device) -> MemoryBank:
    """A bank whose vectors lie in loose groups, like those of trained networks."""
    bank = MemoryBank(videos, DIMENSIONS, seed=0)
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLUSTERS, DIMENSIONS, generator=generator)
    of = torch.randint(CLUSTERS, (videos,), generator=generator)
    noise = torch.randn(videos, DIMENSIONS, generator=generator)
    bank.get_buffer("vectors").copy_(F.normalize(centres[of] + noise, dim=1))
    return bank.to(device)


def naive(embedding: torch.Tensor, vectors: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """The loss of embeddings (B, D) and a bank (N, D); `same` (B, N): of one cluster."""
    probability = torch.softmax(embedding @ vectors.T / TEMPERATURE, 1)  # (B, N)
    background = torch.zeros_like(same).scatter_(1, probability.topk(NEIGHBOURS).indices, True)
    whole = (probability * background).sum(1)
    return -torch.log((probability * (background & same)).sum(1) / whole + 1e-7).mean()


def measure(what: str, videos: int, repeats: int) -> tuple[float, float]:
    """(seconds, peak MiB) of one of the measurements."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bank = bank_of(videos, device)
    generator = torch.Generator().manual_seed(1)
    instances = torch.randperm(videos, generator=generator)[:BATCH].to(device)
    noise = 0.1 * torch.randn(BATCH, DIMENSIONS, generator=generator).to(device)
    vectors = bank.get_buffer("vectors")  # (N, D)
    embedding = F.normalize(vectors[instances] + noise, dim=1).requires_grad_()
    objective = LocalAggregation(videos, clusters=CLUSTERS, neighbours=NEIGHBOURS).to(device)
    labels = objective.get_buffer("labels")  # (1, N)
    labels.copy_(torch.randint(CLUSTERS, (1, videos), generator=generator))
    same = labels[0][instances, None] == labels[0][None]  # (B, N)
    functions: dict[str, Callable[[], object]] = {
        "k-means": lambda: kmeans(vectors, CLUSTERS, threads=torch.get_num_threads()),
        "loss": lambda: torch.autograd.backward(objective(embedding, instances, vectors)),
        "bank": lambda: bank.update(instances, embedding.detach()),
        "naive": lambda: torch.autograd.backward(naive(embedding, vectors, same)),
    }
    if what == "k-means":
        start = time.perf_counter()
        functions[what]()
        seconds = time.perf_counter() - start
    else:
        seconds = median_seconds(functions[what], repeats, device)
    if device.type == "cuda":
        return seconds, torch.cuda.max_memory_allocated() / 2**20
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{arguments.videos:,} x {DIMENSIONS}, m = {CLUSTERS:,}, k = {NEIGHBOURS}, batch {BATCH}")
    for what in ("k-means", "loss", "bank", "naive"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            settings = (what, arguments.videos, arguments.repeats)
            seconds, memory = pool.apply(measure, settings)
        print(f"{what:8} {seconds:10.4f} s {memory:8.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
