import os

import pytest
import torch

from vie.runtime import threads
from vie.runtime.errors import VieError
from vie.runtime.threads import PROMISED, available_threads, batches_ahead, use_threads


def test_no_more_threads_than_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    monkeypatch.delenv(PROMISED, raising=False)
    assert [available_threads(n) for n in (1, 2, 3, 64)] == [1, 2, 3, 3]
    monkeypatch.setenv(PROMISED, "2")  # fewer than there are: Snakemake's number holds
    assert [available_threads(n) for n in (1, 2)] == [1, 2]


def test_jobs_share_cpus_that_were_promised_twice(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.setenv(PROMISED, "8")
    assert [available_threads(n) for n in (1, 2, 4, 5, 8)] == [1, 1, 1, 2, 2]
    # However Snakemake fills its eight cores with jobs of four, they use what there is.
    assert sum(available_threads(4) for _ in range(8 // 4)) == 2


def test_torch_is_told(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.delenv(PROMISED, raising=False)
    before = torch.get_num_threads()
    try:
        assert use_threads(1) == 0
        assert torch.get_num_threads() == 1
        assert use_threads(8) == (1 if torch.cuda.is_available() else 0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_gpu_that_torch_cannot_use_is_spoken_of(monkeypatch, tmp_path, caplog):
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "DRIVER", tmp_path / "version")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    use_threads(1)  # no driver, no GPU: nothing to say
    (tmp_path / "version").touch()
    assert not caplog.messages
    use_threads(1)
    assert "torch can use no GPU" in caplog.text
    monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    with pytest.raises(VieError, match="torch can use no GPU"):
        use_threads(1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # hidden on purpose
    use_threads(1)
    use_threads(1, gpus=0)
    assert len(caplog.messages) == 1


def test_fewer_batches_wait_where_they_are_large():
    assert batches_ahead(7, 19_267_584) == 4  # VIE-Single's at the paper's scale: 540 MB in all
    assert batches_ahead(11, 154_140_672) == 2  # SlowFast's: 3.4 GB
    assert batches_ahead(40, 308_281_344) == 1
