"""Operations with a way of their own on a GPU, against the CPU's. VIE_EXPECT_GPU=1 asks for one."""

import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.golden import synthetic
from vie.clips import color_jitter
from vie.clips.color_jitter import STD, apply_color_jitter, normalise
from vie.clips.loader import Batch
from vie.engine.device import to_device
from vie.engine.optimizer import sgd
from vie.models.resnet import ResNet18
from vie.objectives.bank import similarities
from vie.objectives.clustering import kmeans
from vie.runtime import kernels

pytestmark = pytest.mark.gpu
LEVEL = 1 / 255 / max(STD)  # one level of uint8, in what normalisation makes of it


def batch(clips=24, frames=3):
    rows = np.arange(clips)
    draws = synthetic.draws(rows, 1, {"strength": 0.4, "hue": 0.4, "grey": 0.3})
    labels = torch.from_numpy(rows)
    return Batch(synthetic.clips(rows, 2, frames), labels, labels, draws)


def test_triton_builds_kernels_here():
    """Without them everything goes on, but more slowly: that is to be noticed."""
    assert kernels.usable()
    assert os.environ.get("TRITON_INTERPRET", "0") == "0"


@pytest.mark.parametrize("with_kernels", [True, False])
def test_colors_are_those_of_the_cpu(monkeypatch, with_kernels):
    if not with_kernels:
        monkeypatch.setattr(color_jitter.kernels, "usable", lambda: False)
    clips, _, _, draws = batch()
    for here, there in (
        (apply_color_jitter(clips, draws), apply_color_jitter(clips.cuda(), draws)),
        (normalise(clips), normalise(clips.cuda())),
    ):
        assert there.is_cuda
        assert (there.cpu() - here).abs().max() < LEVEL / 10


def test_clips_come_in_the_type_and_format_of_the_network():
    clips, _, _, draws = batch()
    with torch.autocast("cuda", torch.bfloat16):
        half = apply_color_jitter(clips.cuda(), draws)
    assert half.dtype == torch.bfloat16
    frames = half.transpose(1, 2).flatten(0, 1)  # (B, 3, T, H, W) -> (B * T, 3, H, W)
    assert frames.is_contiguous(memory_format=torch.channels_last)
    full = apply_color_jitter(clips.cuda(), draws)
    torch.testing.assert_close(half, full.bfloat16())


def test_batches_that_are_copied_beside_the_work_arrive_whole():
    """Each is overwritten on the host as soon as it may be."""
    device, work = torch.device("cuda"), torch.randn(2048, 2048, device="cuda")
    expected, found = [], []
    for step in range(20):
        clips, rows, labels, draws = batch()
        clips = (clips + step).to(torch.uint8).pin_memory()
        expected.append(apply_color_jitter(clips, draws))
        for _ in range(5):
            work = work @ work / 2048
        found.append(to_device(Batch(clips, rows.pin_memory(), labels, draws), device).clips)
        del clips
    for here, there in zip(expected, found, strict=True):
        assert (there.cpu() - here).abs().max() < LEVEL / 10


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_a_batch_needs_no_waiting_for_the_gpu():
    pinned = batch()
    draws = type(pinned.color_jitter)(*(part.pin_memory() for part in pinned.color_jitter))
    pinned = Batch(*(part.pin_memory() for part in pinned[:3]), draws)
    to_device(pinned, torch.device("cuda"))  # builds the kernels
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        to_device(pinned, torch.device("cuda"))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_similarities_are_those_of_the_cpu():
    embedding, vectors, weights = torch.randn(7, 128), torch.randn(900, 128), torch.randn(7, 1000)
    rows = torch.randint(900, (7, 1000))
    results = []
    for device, dtype in (("cpu", torch.float64), ("cuda", torch.float32)):
        one = embedding.to(device, dtype).requires_grad_()
        found = similarities(one, vectors.to(device, dtype), rows.to(device))
        (gradient,) = torch.autograd.grad((found * weights.to(device)).sum(), one)
        results.append([found.detach().cpu().double(), gradient.cpu().double()])
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-3)


def objective(v, labels, clusters):
    sums = torch.zeros(clusters, v.shape[1]).index_add_(0, labels, v)
    means = sums / torch.bincount(labels, minlength=clusters).clamp(min=1)[:, None]
    return float((v - means[labels]).square().sum())


def test_clusters_are_as_good_as_those_of_faiss_and_the_same_every_time():
    v = F.normalize(torch.randn(20_000, 64), dim=1)
    (here,), (there,) = kmeans(v, 300, seed=3), kmeans(v.cuda(), 300, seed=3)
    np.testing.assert_array_equal(there, kmeans(v.cuda(), 300, seed=3)[0])
    low = objective(v, torch.from_numpy(here), 300)
    assert objective(v, torch.from_numpy(there), 300) == pytest.approx(low, rel=1e-3)


def test_clusters_are_the_groups():
    vectors = F.normalize(torch.eye(8)[torch.arange(80) % 8] + 0.01 * torch.randn(80, 8), dim=1)
    labels = kmeans(vectors.cuda(), 8, clusterings=3, seed=1)
    for found in labels:  # two clusters may share a group, but none holds a part of two
        assert all(len(set((np.flatnonzero(found == c) % 8).tolist())) <= 2 for c in range(8))


@pytest.mark.parametrize("form", ["preactivation", "postactivation"])
def test_the_pool_over_time_is_that_of_the_cpu(form):
    network = ResNet18(width=4, form=form, temporal_pool=2)
    x = torch.randint(-3, 3, (2 * 7, 4, 15, 12)).float()
    x = x.contiguous(memory_format=torch.channels_last)
    here, there = x.clone().requires_grad_(), x.cuda().requires_grad_()
    expected, T = network._pool(here, 7)
    found, same = network._pool(there, 7)
    assert same == T
    assert torch.equal(found.cpu(), expected)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (found * weights.cuda()).sum().backward()
    torch.testing.assert_close(there.grad.cpu(), here.grad)


def test_a_state_of_the_optimiser_goes_from_device_to_device():
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3)
    twin = torch.nn.Linear(4, 3).cuda()
    twin.load_state_dict(layer.state_dict())
    first, second = sgd(layer, 0.1), sgd(twin, 0.1)
    for parameter, other in zip(layer.parameters(), twin.parameters(), strict=True):
        parameter.grad = torch.randn_like(parameter)
        other.grad = parameter.grad.cuda()
    for _ in range(2):  # there and back
        first.step()
        second.step()
        second.load_state_dict(first.state_dict())
        first.load_state_dict(second.state_dict())
    assert [group["fused"] for group in first.param_groups] == [None, None]
    assert [group["fused"] for group in second.param_groups] == [True, True]
    torch.testing.assert_close(twin.weight.cpu(), layer.weight, rtol=1e-5, atol=1e-6)
