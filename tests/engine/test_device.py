"""What a process trains on, and in which precision."""

import os

import pytest
import torch

from vie import pretrain
from vie.engine.device import Accelerator, accelerator, at_least_float32
from vie.engine.schedules import Schedule
from vie.models.convolutions import FrameConvolution
from vie.pretrain import Pretraining


def test_whoever_trains_gets_deterministic_kernels(monkeypatch):
    """Of the settings alone, so that it holds without a GPU too."""
    asked = []
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *a, **k: asked.append((a, k)))
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        accelerator()
    assert asked == [((True,), {"warn_only": True})]
    assert not torch.backends.cudnn.benchmark
    assert os.environ.pop("CUBLAS_WORKSPACE_CONFIG") == ":4096:8"


@pytest.mark.parametrize("half", [False, True])
def test_the_network_may_be_bf16_and_what_is_measured_is_float32(recipe, monkeypatch, half):
    monkeypatch.setattr(pretrain, "accelerator", lambda _: Accelerator(torch.device("cpu"), half))
    labels, schedule = torch.zeros(24, dtype=torch.int64), Schedule(0, 2)
    task = Pretraining(recipe, "instance_recognition", schedule, labels, seed=0, steps_per_epoch=1)
    found = []
    convolution = next(m for m in task.network().modules() if isinstance(m, FrameConvolution))
    convolution.register_forward_hook(lambda module, inputs, output: found.append(output[0].dtype))
    clips, noise = torch.randn(6, 3, 1, 32, 32), torch.Generator().manual_seed(0)
    with task.accelerator.autocast():
        measures, embedding = task.model(clips, torch.arange(6), task.bank.vectors, noise)
    assert found == [torch.bfloat16 if half else torch.float32]
    assert {value.dtype for value in [*measures.values(), embedding]} == {torch.float32}
    task.update(measures["loss"], 0.1)
    assert {p.dtype for p in task.network().parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("given", "then"), [("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_no_precision_is_lost(given, then):
    values = at_least_float32(torch.ones(2, dtype=getattr(torch, given)))
    assert values.dtype == getattr(torch, then)
