"""The supervised control against float64 arithmetic written out."""

import numpy as np
import pytest
import torch

from vie.objectives.supervised import Supervised
from vie.runtime.errors import VieError


def test_loss_and_gradients_by_hand():
    torch.manual_seed(0)
    labels = torch.tensor([2, 0, 1, 1, 2])
    objective = Supervised(labels, 3, temperature=0.1, seed=1).double()
    f = torch.nn.functional.normalize(torch.randn(2, 3, dtype=torch.float64), dim=1)
    f.requires_grad_()
    instances = torch.tensor([3, 0])
    loss = objective(f, instances, torch.zeros(5, 3))
    W, total = objective.weight.detach().numpy(), 0.0
    for row, i in zip(f.detach().numpy(), instances.tolist(), strict=True):
        scores = [sum(w * x for w, x in zip(W[c], row, strict=True)) / 0.1 for c in range(3)]
        total -= scores[labels[i]] - np.log(sum(np.exp(s) for s in scores))
    assert loss.item() == pytest.approx(total / 2, rel=1e-10)
    assert torch.autograd.gradcheck(
        lambda f, w: torch.func.functional_call(
            objective, {"weight": w}, (f, instances, torch.zeros(5, 3))
        ),
        (f, objective.weight),
    )


def test_weights_come_from_the_seed_and_are_trained():
    labels = torch.tensor([0, 3])
    one, two, other = (Supervised(labels, 4, temperature=1.0, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.weight, two.weight)
    assert not torch.equal(one.weight, other.weight)
    assert one.weight.shape == (4, 4)
    assert [name for name, _ in one.named_parameters()] == ["weight"]
    with pytest.raises(VieError, match="temperature 0"):
        Supervised(labels, 4, temperature=0, seed=0)
