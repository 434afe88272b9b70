import os
import pickle

import numpy as np
import pytest
import torch

from vie.engine import checkpoints
from vie.engine.recorder import Recorder
from vie.runtime.errors import VieError


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


def test_a_digest_of_content_is_of_its_values_alone(tmp_path):
    content = {"encoder": {"w": torch.arange(4.0), "b": torch.ones(2)}, "step": 3}
    checkpoints.save(tmp_path / "a.pt", content)
    turned = {"step": 3, "encoder": dict(reversed(content["encoder"].items()))}
    found = {
        checkpoints.content_digest(one)
        for one in (content, turned, checkpoints.load(tmp_path / "a.pt"))
    }
    assert len(found) == 1
    changed = [
        {**content, "step": 4},
        {**content, "encoder": {"w": torch.arange(4.0), "b": torch.ones(2, dtype=torch.int32)}},
        {**content, "encoder": {"w": torch.arange(4.0).view(2, 2), "b": torch.ones(2)}},
        {**content, "encoder": {"w": torch.arange(4.0), "b": torch.tensor([1, 1 + 1e-7])}},
        {"encoder": content["encoder"]},
    ]
    assert len(found | {checkpoints.content_digest(one) for one in changed}) == 6
