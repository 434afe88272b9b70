"""k-means against properties that every result of Lloyd's algorithm has, and a plain version."""

import numpy as np
import pytest
import torch

from vie.objectives import clustering
from vie.objectives.clustering import kmeans, lloyd
from vie.runtime.errors import VieError


def blobs(clusters=6, members=40, D=16, spread=0.02, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, D))
    truth = rng.permutation(np.repeat(np.arange(clusters), members))
    v = centres[truth] + spread * rng.normal(size=(len(truth), D))
    return (v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32), truth


def means(v, labels, clusters):
    return np.stack([v[labels == c].astype(np.float64).mean(0) for c in range(clusters)])


def squared_distances(v, centroids):
    return ((v[:, None].astype(np.float64) - centroids[None]) ** 2).sum(-1)


@pytest.mark.parametrize(("N", "clusters"), [(400, 7), (3000, 3)])
def test_converged_labels_are_a_fixed_point_of_lloyd(N, clusters):
    """On all points: faiss itself would train on a sample of 256 a cluster in the second case."""
    v = np.random.default_rng(1).normal(size=(N, 8)).astype(np.float32)
    (labels,) = kmeans(v, clusters, iterations=300, seed=0, threads=1)
    assert set(labels) == set(range(clusters))
    nearest = squared_distances(v, means(v, labels, clusters)).argmin(1)
    np.testing.assert_array_equal(labels, nearest)


def test_objective_is_as_low_as_a_plain_lloyds():
    v = np.random.default_rng(2).normal(size=(500, 6)).astype(np.float32)
    (labels,) = kmeans(v, 10, iterations=20, seed=0, threads=1)
    ours = ((v - means(v, labels, 10)[labels]) ** 2).sum()
    rng, theirs = np.random.default_rng(0), []
    for _ in range(8):
        centroids = v[rng.choice(len(v), 10, replace=False)].astype(np.float64)
        for _ in range(20):
            nearest = squared_distances(v, centroids).argmin(1)
            centroids = np.stack(
                [
                    v[nearest == c].mean(0) if (nearest == c).any() else centroids[c]
                    for c in range(10)
                ]
            )
        theirs.append(squared_distances(v, centroids).min(1).sum())
    assert min(theirs) * 0.97 < ours < max(theirs) * 1.03


def test_deterministic_for_a_seed_and_different_between_clusterings(capfd):
    v, _ = blobs(spread=0.5)
    first = kmeans(v, 9, seed=4, clusterings=3, threads=1)
    assert first.shape == (3, 240)
    assert first.dtype == np.int64
    np.testing.assert_array_equal(first, kmeans(v, 9, seed=4, clusterings=3, threads=1))
    np.testing.assert_array_equal(first[0], kmeans(torch.from_numpy(v), 9, seed=4, threads=1)[0])
    together = [(row[:, None] == row[None]) for row in first]
    assert not np.array_equal(together[0], together[1])
    other = kmeans(v, 9, seed=5, threads=1)[0]
    assert not np.array_equal(together[0], other[:, None] == other[None])
    assert "WARNING" not in "".join(capfd.readouterr())  # 240 points for 9 centroids: "too few"


def test_torch_and_faiss_live_in_one_process():
    v, _ = blobs()
    x = torch.randn(200, 200)
    torch_threads = torch.get_num_threads()
    expected = x @ x
    kmeans(v, 6, threads=2)
    assert torch.get_num_threads() == torch_threads
    torch.testing.assert_close(x @ x, expected)


def test_errors():
    v, _ = blobs()
    with pytest.raises(VieError, match="241 clusters of 240 vectors"):
        kmeans(v, 241)
    v[3, 2] = np.nan
    with pytest.raises(VieError, match="not finite"):
        kmeans(v, 6)


def objective(v, labels, clusters):
    sizes = np.bincount(labels, minlength=clusters)
    sums = np.zeros((clusters, v.shape[1]))
    np.add.at(sums, labels, v)
    return ((v - (sums / np.maximum(sizes, 1)[:, None])[labels]) ** 2).sum()


@pytest.mark.parametrize(("N", "clusters", "D"), [(500, 20, 16), (3000, 200, 128), (300, 300, 8)])
def test_the_gpus_way_is_that_of_faiss(N, clusters, D):
    """It starts from the same vectors; rounding may part the two ways later."""
    v = np.random.default_rng(3).normal(size=(N, D)).astype(np.float32)
    seed = int(np.random.SeedSequence(7).generate_state(1)[0] & 0x7FFFFFFF)
    (theirs,) = kmeans(v, clusters, seed=7, threads=1)
    ours = lloyd(torch.from_numpy(v), clusters, 20, seed).numpy()
    assert (ours == theirs).mean() > 0.9
    low, found = objective(v, theirs, clusters), objective(v, ours, clusters)
    assert found == pytest.approx(low, rel=1e-3, abs=1e-9)


def test_blocks_of_distances_give_the_same_labels(monkeypatch):
    v = torch.randn(100, 8)
    expected = lloyd(v, 7, 5, 1)
    monkeypatch.setattr(clustering, "COMPARED", 7 * 13)
    assert torch.equal(lloyd(v, 7, 5, 1), expected)


def test_empty_clusters_are_filled_as_faiss_does():
    """Among copies of the same vectors many first centroids are alike: all but one stay empty."""
    import faiss

    rng = np.random.default_rng(1)
    v = rng.normal(size=(120, 7)).astype(np.float32)[rng.integers(0, 120, 300)]
    theirs = faiss.Kmeans(7, 80, niter=1, seed=5, min_points_per_centroid=1)
    theirs.train(v)
    order = np.empty(300, np.int32)
    faiss.rand_perm(faiss.swig_ptr(order), 300, 6)
    first = torch.from_numpy(v[order[:80]])
    labels = clustering.nearest_centroid(torch.from_numpy(v), first).numpy()
    sizes, centroids = np.bincount(labels, minlength=80), np.zeros((80, 7), np.float32)
    assert (sizes == 0).sum() > 10
    np.add.at(centroids, labels, v)
    centroids /= np.maximum(sizes, 1)[:, None]
    clustering.fill_empty(centroids, sizes)
    np.testing.assert_allclose(centroids, theirs.centroids, rtol=1e-4, atol=1e-5)
