"""Local aggregation against float64 loops over sets, and the size of its graph."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vie.objectives.local_aggregation import LocalAggregation
from vie.runtime.errors import VieError


def case(seed, clusterings, B=4, N=17, D=5, clusters=4):
    generator = torch.Generator().manual_seed(seed)
    f = F.normalize(torch.randn(B, D, generator=generator, dtype=torch.float64), dim=1)
    v = F.normalize(torch.randn(N, D, generator=generator, dtype=torch.float64), dim=1)
    labels = torch.randint(clusters, (clusterings, N), generator=generator)
    return f, torch.randperm(N, generator=generator)[:B], v, labels


def build(labels, neighbours, tau=0.07):
    clusterings, N = labels.shape
    objective = LocalAggregation(
        N, clusters=4, neighbours=neighbours, clusterings=clusterings, temperature=tau
    )
    objective.load_state_dict({"labels": labels})
    return objective


def loops(f, instances, v, labels, k, tau):
    """The loss with C and B as sets of rows; returns it with the sizes of C and B."""
    f, v, labels = f.detach().numpy(), v.numpy(), labels.numpy()
    N, z = len(v), 2876934.2 / 1281167 * len(v)
    losses, sizes = [], []
    for b, i in enumerate(instances.tolist()):
        p = [math.exp(float(np.dot(v[j], f[b])) / tau) / z for j in range(N)]
        close = {j for row in labels for j in range(N) if row[j] == row[i]}
        background = set(sorted(range(N), key=lambda j: -p[j])[:k])
        both = sum(p[j] for j in close & background)
        losses.append(-math.log(both / sum(p[j] for j in background) + 1e-7))
        sizes.append(len(close & background))
    return np.mean(losses), sizes


@pytest.mark.parametrize("clusterings", [1, 3])
@pytest.mark.parametrize("k", [1, 5, 17])
@pytest.mark.parametrize("tau", [0.07, 1.0])
def test_against_loops(k, clusterings, tau):
    for seed in range(10):
        f, instances, v, labels = case(seed, clusterings)
        loss = build(labels, k, tau)(f, instances, v)
        expected, _ = loops(f, instances, v, labels, k, tau)
        assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_empty_intersection_costs_a_constant_and_pulls_nowhere():
    f, _, v, _ = case(0, 1)
    labels = torch.ones(1, 17, dtype=torch.int64)
    background = (f @ v.T).topk(3, dim=1).indices
    instance = next(i for i in range(17) if i not in background[0])
    labels[0, instance] = 0  # a cluster of its own, outside the neighbours of the first clip
    one = f[:1].clone().float().requires_grad_()
    loss = build(labels, 3)(one, torch.tensor([instance]), v)
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-7), rel=1e-6)
    assert torch.equal(one.grad, torch.zeros_like(one))


def test_the_random_cases_cover_empty_partial_and_full_intersections():
    seen = set()
    for seed in range(10):
        f, instances, v, labels = case(seed, 1)
        _, sizes = loops(f, instances, v, labels, 5, 0.07)
        seen |= set(sizes)
    assert {0, 1, 2} <= seen


@pytest.mark.parametrize("clusterings", [1, 2])
def test_gradient(clusterings):
    f, instances, v, labels = case(3, clusterings)
    objective = build(labels, 6, 0.3)
    v.requires_grad_()
    torch.autograd.gradcheck(lambda x: objective(x, instances, v), f.requires_grad_())
    objective(f, instances, v).backward()
    assert v.grad is None
    assert f.grad.abs().sum() > 0


def test_large_similarities_stay_finite():
    """exp(1 / 0.005) is beyond float32."""
    f, instances, v, labels = case(1, 1)
    f32 = f.float().requires_grad_()
    loss = build(labels, 5, 0.005)(f32, instances, v.float())
    loss.backward()
    expected, _ = loops(f, instances, v, labels, 5, 0.005)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert torch.isfinite(f32.grad).all()


def test_the_graph_holds_no_tensor_of_the_banks_size():
    B, N, D, k = 4, 2003, 8, 32
    f, instances, v, labels = case(0, 2, B, N, D)
    saved = []
    objective = build(labels, k)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.shape) or t, lambda t: t
    ):
        objective(f.requires_grad_(), instances, v)
    assert saved
    assert max(shape.numel() for shape in saved) == B * k * D < N * B
    assert all(N not in shape for shape in saved)


def test_autocast_does_not_lower_the_precision():
    f, instances, v, labels = case(0, 1, B=8, N=60, D=32)
    f, v = f.float(), v.float()
    objective = build(labels, 20)
    plain = objective(f, instances, v)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = objective(f.bfloat16().float(), instances, v), objective(f, instances, v)
    assert mixed[0].dtype == torch.float32
    assert torch.equal(mixed[1], plain)


def test_each_epoch_fills_the_labels_that_a_checkpoint_carries():
    _, _, v, _ = case(0, 1)
    objective = LocalAggregation(17, clusters=3, neighbours=4, clusterings=2, threads=1)
    objective.before_epoch(v.float(), seed=1)
    assert set(objective.labels.flatten().tolist()) == {0, 1, 2}
    resumed = LocalAggregation(17, clusters=3, neighbours=4, clusterings=2)
    resumed.load_state_dict(objective.state_dict())
    f, instances, _, _ = case(0, 1)
    assert torch.equal(resumed(f, instances, v), objective(f, instances, v))


def test_errors():
    f, instances, v, _ = case(0, 1)
    with pytest.raises(VieError, match="before_epoch first"):
        LocalAggregation(17, clusters=3, neighbours=4)(f, instances, v)
    with pytest.raises(VieError, match="neighbours: 18 is more than the 17 videos: choose 1 to 17"):
        LocalAggregation(17, clusters=3, neighbours=18)
    with pytest.raises(VieError, match="clusters: 18 is more than the 17 videos"):
        LocalAggregation(17, clusters=18, neighbours=4)
