"""examples/moco.py: loss, momentum and queue against loops in numpy."""

import copy

import numpy as np
import pytest
import torch

from vie.models.encoders import build_encoder
from vie.runtime.errors import VieError
from vie.runtime.importing import load_object

BATCH, QUEUE, T = 3, 6, 0.3
POOLED = {"network": "single", "width": 2, "embedding": "pooled", "bn_momentum": 0.1}


@pytest.fixture
def moco(root):
    torch.manual_seed(0)
    encoder = build_encoder(POOLED).double()
    settings = {"dimensions": 4, "queue": QUEUE, "momentum": 0.9, "temperature": T}
    objective = load_object("examples.moco:MoCo")(encoder, batch=BATCH, **settings).double()
    return encoder, objective


def clips():
    return torch.randn(2 * BATCH, 3, 1, 32, 32, dtype=torch.float64)


def step(encoder, objective, shown):
    """What training does, with plain SGD; the measures."""
    found, embedding = objective.measures(
        encoder, shown, torch.arange(BATCH), torch.zeros(9, 16), None
    )
    found["loss"].backward()
    with torch.no_grad():
        for parameter in [*encoder.parameters(), *objective.parameters()]:
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
                parameter.grad = None
    objective.after_step(encoder)
    return found, embedding


def head(modules, pooled):
    """The MLP and the unit length, in numpy: (C,) -> (D,)."""
    w1, b1, w2, b2 = (p.detach().numpy() for p in modules.parameters())
    hidden = np.maximum(w1 @ pooled + b1, 0)
    z = w2 @ hidden + b2
    return z / np.sqrt((z**2).sum())


def test_loss_by_hand(moco):
    encoder, objective = moco
    shown, queue = clips(), objective.queue.numpy().copy()
    twin, slow = copy.deepcopy(encoder), copy.deepcopy(objective.slow_encoder)
    found, embedding = objective.measures(
        encoder, shown, torch.arange(BATCH), torch.zeros(9, 16), None
    )
    fast_pooled = twin(shown[:BATCH])[1]["pooled"].detach().numpy()
    slow_pooled = slow(shown[BATCH:])[1]["pooled"].detach().numpy()
    total, hits = 0.0, 0
    for i in range(BATCH):
        q, k = head(objective.head, fast_pooled[i]), head(objective.slow_head, slow_pooled[i])
        scores = [sum(q * k) / T] + [sum(q * other) / T for other in queue]
        total += np.log(sum(np.exp(s) for s in scores)) - scores[0]
        hits += int(np.argmax(scores) == 0)
    assert found["loss"].item() == pytest.approx(total / BATCH, rel=1e-9)
    assert found["top1"].item() == pytest.approx(100 * hits / BATCH)
    torch.testing.assert_close(embedding, twin(shown[:BATCH])[0])


def test_the_momentum_encoder_follows_and_has_no_gradient(moco):
    encoder, objective = moco
    before = {n: p.clone() for n, p in objective.slow_encoder.named_parameters()}
    before_head = [p.clone() for p in objective.slow_head.parameters()]
    step(encoder, objective, clips())
    for name, p in encoder.named_parameters():
        slow = objective.slow_encoder.get_parameter(name)
        assert not torch.equal(p, before[name])
        assert not slow.requires_grad
        expected = 0.9 * before[name].numpy() + 0.1 * p.detach().numpy()
        np.testing.assert_allclose(slow.numpy(), expected, rtol=1e-9, atol=1e-12)
    for old, slow, fast in zip(
        before_head, objective.slow_head.parameters(), objective.head.parameters(), strict=True
    ):
        np.testing.assert_allclose(
            slow.numpy(), 0.9 * old.numpy() + 0.1 * fast.detach().numpy(), rtol=1e-9, atol=1e-12
        )


def test_keys_take_the_oldest_places_of_the_queue(moco):
    encoder, objective = moco
    expected = objective.queue.numpy().copy()
    for number in range(3):
        step(encoder, objective, clips())
        start = number * BATCH % QUEUE
        expected[start : start + BATCH] = objective.keys.numpy()
        np.testing.assert_array_equal(objective.queue.numpy(), expected)
        np.testing.assert_allclose(np.linalg.norm(objective.keys, axis=1), 1)
    assert objective.oldest == 3
    assert {"queue", "oldest"} < set(objective.state_dict())


def test_what_does_not_fit_is_refused(root):
    build = load_object("examples.moco:MoCo")
    with pytest.raises(VieError, match="pooled"):
        build(build_encoder(POOLED | {"embedding": 8}), batch=2)
    with pytest.raises(VieError, match="multiple of the batch, 4"):
        build(build_encoder(POOLED), batch=4, queue=6)
