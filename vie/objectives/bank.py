"""The memory bank: a running average of the embedding of every video (protocol section 5)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.runtime import kernels
from vie.runtime.errors import VieError


class MemoryBank(nn.Module):
    """One unit vector per instance, saved with the checkpoint.

    Args:
        instances: number N of videos; row i belongs to instance i of the index.
        dimensions: D of the embedding.
        momentum: share of the old vector in an update; protocol section 5 has 0.5.
        seed: of the initial vectors, uniform in +-1/sqrt(D/3) and normalised.
    """

    vectors: Tensor  # (N, D) float32 buffer

    def __init__(
        self, instances: int, dimensions: int = 128, *, momentum: float = 0.5, seed: int = 0
    ):
        super().__init__()
        if instances < 1:
            raise VieError(f"a memory bank needs at least one instance, but got {instances}")
        if not 0 <= momentum < 1:
            raise VieError(f"memory bank momentum {momentum} must lie in [0, 1)")
        self.momentum, self.seed = momentum, seed
        self.register_buffer("vectors", _first(instances, dimensions, seed))

    def untouched(self) -> float:
        """Share of entries (%) that are the random ones of the beginning."""
        N, D = self.vectors.shape
        first = _first(N, D, self.seed).to(self.vectors)
        same = (first * self.vectors).sum(1) > 1 - 1e-5  # (N, D) -> (N,)
        return 100 * float(same.double().mean())

    @torch.no_grad()
    def update(self, instances: Tensor, embeddings: Tensor) -> None:
        """v_i <- normalise(momentum v_i + (1 - momentum) f), in place.

        Call it after the backward pass, with instances (B,) int64 and embeddings (B, D) of any
        float type; the arithmetic is the bank's. An instance that occurs several times in the batch
        takes its last embedding, on every device.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            # The order of colliding writes is undefined on a GPU, so they all write the same.
            same = instances[:, None] == instances[None, :]  # (B, B)
            last = (same * torch.arange(len(instances), device=instances.device)).amax(1)  # (B,)
            new = embeddings[last].to(self.vectors.dtype)
            mixed = self.momentum * self.vectors[instances] + (1 - self.momentum) * new
            self.vectors[instances] = F.normalize(mixed, dim=1)


def _first(instances: int, dimensions: int, seed: int) -> Tensor:
    """(N, D) random unit vectors."""
    generator = torch.Generator().manual_seed(seed)
    bound = 1 / math.sqrt(dimensions / 3)
    vectors = torch.rand(instances, dimensions, generator=generator) * (2 * bound) - bound
    return F.normalize(vectors, dim=1)


def similarities(embedding: Tensor, vectors: Tensor, rows: Tensor) -> Tensor:
    """Inner products of each embedding with entries of its own: (B, K).

    Embeddings are (B, D), vectors (N, D) of the same type and device, rows (B, K) int64. No
    gradient flows into the vectors.
    """
    if embedding.is_cuda and embedding.dtype == torch.float32 and kernels.usable():
        from vie.objectives.bank_kernel import DrawnSimilarities

        found: Tensor = DrawnSimilarities.apply(embedding, vectors, rows)  # type: ignore[no-untyped-call]  # torch's
        return found
    # Only the entries drawn enter the graph: (B, K, D) x (B, D, 1) -> (B, K, 1) -> (B, K)
    return torch.bmm(vectors[rows], embedding[:, :, None])[:, :, 0]


@torch.no_grad()
def nearest(queries: Tensor, vectors: Tensor, k: int, chunk: int = 65536) -> Tensor:
    """Rows of the k vectors with the largest inner product, best first: (B, k) int64.

    Queries are (B, D), vectors (N, D) of the same type and device. `chunk` vectors are compared at
    a time: B x chunk similarities are held at most.

    Raises:
        VieError: if k is not in 1..N.
    """
    if not 1 <= k <= len(vectors):
        raise VieError(
            f"{k} nearest neighbours of {len(vectors)} vectors: choose 1 to {len(vectors)}, or use "
            "more videos"
        )
    with torch.autocast(queries.device.type, enabled=False):
        best = rows = queries.new_empty(0)  # until the first part is compared
        for start in range(0, len(vectors), chunk):
            part = vectors[start : start + chunk]
            similarity = queries @ part.T  # (B, D) x (D, chunk) -> (B, chunk)
            top, where = similarity.topk(min(k, len(part)), dim=1)
            where = where + start
            if start:
                # (B, <= 2k) candidates -> (B, <= k)
                top, where = torch.cat([best, top], 1), torch.cat([rows, where], 1)
                top, kept = top.topk(min(k, top.shape[1]), dim=1)
                where = where.gather(1, kept)
            best, rows = top, where
        return rows
