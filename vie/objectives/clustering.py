"""k-means over the memory bank, by faiss."""

import numpy as np
import torch
from torch import Tensor

from vie.runtime.errors import VieError


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
    ones, on the current GPU if faiss sees any. The same seed gives the same labels on the same
    device.

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
    import faiss

    vectors = torch.as_tensor(vectors).detach().cpu().numpy()
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    N = len(vectors)
    if not 1 <= clusters <= N:
        raise VieError(f"{clusters} clusters of {N} vectors: set clusters to 1 to {N}")
    if not np.isfinite(vectors).all():
        raise VieError("the memory bank holds values that are not finite; training has diverged")
    before = faiss.omp_get_max_threads()
    if threads is not None:
        faiss.omp_set_num_threads(threads)
    try:
        seeds = np.random.SeedSequence(seed).generate_state(clusterings) & 0x7FFFFFFF  # 31 bits
        return np.stack([_clustering(vectors, clusters, iterations, int(one)) for one in seeds])
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
    if faiss.get_num_gpus():
        torch.cuda.empty_cache()  # what torch has reserved and does not use, faiss cannot have
        # On the one GPU of this process; faiss itself would take all that it sees.
        resources, gpu = faiss.StandardGpuResources(), torch.cuda.current_device()
        algorithm.index = faiss.index_cpu_to_gpu(resources, gpu, algorithm.index)
    algorithm.train(vectors)
    labels: np.ndarray = algorithm.assign(vectors)[1]
    return labels
