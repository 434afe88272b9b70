"""The supervised control against float64 arithmetic written out."""

import numpy as np
import pytest
import torch

from vie.objectives.supervised import Supervised


def test_loss_and_gradients_by_hand():
    torch.manual_seed(0)
    labels = torch.tensor([2, 0, 1, 1, 2])
    objective = Supervised(labels, 3).double()
    pooled = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    instances = torch.tensor([3, 0])

    def loss(pooled, weight, bias):
        parameters = {"head.weight": weight, "head.bias": bias}
        inputs = None, {"pooled": pooled}, instances, None, None
        return torch.func.functional_call(Losses(objective), rename(parameters), inputs)

    weight, bias = objective.head.weight, objective.head.bias
    W, b, total = weight.detach().numpy(), bias.detach().numpy(), 0.0
    for row, i in zip(pooled.detach().numpy(), instances.tolist(), strict=True):
        scores = [sum(w * x for w, x in zip(W[c], row, strict=True)) + b[c] for c in range(3)]
        total -= scores[labels[i]] - np.log(sum(np.exp(s) for s in scores))
    assert loss(pooled, weight, bias).item() == pytest.approx(total / 2, rel=1e-10)
    assert torch.autograd.gradcheck(loss, (pooled, weight, bias))


class Losses(torch.nn.Module):
    """The loss as a module's call."""

    def __init__(self, objective):
        super().__init__()
        self.objective = objective

    def forward(self, *inputs):
        return self.objective.losses(*inputs)["loss"]


def rename(parameters):
    return {f"objective.{name}": value for name, value in parameters.items()}


def test_the_first_weights_are_glorots():
    """Uniform in +-sqrt(6 / (inputs + outputs)), no bias; as many rows as there are classes."""
    torch.manual_seed(0)
    objective = Supervised(torch.tensor([0, 149]), 250)
    weight, bound = objective.head.weight, (6 / (250 + 150)) ** 0.5
    assert weight.shape == (150, 250)
    assert 0.99 * bound < weight.abs().max().item() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not objective.head.bias.any()
