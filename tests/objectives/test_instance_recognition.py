"""Instance recognition against float64 loops over the formula of protocol section 5."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vie.objectives.instance_recognition import InstanceRecognition
from vie.runtime.errors import VieError


def case(B=3, N=11, D=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    f = F.normalize(torch.randn(B, D, generator=generator, dtype=torch.float64), dim=1)
    v = F.normalize(torch.randn(N, D, generator=generator, dtype=torch.float64), dim=1)
    return f, torch.randperm(N, generator=generator)[:B], v


def step(seed=5):
    return torch.Generator().manual_seed(seed)


def nce_loops(f, instances, v, noise, z, tau):
    """The loss, term by term."""
    B, K = noise.shape
    N = len(v)
    total = 0.0
    for b in range(B):
        p = math.exp(sum(x * y for x, y in zip(v[instances[b]], f[b], strict=True)) / tau) / z
        total -= math.log(p / (p + K * (1 / N) + 1e-7))
        for k in range(K):
            q = math.exp(sum(x * y for x, y in zip(v[noise[b, k]], f[b], strict=True)) / tau) / z
            total -= math.log(K * (1 / N) / (q + K * (1 / N) + 1e-7))
    return total / B


@pytest.mark.parametrize("tau", [0.07, 0.5])
@pytest.mark.parametrize("K", [1, 6, 40])
def test_nce_paper_against_loops(K, tau):
    f, instances, v = case()
    objective = InstanceRecognition(11, estimator="nce_paper", temperature=tau, negatives=K)
    loss = objective(f, instances, v, step())
    noise = torch.randint(11, (3, K), generator=step()).numpy()
    z = 2876934.2 / 1281167 * 11
    expected = nce_loops(f.tolist(), instances.tolist(), v.tolist(), noise, z, tau)
    assert loss.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("N", [11, 2000])
def test_given_its_noise_the_paper_s_loss_does_not_depend_on_the_number_of_videos(N):
    """As docs/estimators.md derives it: only exp(v . f / t) / (2.2456 K) counts."""
    tau, K = 0.2, 40
    f, instances, v = case(N=N)
    objective = InstanceRecognition(N, estimator="nce_paper", temperature=tau, negatives=K)
    noise = torch.randint(N, (3, K), generator=step())
    x = torch.exp(torch.einsum("bd,nd->bn", f, v) / tau) / (2876934.2 / 1281167 * K)
    own = x[torch.arange(3), instances]
    expected = torch.log1p(1 / own) + torch.log1p(x.gather(1, noise)).sum(1)
    # The 1e-7 of the release is left out.
    assert objective(f, instances, v, step()).item() == pytest.approx(
        expected.mean().item(), rel=1e-4
    )


def test_nce_estimated_against_loops():
    tau, K, N = 0.2, 7, 11
    objective = InstanceRecognition(
        N, estimator="nce_estimated", temperature=tau, negatives=K, estimation_batches=2
    )
    estimates = []
    for number in range(4):
        f, instances, v = case(seed=number)
        loss = objective(f, instances, v, step(number))
        noise = torch.randint(N, (3, K), generator=step(number)).numpy()
        if number < 2:
            weights = [math.exp(v[j] @ f[b] / tau) for b in range(3) for j in noise[b]]
            estimates.append(N * sum(weights) / len(weights))
        z = sum(estimates) / len(estimates)  # grows over two batches, then stays
        expected = nce_loops(f.tolist(), instances.tolist(), v.tolist(), noise, z, tau)
        assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_the_estimate_survives_a_checkpoint():
    f, instances, v = case()
    objective = InstanceRecognition(11, estimator="nce_estimated", estimation_batches=1)
    objective(f, instances, v, step(1))
    resumed = InstanceRecognition(11, estimator="nce_estimated", estimation_batches=1)
    resumed.load_state_dict(objective.state_dict())
    a, b = (o(f, instances, v, step(2)) for o in (objective, resumed))
    assert torch.equal(a, b)
    fresh = InstanceRecognition(11, estimator="nce_estimated", estimation_batches=1)
    assert not torch.equal(a, fresh(f, instances, v, step(2)))


@pytest.mark.parametrize("tau", [0.07, 0.5])
def test_softmax_against_loops(tau):
    f, instances, v = case()
    loss = InstanceRecognition(11, estimator="softmax", temperature=tau)(f, instances, v)
    total = 0.0
    for b in range(3):
        weights = [math.exp(float(v[j] @ f[b]) / tau) for j in range(11)]
        total -= math.log(weights[instances[b]] / sum(weights))
    assert loss.item() == pytest.approx(total / 3, rel=1e-10)


@pytest.mark.parametrize("estimator", ["nce_paper", "nce_estimated", "softmax"])
def test_gradient(estimator):
    f, instances, v = case()
    objective = InstanceRecognition(11, estimator=estimator, temperature=0.3, negatives=5)
    if estimator == "nce_estimated":  # a frozen Z: gradcheck calls the loss many times
        objective.estimation_batches = 1
        objective(f, instances, v, step())
    v.requires_grad_()
    torch.autograd.gradcheck(lambda x: objective(x, instances, v, step()), f.requires_grad_())
    objective(f, instances, v, step()).backward()
    assert v.grad is None


def test_only_the_drawn_entries_enter_the_graph():
    B, N, K, D = 4, 3000, 16, 8
    f, instances, v = case(B, N, D)
    objective = InstanceRecognition(N, negatives=K)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.shape) or t, lambda t: t
    ):
        objective(f.requires_grad_(), instances, v, step())
    assert saved
    assert max(shape.numel() for shape in saved) == B * K * D
    assert all(N not in shape for shape in saved)


@pytest.mark.parametrize("estimator", ["nce_paper", "softmax"])
def test_autocast_does_not_lower_the_precision(estimator):
    f, instances, v = case(B=8, N=50, D=64)
    f, v = f.float(), v.float()
    objective = InstanceRecognition(50, estimator=estimator, negatives=20)
    plain = objective(f, instances, v, step())
    with torch.autocast("cpu", torch.bfloat16):
        mixed = objective(f, instances, v, step())
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, plain)


def test_noise_is_uniform_and_the_generator_is_the_only_source():
    f, instances, v = case()
    objective = InstanceRecognition(11, negatives=9)
    a = objective(f, instances, v, step(1))
    torch.manual_seed(99)
    assert torch.equal(objective(f, instances, v, step(1)), a)
    assert not torch.equal(objective(f, instances, v, step(2)), a)
    # The expectation over the noise: K times the mean over all entries.
    K, N, z = 20000, 11, 2876934.2 / 1281167 * 11
    loss = InstanceRecognition(N, negatives=K, temperature=0.5)(f, instances, v, step(3))
    p = np.exp(f.numpy() @ v.numpy().T / 0.5) / z
    own = p[np.arange(3), instances]
    expected = -np.log(own / (own + K / N)) - K * np.log((K / N) / (p + K / N)).mean(1)
    assert loss.item() == pytest.approx(expected.mean(), rel=0.01)


def test_errors():
    with pytest.raises(VieError, match=r"'nce'.*nce_paper, nce_estimated, softmax"):
        InstanceRecognition(5, estimator="nce")
    with pytest.raises(VieError, match="temperature 0"):
        InstanceRecognition(5, temperature=0)
    f, instances, v = case()
    with pytest.raises(VieError, match=r"torch\.Generator"):
        InstanceRecognition(11)(f, instances, v)


def test_the_temperature_falls_by_equal_factors():
    settings = {"first_temperature": 0.8, "warm_up": "3 epochs", "temperature": 0.1}
    objective = InstanceRecognition(11, estimator="softmax", **settings)
    f, instances, v = case()
    for step_number, tau in ((0, 0.8), (2, 0.4), (4, 0.2), (6, 0.1), (50, 0.1)):
        objective.before_step(step_number, steps_per_epoch=2)
        expected = F.cross_entropy(f @ v.T / tau, instances)
        assert objective(f, instances, v).item() == pytest.approx(expected.item(), rel=1e-9)


def test_without_a_warm_up_the_temperature_stays():
    objective = InstanceRecognition(11, temperature=0.3)
    objective.before_step(0, steps_per_epoch=2)
    assert objective.temperature == 0.3


def test_gained_is_what_the_embedding_says_of_its_video():
    """0 nats for a guess, ln N for certainty, below 0 where wrong videos are sure."""
    v = torch.eye(11, dtype=torch.float64)
    instances = torch.tensor([2, 5])
    objective = InstanceRecognition(11, estimator="softmax", temperature=0.02)
    guess = torch.full((2, 11), 11**-0.5, dtype=torch.float64)
    for embedding, expected in ((guess, 0), (v[instances], math.log(11)), (v[[3, 4]], -47.6)):
        found = objective.losses(embedding, {}, instances, v, None)
        assert found["gained"].item() == pytest.approx(expected, abs=1e-6 if expected >= 0 else 0.1)
        assert found["gained"] + found["loss"] == pytest.approx(math.log(11))
    assert "gained" not in InstanceRecognition(11).losses(guess, {}, instances, v, step())
