import os

import torch

from vie.threads import usable, use_threads


def test_no_more_threads_than_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert [usable(n) for n in (1, 2, 3, 64)] == [1, 2, 3, 3]


def test_torch_is_told(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    before = torch.get_num_threads()
    try:
        assert use_threads(1) == 0
        assert torch.get_num_threads() == 1
        assert use_threads(8) == (1 if torch.cuda.is_available() else 0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
