import os
import pickle

import numpy as np
import pytest
import torch

from vie.engine import checkpoints
from vie.engine.checkpoints import Resumable
from vie.engine.recorder import Recorder
from vie.runtime.errors import VieError
from vie.runtime.files import exclusive_workdir


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    path = tmp_path / "checkpoint.pt"
    torch.save({"encoder": Attack()}, path)
    with pytest.raises(VieError, match=r"checkpoint\.pt is not a checkpoint that can be read"):
        checkpoints.load(path)
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(VieError, match="not a checkpoint"):
        checkpoints.load(path)
    assert not (tmp_path / "attacked").exists()


def test_half_a_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoints.save(path, {"a": torch.arange(1000)})
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(VieError, match=r"checkpoint\.pt is not a checkpoint"):
        checkpoints.load(path)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoints.save(path, {"step": 1})
    with pytest.raises(Exception, match="pickle"):
        checkpoints.save(path, {"step": lambda: 2})
    assert checkpoints.load(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoints_are_as_rare_as_they_are_costly(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    resumable = Resumable(tmp_path / "c.pt", {"seed": 1}, at_least_seconds=20)
    assert not resumable.due()
    now[0] = 20.0
    assert resumable.due()
    monkeypatch.setattr(checkpoints, "save", lambda path, content: now.__setitem__(0, now[0] + 3))
    resumable.save({"step": 1})
    now[0] += 299
    assert not resumable.due()
    now[0] += 2
    assert resumable.due()


def test_metrics_go_on_where_the_checkpoint_was(tmp_path):
    path = tmp_path / "metrics.jsonl"
    recorder = Recorder(path, tmp_path / "tensorboard")
    for step in (1, 2, 3):
        recorder.write(step, loss=float(step))
    recorder.close()
    with path.open("a") as file:
        file.write('{"step": 4, "lo')  # torn by a kill
    recorder = Recorder(path, tmp_path / "tensorboard", step=3)
    recorder.write(3, loss=0.5)
    recorder.close()
    assert path.read_text().splitlines() == [
        '{"step": 1, "loss": 1.0}',
        '{"step": 2, "loss": 2.0}',
        '{"step": 3, "loss": 0.5}',
    ]


def test_every_damage_is_seen(tmp_path):
    """Checkpoints come from strangers and from disks that fill up."""
    path, rng = tmp_path / "checkpoint.pt", np.random.default_rng(0)
    checkpoints.save(path, {"step": 3, "weights": torch.randn(300)})
    good = path.read_bytes()
    for _ in range(60):
        bad = bytearray(good[: rng.integers(1, len(good))] if rng.random() < 0.5 else good)
        for place in rng.integers(0, len(bad), 40):
            bad[place] ^= 0xFF
        path.write_bytes(bad)
        with pytest.raises(VieError, match="delete it to have it made again"):
            checkpoints.load(path)


def test_weights_that_are_not_finite_never_replace_good_ones(tmp_path):
    resumable = Resumable(tmp_path / "run" / "c.pt", {"seed": 1})
    resumable.save({"step": 1, "optimiser": {"state": [torch.ones(2)]}})
    with pytest.raises(VieError, match=r"no longer finite; the last good checkpoint is .*c\.pt"):
        resumable.save({"step": 2, "optimiser": {"state": [torch.tensor([1.0, torch.nan])]}})
    assert resumable.load()["step"] == 1


def test_a_run_with_other_settings_keeps_nothing_but_its_lock(tmp_path):
    folder = tmp_path / "run"
    with exclusive_workdir(folder):
        Resumable(folder / "c.pt", {"seed": 1}).save({"step": 1}, complete=True)
        (folder / "metrics.jsonl").touch()
        (folder / "old").mkdir()
    same, other = Resumable(folder / "c.pt", {"seed": 1}), Resumable(folder / "c.pt", {"seed": 2})
    with exclusive_workdir(folder):
        assert same.load()["step"] == 1
        assert same.complete
        assert other.load() is None
        assert not other.complete
        assert [p.name for p in folder.iterdir()] == ["lock"]
