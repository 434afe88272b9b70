"""k-means over the memory bank: by faiss on a CPU, in torch on a GPU."""

import numpy as np
import torch
from torch import Tensor

from vie.runtime.errors import VieError

COMPARED = 2**27  # distances that a GPU holds at once: 0.5 GB
SPLIT_SEED = 1234  # of faiss, for the choice of clusters to split
SPLIT = 1 / 1024  # of faiss: how far the halves of a cluster are set apart


def kmeans(
    vectors: np.ndarray | Tensor,
    clusters: int,
    *,
    iterations: int = 20,
    seed: int = 0,
    clusterings: int = 1,
    threads: int | None = None,
) -> np.ndarray:
    """Cluster of every vector (N, D) float32, in independent clusterings.

    Plain Lloyd iterations in Euclidean distance over all vectors, started from distinct random
    ones, on the device where the vectors are. The same seed starts from the same ones everywhere,
    and gives the same labels on the same device.

    Args:
        clusters: m, at most N.
        iterations: 20 in protocol section 5.
        seed: of the first centroids; each clustering has a seed derived from it.
        threads: on the CPU; None leaves faiss's own choice.

    Returns:
        (clusterings, N) int64, values in 0..m-1.

    Raises:
        VieError: if there are fewer vectors than clusters, or a vector is not finite.
    """
    vectors = torch.as_tensor(vectors).detach().float().contiguous()
    N = len(vectors)
    if not 1 <= clusters <= N:
        raise VieError(f"{clusters} clusters of {N} vectors: set clusters to 1 to {N}")
    if not bool(vectors.isfinite().all()):
        raise VieError("the memory bank holds values that are not finite; training has diverged")
    seeds = np.random.SeedSequence(seed).generate_state(clusterings) & 0x7FFFFFFF  # 31 bits
    if vectors.is_cuda:
        found = [lloyd(vectors, clusters, iterations, int(one)) for one in seeds]
        return torch.stack(found).cpu().numpy()
    import faiss

    before = faiss.omp_get_max_threads()
    if threads is not None:
        faiss.omp_set_num_threads(threads)
    try:
        return np.stack(
            [_clustering(vectors.numpy(), clusters, iterations, int(one)) for one in seeds]
        )
    finally:
        faiss.omp_set_num_threads(before)


def _clustering(vectors: np.ndarray, clusters: int, iterations: int, seed: int) -> np.ndarray:
    """(N, D) -> (N,) int64, the cluster of every vector."""
    import faiss

    N, D = vectors.shape
    algorithm = faiss.Kmeans(
        D,
        clusters,
        niter=iterations,
        seed=seed,
        min_points_per_centroid=1,  # no warning about small clusters
        max_points_per_centroid=N,  # no silent subsampling
    )
    algorithm.train(vectors)
    labels: np.ndarray = algorithm.assign(vectors)[1]
    return labels


@torch.no_grad()
def lloyd(vectors: Tensor, clusters: int, iterations: int, seed: int) -> Tensor:
    """faiss's k-means in torch: the same first centroids, and the same rule for empty clusters.

    (N, D) float32 -> (N,) int64, on the device. Every sum is made in a fixed order.
    """
    import faiss

    N = len(vectors)
    if clusters == N:  # every vector is a centroid, as in faiss
        return torch.arange(N, device=vectors.device)
    order = np.empty(N, np.int32)  # as `faiss.Clustering` draws it
    faiss.rand_perm(faiss.swig_ptr(order), N, seed + 1)  # type: ignore[attr-defined]  # faiss's
    centroids = vectors[torch.from_numpy(order[:clusters]).long().to(vectors.device)]  # (m, D)
    for _ in range(iterations):
        labels = nearest_centroid(vectors, centroids)
        # Sorted by cluster first, unlike `index_add_`, which adds in any order on a GPU.
        sums = torch.zeros_like(centroids).index_put_((labels,), vectors, accumulate=True)
        sizes = torch.bincount(labels, minlength=clusters)  # (m,)
        centroids = sums / sizes.clamp(min=1)[:, None]
        if bool((sizes == 0).any()):
            changed = centroids.cpu().numpy()
            fill_empty(changed, sizes.cpu().numpy())
            centroids = torch.from_numpy(changed).to(vectors.device)
    return nearest_centroid(vectors, centroids)


def nearest_centroid(vectors: Tensor, centroids: Tensor) -> Tensor:
    """(N, D), (m, D) -> (N,) int64, the centroid at the smallest Euclidean distance."""
    squares = centroids.square().sum(1)  # (m,)
    rows = max(1, COMPARED // len(centroids))
    # |x - c|^2 without |x|^2, which is the same for all c: (rows, D) x (D, m) -> (rows, m)
    found = [
        torch.addmm(squares, part, centroids.T, alpha=-2).argmin(1) for part in vectors.split(rows)
    ]
    return torch.cat(found)


def fill_empty(centroids: np.ndarray, sizes: np.ndarray) -> None:
    """Give every empty cluster a half of another one, in place, as faiss chooses and does it.

    A cluster is drawn with a probability that grows with its size. Centroids are (m, D), sizes (m,)
    sum up to the number of vectors.
    """
    rng, waiting = np.random.RandomState(SPLIT_SEED), np.empty(0, np.float32)
    m, rest = len(sizes), np.float32(sizes.sum() - len(sizes))
    sizes = sizes.astype(np.float32)
    apart = np.where(np.arange(centroids.shape[1]) % 2, -SPLIT, SPLIT).astype(np.float32)  # (D,)
    for empty in np.flatnonzero(sizes == 0):
        chosen = np.empty(0, np.int64)
        while not len(chosen):  # pass by all clusters, with a draw for each, until one is chosen
            if len(waiting) < m:
                draws = rng.randint(0, 2**32, size=m, dtype=np.uint32).astype(np.float32)
                waiting = np.concatenate([waiting, draws / np.float32(2**32)])
            chosen = np.flatnonzero(waiting[:m] < (sizes - 1) / rest)
            waiting = waiting[chosen[0] + 1 if len(chosen) else m :]
        source = chosen[0]
        centroids[empty] = centroids[source] * (1 + apart)
        centroids[source] *= 1 - apart
        sizes[empty] = sizes[source] / 2
        sizes[source] -= sizes[empty]
