"""Similarities to drawn entries of the memory bank on a GPU, without a copy of these entries."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 8192  # numbers of the bank that a program holds at once
SPAN = 512  # entries, about, that one program adds up in the backward pass


@triton.jit
def _entries(vectors, rows, clip, places, K, D, BLOCK_D: tl.constexpr):
    """The entries (places, BLOCK_D) that a clip has drawn at its places of K."""
    row = tl.load(rows + clip.to(tl.int64) * K + places, places < K, 0)
    dims = tl.arange(0, BLOCK_D)
    inside = (places < K)[:, None] & (dims < D)[None, :]
    return tl.load(vectors + row[:, None] * D + dims[None, :], inside, 0.0)


@triton.jit
def _similarities(
    embedding, vectors, rows, out, K, D, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr
):
    """`out` (B, K): inner products of each clip's embedding with the entries that it has drawn."""
    clip = tl.program_id(0)
    places = tl.program_id(1) * BLOCK_K + tl.arange(0, BLOCK_K)
    dims = tl.arange(0, BLOCK_D)
    own = tl.load(embedding + clip * D + dims, dims < D, 0.0)
    products = tl.sum(_entries(vectors, rows, clip, places, K, D, BLOCK_D) * own[None, :], 1)
    tl.store(out + clip.to(tl.int64) * K + places, products, places < K)


@triton.jit
def _gradient(
    gradient, vectors, rows, out, K, D, SPAN: tl.constexpr,
    BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """`out` (B, parts, D): sums of the drawn entries times `gradient` (B, K), part by part."""
    clip, part = tl.program_id(0), tl.program_id(1)
    total = tl.zeros((BLOCK_D,), tl.float32)
    for start in range(0, SPAN, BLOCK_K):
        places = part * SPAN + start + tl.arange(0, BLOCK_K)
        weights = tl.load(gradient + clip.to(tl.int64) * K + places, places < K, 0.0)
        total += tl.sum(_entries(vectors, rows, clip, places, K, D, BLOCK_D) * weights[:, None], 0)
    dims = tl.arange(0, BLOCK_D)
    place = clip.to(tl.int64) * tl.num_programs(1) + part
    tl.store(out + place * D + dims, total, dims < D)


def _tile(D: int) -> tuple[int, int]:
    """Entries that a program holds at once, a divisor of `SPAN`, and their padded dimensions."""
    block_d = triton.next_power_of_2(D)
    return min(SPAN, max(1, TILE // block_d)), block_d


class DrawnSimilarities(torch.autograd.Function):
    """(B, D) embedding, (N, D) vectors, (B, K) int64 rows -> (B, K), all float32.

    No gradient flows into the vectors. Sums are made in a fixed order.
    """

    @staticmethod
    def forward(context: Any, embedding: Tensor, vectors: Tensor, rows: Tensor) -> Tensor:
        embedding, vectors, rows = (x.contiguous() for x in (embedding, vectors, rows))
        context.save_for_backward(vectors, rows)
        (B, K), D = rows.shape, vectors.shape[1]
        out = embedding.new_empty(B, K)
        block_k, block_d = _tile(D)
        with torch.cuda.device_of(out):
            _similarities[B, triton.cdiv(K, block_k)](
                embedding, vectors, rows, out, K, D, block_k, block_d
            )
        return out

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        vectors, rows = context.saved_tensors
        (B, K), D = rows.shape, vectors.shape[1]
        block_k, block_d = _tile(D)
        parts = gradient.new_empty(B, triton.cdiv(K, SPAN), D)
        with torch.cuda.device_of(parts):
            _gradient[B, parts.shape[1]](
                gradient.contiguous(), vectors, rows, parts, K, D, SPAN, block_k, block_d,
            )  # fmt: skip
        return parts.sum(1), None, None  # (B, parts, D) -> (B, D)
