"""Weights before the first step, against the deviations of protocol section 4."""

import pytest
import torch
from torch import nn

from vie.models.classifiers import Classifier, Classifiers, FrozenEncoders
from vie.models.convolutions import FrameConvolution
from vie.models.encoders import BUILDERS, build_encoder
from vie.objectives.order_prediction import OrderPrediction
from vie.objectives.rotation import Rotation

SPREAD = 5  # standard errors of a measured deviation that are borne


def largest(weight, variance):
    """The largest weight in deviations, once mean and deviation are seen to be right."""
    values, n = weight.detach().flatten(), weight.numel()
    deviation = variance**0.5
    assert values.std().item() == pytest.approx(deviation, rel=SPREAD / (2 * n) ** 0.5)
    assert abs(values.mean().item()) < SPREAD * deviation / n**0.5
    return values.abs().max().item() / deviation


def assert_cut_normal(weight, variance):
    """A normal distribution without what lies beyond two of its deviations."""
    found = largest(weight, variance)
    assert found <= 2 / 0.8796256 * 1.0001
    if weight.numel() > 5000:  # not uniform, and not cut at less
        assert found > 2.1


def assert_normal(weight, variance):
    """A whole normal distribution: one weight of 370 lies beyond three deviations."""
    assert 3 < largest(weight, variance) < 7


def assert_glorot(layer):
    outputs, inputs = layer.weight.shape
    bound, values = (6 / (inputs + outputs)) ** 0.5, layer.weight.detach()
    assert values.abs().max().item() <= bound
    assert values.std().item() == pytest.approx(
        bound / 3**0.5, rel=SPREAD / (2 * values.numel()) ** 0.5
    )
    assert not layer.bias.any()


@pytest.mark.parametrize("network", BUILDERS)
def test_convolutions_and_embeddings(network):
    torch.manual_seed(0)
    encoder = build_encoder({"network": network, "width": 16})
    convolutions = [m for m in encoder.modules() if isinstance(m, FrameConvolution)]
    assert len(convolutions) > 20
    for one in convolutions:  # scale 1 over the fan-in
        assert_cut_normal(one.weight, 1 / one.weight[0].numel())
    assert_glorot(encoder.head)
    for norm in (m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)):
        assert (norm.weight == 1).all()
        assert not norm.bias.any()


def test_classifiers():
    torch.manual_seed(0)
    encoder = build_encoder({"network": "single", "width": 8})
    widths = {"conv3": 900, "conv4": 400, "conv5": 64}
    heads = Classifiers(FrozenEncoders([encoder]), widths, 400).heads.values()
    for head in (*heads, Classifier(encoder, 400).head):  # scale 2 over the fan-in
        assert_normal(head.weight, 2 / head.in_features)
        assert not head.bias.any()


def test_heads_of_pretext_tasks():
    torch.manual_seed(0)
    opn = OrderPrediction(64)
    assert opn.pair.weight.shape == (512, 128)
    for layer in (opn.pair, opn.head, *Rotation(512, hidden=64).head, *Rotation(512).head):
        assert_glorot(layer)
