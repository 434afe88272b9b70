"""The ResNet-18 family against torchvision, 3D arithmetic and counts made by hand."""

import pytest
import torch
import torch.nn.functional as F

from vie.models.convolutions import fold, unfold
from vie.models.resnet import ResNet18, channels_last
from vie.runtime.errors import VieError


def from_torchvision(state):
    """Keys of torchvision's resnet18 -> keys of ours."""
    renamed = {}
    for key, value in state.items():
        if key.startswith("fc."):
            continue
        parts = key.split(".")
        if parts[0] in ("conv1", "bn1"):
            parts[0] = {"conv1": "stem", "bn1": "stem_bn"}[parts[0]]
        else:
            parts[0:1] = ["stages", str(int(parts[0][-1]) - 1)]
            if parts[3] == "downsample":
                parts[3:5] = [("projection", "projection_bn")[int(parts[4])]]
        renamed[".".join(parts)] = value
    return renamed


@pytest.mark.parametrize("training", [False, True])
def test_postactivation_is_torchvisions_resnet18(training):
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs = resnet18(weights=None).double().train(training)  # rounds alike on every CPU
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that are not 0 and 1
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    ours = ResNet18(form="postactivation", bn_momentum=0.1).double().train(training)
    ours.load_state_dict(from_torchvision(theirs.state_dict()))  # strict: same set of weights
    images = torch.randn(2, 3, 64, 72, dtype=torch.float64)
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
    expected = {"conv1": x}
    for number in range(1, 5):
        x = getattr(theirs, f"layer{number}")(x)
        expected[f"conv{number + 1}"] = x
    features = ours(images[:, :, None])
    assert list(features) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(features[name][:, :, 0], value, rtol=0, atol=1e-10)
    for key, value in from_torchvision(theirs.state_dict()).items():  # running averages too
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=0, atol=1e-10)


def reference_preactivation(network, images):
    """The pre-activation ResNet in functional form, each BN-ReLU written where it is used."""

    def bn_relu(x, bn):
        scale = bn.weight / torch.sqrt(bn.running_var + 1e-5)
        shape = (1, -1, 1, 1)
        return ((x - bn.running_mean.view(shape)) * scale.view(shape) + bn.bias.view(shape)).clamp(
            min=0
        )

    x = F.conv2d(images, network.stem.weight, stride=2, padding=3)
    pads = [p for size in reversed(x.shape[2:]) for p in ((1, 1) if size % 2 else (0, 1))]
    x = F.max_pool2d(F.pad(x, pads, value=-torch.inf), 3, 2)  # TensorFlow's SAME
    outputs = [x]
    for number, stage in enumerate(network.stages):
        stride = 1 if number == 0 else 2
        first, second = stage
        h = bn_relu(x, first.bn1)
        y = F.conv2d(h, first.conv1.weight, stride=stride, padding=1)
        y = F.conv2d(bn_relu(y, first.bn2), first.conv2.weight, padding=1)
        x = y + F.conv2d(h, first.projection.weight, stride=stride)
        y = F.conv2d(bn_relu(x, second.bn1), second.conv1.weight, padding=1)
        x = x + F.conv2d(bn_relu(y, second.bn2), second.conv2.weight, padding=1)
        outputs.append(x)
    following = [stage[0].bn1 for stage in network.stages] + [network.final_bn]
    return {
        f"conv{i + 1}": bn_relu(x, bn)
        for i, (x, bn) in enumerate(zip(outputs, following, strict=True))
    }


def test_preactivation_features_are_after_the_next_bn_relu():
    torch.manual_seed(1)
    network = ResNet18(width=8).double().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    images = torch.randn(2, 3, 48, 40, dtype=torch.float64)
    features = network(images[:, :, None])
    for name, value in reference_preactivation(network, images).items():
        torch.testing.assert_close(features[name][:, :, 0], value)


def test_parameter_count_of_the_release_form():
    # Convolutions 3x3 of a stage from i to o channels: i*o, o*o, o*o, o*o; projection: i*o.
    # Batch norms (weight and bias): 2i + 2o in the first block, 2o + 2o in the second.
    def stage(i, o):
        return 9 * (i * o + 3 * o * o) + i * o + 2 * i + 6 * o

    stem = 7 * 7 * 3 * 64
    stages = stage(64, 64) + stage(64, 128) + stage(128, 256) + stage(256, 512)
    final = 2 * 512
    assert stem + stages + final == 11_178_816
    assert sum(p.numel() for p in ResNet18().parameters()) == 11_178_816


def test_shapes_at_224():
    shapes = {
        name: tuple(feature.shape)
        for name, feature in ResNet18()
        .to("meta")(torch.empty(2, 3, 5, 224, 224, device="meta"))
        .items()
    }
    assert shapes == {
        "conv1": (2, 64, 5, 56, 56),
        "conv2": (2, 64, 5, 56, 56),
        "conv3": (2, 128, 5, 28, 28),
        "conv4": (2, 256, 5, 14, 14),
        "conv5": (2, 512, 5, 7, 7),
    }


FAMILY = {
    "slow": {"temporal_kernels": (1, 1, 1, 3, 3)},
    "fast": {"temporal_kernels": (5, 3, 3, 3, 3)},
    "3dresnet": {
        "temporal_kernels": (7, 3, 3, 3, 3),
        "all_temporal": True,
        "temporal_pool": 2,
        "temporal_strides": (1, 2, 2, 2),
    },
}


@pytest.mark.parametrize("form", ["preactivation", "postactivation"])
@pytest.mark.parametrize("name", FAMILY)
def test_constant_video_meets_the_inflated_2d_network(name, form):
    """Kernels with all weight on the centre frame see each frame as the 2D network does.

    A frame kept by the temporal strides then has the 2D features of that frame, so the right
    frames must be kept; with a repeated frame, the max pool over time changes nothing.
    """
    torch.manual_seed(2)
    settings = {"width": 4, "form": form}
    flat = ResNet18(**settings).double().eval()
    network = ResNet18(**settings, **FAMILY[name]).double().eval()
    weights = flat.state_dict()
    for key, value in network.state_dict().items():
        if value.ndim == 5:
            inflated = torch.zeros_like(value)
            inflated[:, :, value.shape[2] // 2] = weights[key]
            weights[key] = inflated
    network.load_state_dict(weights)
    frames = torch.randn(2, 3, 1, 40, 40, dtype=torch.float64).expand(-1, -1, 16, -1, -1)
    expected, got = flat(frames), network(frames)
    for key, feature in got.items():
        torch.testing.assert_close(feature, expected[key][:, :, : feature.shape[2]])
    lengths = [feature.shape[2] for feature in got.values()]
    assert lengths == ([8, 8, 4, 2, 1] if name == "3dresnet" else [16] * 5)


def test_temporal_convolution_is_a_3d_convolution():
    from vie.models.convolutions import FrameConvolution

    torch.manual_seed(3)
    clip = torch.randn(2, 4, 7, 9, 9, dtype=torch.float64)
    for kernel, stride in [(3, 1), (3, 2), (5, 1), (1, 2)]:
        layer = FrameConvolution(4, 6, 3, 2, kernel, stride).double()
        weight = layer.weight if kernel > 1 else layer.weight[:, :, None]
        expected = F.conv3d(clip, weight, stride=(stride, 2, 2), padding=(kernel // 2, 1, 1))
        y, T = layer(fold(clip), 7)
        torch.testing.assert_close(unfold(y, T), expected)


@pytest.mark.parametrize(
    ("outputs", "frames", "kernel"), [(4, 16, 5), (8, 16, 5), (5, 6, 3), (8, 7, 7), (3, 4, 5)]
)
def test_a_narrow_stem_is_a_3d_convolution(outputs, frames, kernel):
    from vie.models.convolutions import FrameConvolution

    torch.manual_seed(5)
    clip = torch.randn(2, 3, frames, 18, 13, dtype=torch.float64)
    layer = FrameConvolution(3, outputs, 7, 2, kernel, stem=True).double()
    assert layer.narrow_stem
    weight = layer.weight.detach().clone().requires_grad_()
    expected = F.conv3d(clip, weight, stride=(1, 2, 2), padding=(kernel // 2, 3, 3))
    y, T = layer(fold(clip), frames)
    assert frames == T
    torch.testing.assert_close(unfold(y, T), expected)
    direction = torch.randn_like(expected)
    (expected * direction).sum().backward()
    (unfold(y, T) * direction).sum().backward()
    torch.testing.assert_close(layer.weight.grad, weight.grad)


def test_frames_are_independent_in_the_2d_network():
    torch.manual_seed(4)
    network = ResNet18(width=4).eval()
    clip = torch.randn(2, 3, 3, 32, 32)
    whole = network(clip)["conv5"]
    for t in range(3):
        alone = network(clip[:, :, t : t + 1])["conv5"]
        torch.testing.assert_close(whole[:, :, t : t + 1], alone, rtol=0, atol=1e-5)


def test_blocks_of_temporal_networks():
    counts = {
        name: [
            [
                convolution.weight.ndim == 5
                for block in stage
                for convolution in (block.conv1, block.conv2)
            ]
            for stage in ResNet18(width=2, **settings).stages
        ]
        for name, settings in FAMILY.items()
    }
    first, none, both = [True, False] * 2, [False] * 4, [True] * 4
    assert counts == {
        "slow": [none, none, first, first],
        "fast": [first] * 4,
        "3dresnet": [both] * 4,
    }


def test_errors_name_the_accepted_values():
    with pytest.raises(VieError, match="preactivation, postactivation"):
        ResNet18(form="bottleneck")
    with pytest.raises(VieError, match="five odd numbers"):
        ResNet18(temporal_kernels=(1, 1, 1, 2, 3))
    network = ResNet18(width=2)
    with pytest.raises(VieError, match=r"\(1, 3, 32, 32\)"):
        network(torch.zeros(1, 3, 32, 32))
    with pytest.raises(VieError, match="uint8"):
        network(torch.zeros(1, 3, 1, 32, 32, dtype=torch.uint8))


def test_channels_last_changes_the_layout_and_no_value():
    network = ResNet18(width=4, temporal_kernels=(1, 1, 1, 3, 3)).eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    before = network(clip)["conv5"]
    channels_last(network)
    assert network.stem.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network(clip)["conv5"], before, atol=1e-5, rtol=1e-4)
