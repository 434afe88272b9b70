"""What makes results repeat their bits on a GPU."""

import os

import torch

from vie.engine.device import accelerator


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
