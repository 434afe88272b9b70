"""Every network of the family: shapes, counts made by hand, and what only the right one does."""

import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F

from vie.models.convolutions import fold, unfold
from vie.models.encoders import BUILDERS, build_encoder, feature_shapes
from vie.runtime.errors import VieError

CLIPS = {
    "single": (1, 224),
    "trn": (4, 224),
    "slow": (4, 224),
    "fast": (16, 224),
    "slowfast": (16, 224),
    "3dresnet": (16, 112),
}


def shapes(*stages):
    return {f"conv{i + 1}": stage for i, stage in enumerate(stages)}


def plain(frames, *, width=64, size=56):
    sizes = [size, size, size // 2, size // 4, size // 8]
    channels = [width, width, 2 * width, 4 * width, 8 * width]
    return shapes(*((c, frames, s, s) for c, s in zip(channels, sizes, strict=True)))


EXPECTED = {
    "single": plain(1),
    "trn": plain(4),
    "slow": plain(4),
    "fast": plain(16, width=8),
    # The slow pathway's channels and twice the fast pathway's.
    "slowfast": shapes(
        (64 + 16, 4, 56, 56),
        (64 + 16, 4, 56, 56),
        (128 + 32, 4, 28, 28),
        (256 + 64, 4, 14, 14),
        (512 + 128, 4, 7, 7),
    )
    | {"fast": (64, 16, 7, 7)},
    # 16 frames: the pool strides by 2 and so do stages 2 to 4. 112 pixels: 28 after the pool.
    "3dresnet": shapes(
        (64, 8, 28, 28), (64, 8, 28, 28), (128, 4, 14, 14), (256, 2, 7, 7), (512, 1, 4, 4)
    ),
}


@pytest.mark.parametrize("network", BUILDERS)
def test_shapes_at_the_papers_input_size(network):
    encoder = build_encoder({"network": network})
    T, size = CLIPS[network]
    assert feature_shapes(encoder.trunk, (3, T, size, size)) == EXPECTED[network]


def block(inputs, outputs, kernels, *, projection):
    """Parameters of a pre-activation block; `kernels` are the two temporal ones."""
    norms = 2 * inputs + 2 * outputs
    first, second = (9 * t * i * outputs for t, i in zip(kernels, (inputs, outputs), strict=True))
    return norms + first + second + (inputs * outputs if projection else 0)


def resnet(width, stem, stages, *, every=False, laterals=(0, 0, 0, 0, 0)):
    """Parameters of the trunk: stem 7x7, four stages of two blocks, the final BN."""
    total, inputs = 3 * 49 * stem * width, width + laterals[0]
    for number, kernel in enumerate(stages):
        outputs = width * 2**number
        kernels = (kernel, kernel if every else 1)
        total += block(inputs, outputs, kernels, projection=True)
        total += block(outputs, outputs, kernels, projection=False)
        inputs = outputs + laterals[number + 1]
    return total + 2 * inputs


FAST = resnet(8, 5, (3, 3, 3, 3))
LATERALS = sum(5 * C * 2 * C for C in (8, 8, 16, 32, 64))
COUNTS = {
    "single": resnet(64, 1, (1, 1, 1, 1)) + 512 * 128 + 128,
    "trn": resnet(64, 1, (1, 1, 1, 1)) + 4 * 512 * 128 + 128,
    "slow": resnet(64, 1, (1, 1, 3, 3)) + 512 * 128 + 128,
    "fast": FAST + 64 * 128 + 128,
    "slowfast": (
        FAST
        + LATERALS
        + resnet(64, 1, (1, 1, 3, 3), laterals=(16, 16, 32, 64, 128))
        + (512 + 128 + 64) * 128
        + 128
    ),
    "3dresnet": resnet(64, 7, (3, 3, 3, 3), every=True) + 512 * 128 + 128,
}


@pytest.mark.parametrize("network", BUILDERS)
def test_parameters_counted_by_hand(network):
    encoder = build_encoder({"network": network})
    assert sum(p.numel() for p in encoder.parameters()) == COUNTS[network]


def small(network, **settings):
    """A narrow network in double precision, with batch statistics that matter."""
    torch.manual_seed(0)
    encoder = build_encoder({"network": network, "width": 4, "embedding": 6} | settings)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return encoder.double().eval()


def clip(T, size=64, batch=2):
    return torch.randn(batch, 3, T, size, size, dtype=torch.float64)


def test_slow_with_temporal_kernels_of_one_frame_is_single_on_every_frame():
    slow, single = small("slow"), small("single")
    state = single.state_dict()
    for key, value in slow.state_dict().items():
        if value.ndim == 5:  # only the middle frame's kernel remains
            assert value.shape[2] == 3
            value.zero_()
            value[:, :, 1] = state[key]
        else:
            value.copy_(state[key])
    frames = clip(4)
    together = slow.trunk(frames)
    for t in range(4):
        alone = single.trunk(frames[:, :, t : t + 1])
        for name, feature in alone.items():
            torch.testing.assert_close(together[name][:, :, t : t + 1], feature)


def test_slow_sees_the_order_of_frames_in_its_last_two_stages_only():
    slow, frames = small("slow"), clip(4)
    features, backwards = slow.trunk(frames), slow.trunk(frames.flip(2))
    for name, feature in features.items():
        same = torch.allclose(backwards[name].flip(2), feature)
        assert same == (name not in ("conv4", "conv5")), name


def test_temporal_kernels_are_in_the_first_convolution_of_a_block_or_in_both():
    slow, all3d = small("slow").trunk.resnet, small("3dresnet").trunk.resnet
    kernels = [[(c.weight.shape[2:-2]) for c in (b.conv1, b.conv2)] for b in slow.stages[3]]
    assert kernels == [[(3,), ()], [(3,), ()]]
    assert all(c.weight.shape[2:] == (3, 3, 3) for b in all3d.stages[0] for c in (b.conv1, b.conv2))
    assert all3d.stem.weight.shape[2:] == (7, 7, 7)


def test_3dresnet_on_identical_frames_and_impulses():
    """Far from the ends, a still clip gives still features; a change reaches only the stem's 7."""
    network, still = small("3dresnet"), clip(1).expand(-1, -1, 32, -1, -1)
    conv1 = network.trunk(still)["conv1"]  # 32 frames -> 16 after the pool
    torch.testing.assert_close(conv1[:, :, 4], conv1[:, :, 8])
    changed = still.clone()
    changed[:, :, 16] += 1
    moved = (network.trunk(changed)["conv1"] - conv1).abs().amax((0, 1, 3, 4)) > 1e-12
    # Frame 16 is seen by stem outputs 13..19; pool output t holds the stem's 2t - 1 .. 2t + 1.
    assert moved.nonzero().flatten().tolist() == [6, 7, 8, 9]


def test_slowfast_without_laterals_is_its_two_pathways():
    both, frames = small("slowfast", fast_width=2), clip(16)
    with torch.no_grad():
        for convolution in both.trunk.laterals:
            convolution.weight.zero_()
    features = both.trunk(frames)
    fast = small("fast", width=2)
    fast.trunk.resnet.load_state_dict(both.trunk.fast.state_dict())
    torch.testing.assert_close(features["fast"], fast.trunk(frames)["conv5"])
    # Zero laterals stay zero only through a BN without mean and bias.
    stages = both.trunk.slow.stages
    with torch.no_grad():
        for norm in [stage[0].bn1 for stage in stages] + [both.trunk.slow.final_bn]:
            norm.running_mean.zero_()
            norm.bias.zero_()
    # The slow pathway alone: weights and statistics of the laterals' channels cut away.
    slow, state = small("slow"), both.trunk.slow.state_dict()
    for key, value in slow.trunk.resnet.state_dict().items():
        if value.ndim:
            part = state[key][: value.shape[0]]
            value.copy_(part if value.ndim == 1 else part[:, : value.shape[1]])
    features, zeros = both.trunk(frames), slow.trunk(frames[:, :, ::4])
    for name, feature in zeros.items():
        torch.testing.assert_close(features[name][:, : feature.shape[1]], feature)
        assert not features[name][:, feature.shape[1] :].any()


def test_lateral_connections_by_a_plain_convolution():
    both, frames = small("slowfast", fast_width=2), clip(16)
    _, outputs = both.trunk.fast.run(frames)
    x, T = outputs[0]
    assert T == 16
    lateral, _ = both.trunk.laterals[0](x, T)
    weight = both.trunk.laterals[0].weight
    assert weight.shape == (4, 2, 5, 1, 1)
    expected = F.conv3d(unfold(x, T), weight, stride=(4, 1, 1), padding=(2, 0, 0))
    torch.testing.assert_close(lateral, fold(expected))
    # What the slow pathway's first stage reads: its own pooled stem, then the lateral.
    conv1 = both.trunk(frames)["conv1"]
    norm = both.trunk.slow.stages[0][0].bn1
    last = (expected - norm.running_mean[4:].view(4, 1, 1, 1)) / torch.sqrt(
        norm.running_var[4:].view(4, 1, 1, 1) + 1e-5
    )
    torch.testing.assert_close(conv1[:, 4:], F.relu(last))


def test_slowfast_pools_both_pathways():
    both, frames = small("slowfast", fast_width=2), clip(16)
    features = both.trunk(frames)
    pooled = torch.cat([features["conv5"].mean((2, 3, 4)), features["fast"].mean((2, 3, 4))], 1)
    assert pooled.shape == (2, 32 + 2 * 16 + 16)  # slow, laterals, fast
    expected = F.normalize(pooled @ both.head.weight.T + both.head.bias, dim=1)
    torch.testing.assert_close(both(frames)[0], expected)
    with pytest.raises(VieError, match="multiple of 4"):
        both(clip(6))


def test_trn_shares_one_trunk_and_keeps_the_order():
    trn, single, frames = small("trn"), small("single"), clip(4)
    single.trunk.load_state_dict(trn.trunk.state_dict())  # one ResNet, no more
    pooled = torch.cat(
        [single.trunk(frames[:, :, t : t + 1])["conv5"].mean((2, 3, 4)) for t in range(4)], 1
    )
    expected = F.normalize(pooled @ trn.head.weight.T + trn.head.bias, dim=1)
    torch.testing.assert_close(trn(frames)[0], expected)
    assert not torch.allclose(trn(frames.flip(2))[0], expected)
    with pytest.raises(VieError, match="relates 4 frames, but the clip has 2"):
        trn(clip(2))


def test_trn_starts_from_singles_trunk_with_a_linear_layer_of_its_own():
    trn, single = small("trn"), small("single")
    before = trn.head.weight.clone()
    trn.init_from(single.state_dict())
    for name, value in single.trunk.state_dict().items():
        assert torch.equal(trn.trunk.state_dict()[name], value), name
    assert torch.equal(trn.head.weight, before)
    trn.init_from(small("trn").state_dict())
    with pytest.raises(VieError, match="cannot take over"):
        trn.init_from(small("single", width=8).state_dict())
    with pytest.raises(VieError, match="cannot take over"):
        single.init_from(trn.state_dict())


@pytest.mark.parametrize("threads", [1, 2])
def test_gradients_of_narrow_networks_in_channels_last(threads):
    """Against float64: a strided 1x1 convolution of few channels is wrong in some oneDNN builds,
    and corrupts memory, so the network runs in a process of its own."""
    code = f"""
        import torch
        from vie.models.encoders import build_encoder
        from vie.models.resnet import channels_last
        torch.set_num_threads({threads})
        for width in (2, 4, 7, 8):
            torch.manual_seed(0)
            encoder = channels_last(build_encoder({{"network": "single", "width": width}}))
            precise = build_encoder({{"network": "single", "width": width}}).double()
            precise.load_state_dict(encoder.state_dict())
            clips = torch.randn(16, 3, 2, 64, 64)
            encoder(clips)[0][:, 0].sum().backward()
            precise(clips.double())[0][:, 0].sum().backward()
            for one, other in zip(encoder.parameters(), precise.parameters(), strict=True):
                error = (one.grad - other.grad).norm() / other.grad.norm()
                assert error < 0.05, (width, error)  # float32; the fault is 0.5
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("network", ["single", "trn", "slowfast"])
def test_a_norm_centres_the_embeddings_of_a_batch(network):
    """Without it, embeddings of a new network point the same way, even of noise."""
    frames = {"single": 1, "trn": 4, "slowfast": 8}[network]
    clips = torch.randn(12, 3, frames, 32, 32)
    cosines = {}
    for norm in (None, "batch"):
        torch.manual_seed(0)
        settings = {"network": network, "width": 8, "embedding": 16, "embedding_norm": norm}
        encoder = build_encoder(settings)
        with torch.no_grad():
            embedding = encoder(clips)[0]
            by_hand = encoder.head(encoder(clips)[1]["pooled"])
        if norm:
            by_hand = (by_hand - by_hand.mean(0)) / by_hand.std(0, unbiased=False)
        torch.testing.assert_close(embedding, F.normalize(by_hand, dim=1), rtol=1e-3, atol=1e-3)
        cosines[norm] = float((embedding @ embedding.T).sum() - 12) / (12 * 11)
    assert cosines[None] > cosines["batch"] + 0.15
    assert abs(cosines["batch"]) < 0.15


def test_an_embeddings_norm_adds_no_weights_and_is_saved():
    settings = {"network": "single", "width": 4, "embedding": 8}
    plain, normed = build_encoder(settings), build_encoder(settings | {"embedding_norm": "batch"})
    names = [name for name, _ in plain.named_parameters()]
    assert [name for name, _ in normed.named_parameters()] == names
    added = {name for name in normed.state_dict() if name not in plain.state_dict()}
    assert {"norm.running_mean", "norm.running_var"} <= added
    normed(torch.randn(6, 3, 1, 32, 32))
    again = build_encoder(settings | {"embedding_norm": "batch"})
    again.init_from(normed.state_dict())
    clip = torch.randn(2, 3, 1, 32, 32)
    assert torch.equal(again.eval()(clip)[0], normed.eval()(clip)[0])


def test_a_trn_keeps_its_own_norm():
    settings = {"width": 4, "embedding": 8, "embedding_norm": "batch"}
    single = build_encoder({"network": "single", **settings})
    single(torch.randn(6, 3, 1, 32, 32) + 1)
    trn = build_encoder({"network": "trn", **settings})
    trn.init_from(single.state_dict())
    assert torch.equal(trn.norm.running_mean, torch.zeros(8))


def test_a_norm_needs_an_embedding():
    for wrong in ({"embedding": "pooled", "embedding_norm": "batch"}, {"embedding_norm": "layer"}):
        with pytest.raises(VieError, match="embedding_norm"):
            build_encoder({"network": "single", "width": 4, **wrong})
