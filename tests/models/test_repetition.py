"""An image as a clip: features equal those of the repeated image, at the cost of what differs."""

import pytest
import torch
from torch import nn

from vie.models.convolutions import FrameConvolution
from vie.models.encoders import BUILDERS, build_encoder
from vie.models.resnet import FORMS, ResNet18, channels_last
from vie.models.trunks import repeated
from vie.runtime.errors import VieError

FRAMES = {"single": 4, "trn": 4, "slow": 4, "fast": 16, "slowfast": 16, "3dresnet": 16}


def settled(network):
    """In evaluation mode, with batch norms that do something."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var, module.bias, module.running_mean):
                tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
    return network.eval()


def encoder(network, **settings):
    torch.manual_seed(0)
    widths = {"width": 8} | ({"fast_width": 4} if network == "slowfast" else {})
    return settled(build_encoder({"network": network, **widths, **settings}))


def images(batch=2, size=41):
    return torch.randn(batch, 3, 1, size, size, generator=torch.Generator().manual_seed(2))


def assert_equal(ours, plain):
    assert ours.keys() == plain.keys()
    for name, feature in plain.items():
        assert ours[name].shape == feature.shape, name
        assert (ours[name] - feature).abs().max() < 1e-5 * feature.abs().max(), name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("network", BUILDERS)
@torch.no_grad()
def test_features_are_those_of_the_repeated_image(network, form):
    one, clip, T = encoder(network, form=form), images(), FRAMES[network]
    for lay_out in (nn.Module.eval, channels_last):
        trunk = lay_out(one).trunk
        ours, plain = repeated(trunk, clip, T), trunk(clip.expand(-1, -1, T, -1, -1))
        assert_equal(ours, plain)
        assert (one.embed(ours) - one.embed(plain)).abs().max() < 1e-5


@torch.no_grad()
def test_padding_in_time_makes_frames_differ():
    """So no temporal network may see the image a single time."""
    for network in ("slow", "slowfast", "3dresnet"):
        conv5 = repeated(encoder(network).trunk, images(), FRAMES[network])["conv4"]
        assert (conv5[:, :, 0] - conv5[:, :, 1]).abs().max() > 1e-2 * conv5.abs().max()


# Frames of each image that the convolutions of stages 1 to 4 (of SlowFast, of the slow pathway) see
# after the first of a stage. 3DResNet's pool and stages 2 to 4 stride in time.
CONVOLVED = {
    "single": [1, 1, 1, 1],
    "trn": [1, 1, 1, 1],
    "slow": [1, 1, 4, 4],
    "fast": [16, 16, 16, 16],
    "slowfast": [4, 4, 4, 4],
    "3dresnet": [8, 4, 2, 1],
}


@pytest.mark.parametrize("network", BUILDERS)
@torch.no_grad()
def test_nothing_is_convolved_twice_before_time_matters(network):
    trunk, B, seen = encoder(network).trunk, 2, {}
    for name, module in trunk.named_modules():
        if isinstance(module, FrameConvolution):
            module.register_forward_hook(
                lambda _, given, out, name=name: seen.update({name: (len(given[0]), out[1])})
            )
    repeated(trunk, images(B), FRAMES[network])
    of = "slow." if network == "slowfast" else "resnet."
    later = ("0.conv2", "1.conv1", "1.conv2")
    for stage, frames in enumerate(CONVOLVED[network]):
        assert {seen[f"{of}stages.{stage}.{name}"][0] for name in later} == {B * frames}
    if network == "slowfast":
        assert seen["slow.stem"] == (B, 1)
    if network == "slow":
        assert seen["resnet.stages.2.0.projection"][0] == B
        assert seen["resnet.stages.2.0.conv1"] == (B, 4)
        assert seen["resnet.stages.1.1.conv2"] == (B, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"temporal_pool": 2},
        {"temporal_strides": (1, 2, 1, 2)},
        {"temporal_kernels": (1, 1, 3, 1, 1), "temporal_strides": (1, 1, 2, 1)},
        {"temporal_kernels": (3, 1, 1, 1, 1)},
    ],
)
@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_other_arrangements_of_time(form, settings):
    torch.manual_seed(0)
    resnet, clip = settled(ResNet18(width=8, form=form, **settings)), images()
    assert_equal(resnet.run(clip, repeats=6)[0], resnet(clip.expand(-1, -1, 6, -1, -1)))


@torch.no_grad()
def test_a_trunk_of_the_users_own_sees_the_repeated_image():
    class Own(nn.Module):
        def forward(self, clip):
            return {"conv5": clip.cumsum(2)}

    found = repeated(Own(), torch.ones(1, 3, 1, 2, 2), 5)["conv5"]
    assert found[0, 0, :, 0, 0].tolist() == [1, 2, 3, 4, 5]


def test_pathways_need_a_multiple_of_their_stride():
    with pytest.raises(VieError, match="multiple of 4"):
        repeated(encoder("slowfast").trunk, images(), 6)
