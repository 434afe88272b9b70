"""Operations and parameters against torchvision's ResNet-18 and counts of the real modules."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vie.plan.networks import Shown, forward_flops, parameters, readout_widths


def recipe(network, **settings):
    return {"encoder": {"network": network, "embedding": 128, "bn_momentum": 0.1, **settings}}


def test_single_costs_what_torchvisions_resnet18_costs():
    from torchvision.models import resnet18

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        resnet18().eval()(torch.zeros(1, 3, 224, 224))
    ours = forward_flops(Shown.of([recipe("single")], "single", 224))
    # Ours has a projection more in the first stage, and 128 outputs instead of 1000.
    assert 1 < ours / counter.get_total_flops() < 1.03


def test_frames_one_by_one_cost_as_many_times_as_much():
    one, four = (Shown.of([recipe("single", width=8)], {"frames": n}, 32) for n in (1, 4))
    assert forward_flops(four) == pytest.approx(4 * forward_flops(one), rel=0.01)


def test_networks_side_by_side_add_up():
    single, slow = recipe("single", width=8), recipe("slow", width=8)
    clip = {"frames": 4, "stride": 2}
    both = Shown.of([single, slow], clip, 32)
    apart = sum(forward_flops(Shown.of([one], clip, 32)) for one in (single, slow))
    assert forward_flops(both) == apart
    # conv3 of either has 2 x width channels on an eighth of the side
    assert readout_widths(both)["conv3"] == 2 * (2 * 8) * 4 * 4


def test_parameters_are_those_of_the_network():
    from vie.models.encoders import build_encoder

    settings = {"network": "slowfast", "width": 8, "fast_width": 2, "stride": 2}
    state = build_encoder({**settings, "embedding": 16}).state_dict()
    assert parameters(json.dumps(settings), 16) == sum(t.numel() for t in state.values())


def test_what_costs_nothing_is_not_told_apart():
    """So that a measurement serves recipes that differ in what does not matter for the speed."""
    one = Shown.of([{"encoder": {"network": "single", "embedding": 128}}], "single", 64)
    other = Shown.of([{"encoder": {"network": "single", "embedding": "pooled"}}], "single", 64)
    assert str(one) == str(other)
