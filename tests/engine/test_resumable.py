"""States of runs: which fit, which are set aside, and that none is lost."""

import errno
import json
import logging
from pathlib import Path

import pytest
import torch

from vie.engine import resumable
from vie.engine.resumable import Resumable, differences, same_settings, same_so_far
from vie.engine.schedules import Schedule
from vie.runtime import torch_files
from vie.runtime.errors import VieError
from vie.runtime.files import exclusive_workdir

TEN = Schedule(0, 10)


def run(work, seed=1, schedule=TEN, **settings):
    return Resumable(work, {"seed": seed}, schedule, **settings)


def trained(work, step, seed=1, schedule=TEN):
    """Leave a state of `seed` in a work folder, with a row of metrics that names it."""
    states = run(work, seed, schedule)
    states.load()
    states.save(step, {"weights": torch.full((2,), float(seed))})
    (work / "metrics.jsonl").write_text(json.dumps({"step": step - 1, "seed": seed}) + "\n")


def of(work):
    """Seed and step of the present state, and the seed of its metrics."""
    content = torch_files.load(work / "checkpoint.pt")
    metrics = json.loads((work / "metrics.jsonl").read_text())
    return content["run_key"]["seed"], content["step"], metrics["seed"]


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "state"
    with exclusive_workdir(folder):
        yield folder


@pytest.mark.parametrize(
    ("before", "now", "step", "same"),
    [
        (Schedule(0, 100), Schedule(0, 100), 40, True),
        (Schedule(0, 100), Schedule(0, 300), 40, True),  # longer
        (Schedule(0, 100), Schedule(0, 300), 100, True),  # from the end on
        (Schedule(0, 100), Schedule(0, 50), 40, True),  # shorter, but not there yet
        (Schedule(0, 100), Schedule(0, 40), 40, True),  # just there
        (Schedule(0, 100), Schedule(0, 39), 40, False),
        (Schedule(0, 100, (39,)), Schedule(0, 100), 40, True),  # step 39 was the last
        (Schedule(0, 100, (38,)), Schedule(0, 100), 40, False),
        (Schedule(0, 100), Schedule(0, 100, (38,)), 40, False),
        (Schedule(50, 100, (49,)), Schedule(50, 100, (50,)), 52, False),
        (Schedule(0, 100, (60,)), Schedule(0, 200, (120,)), 40, True),  # drops to come
        (Schedule(0, 100, (20, 60)), Schedule(0, 200, (20, 120)), 40, True),
        (Schedule(0, 100, (20, 60)), Schedule(0, 200, (25, 120)), 40, False),
        (Schedule(0, 100, (20, 30)), Schedule(0, 100, (30, 20)), 40, True),
        (Schedule(50, 100, (20,)), Schedule(50, 100, (30,)), 60, True),  # both before its start
        (Schedule(50, 100, (20,)), Schedule(50, 100), 60, False),
        (Schedule(50, 100), Schedule(60, 100), 60, False),  # another stage before
    ],
)
def test_steps_that_would_have_been_the_same(before, now, step, same):
    assert same_so_far(before, now, step) is same
    if before.first == now.first and step <= now.last:  # what it claims, step by step
        rates = [[s.lr(1.0, t) for t in range(s.first, step)] for s in (before, now)]
        assert (rates[0] == rates[1]) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1.0}, True),
        ({"a": (1, 2)}, {"a": [1, 2]}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ({"a": 0.1}, {"a": 0.1 + 1e-12}, False),
    ],
)
def test_settings_are_compared_by_value(one, other, same):
    assert same_settings(one, other) is same


def test_differences_are_named_key_by_key():
    old = {"seed": 1, "recipe": {"lr": 0.1, "batch": 5, "clip": {"frames": 4}}, "index": "a" * 40}
    new = {"seed": 1.0, "recipe": {"lr": 0.2, "batch": 5, "clip": "slow"}, "index": "b" * 40}
    assert differences(old, new) == [
        "recipe.lr 0.1 -> 0.2",
        'recipe.clip {"frames": 4} -> "slow"',
        "index",
    ]
    assert differences({}, {"motion": "x"}) == ['motion null -> "x"']


def test_a_state_of_other_settings_is_set_aside_and_taken_back(work, caplog):
    caplog.set_level(logging.INFO)
    trained(work, 7, seed=1)
    assert run(work, seed=2).load() is None
    assert [path.name for path in sorted(work.iterdir())] == ["lock", "superseded-1"]
    assert "other settings (seed 1 -> 2): it is kept in" in caplog.text
    assert "superseded-1 (0.0 MB)" in caplog.text
    trained(work, 3, seed=2)
    assert run(work, seed=1).load()["step"] == 7
    assert of(work) == (1, 7, 1)
    assert run(work, seed=3).load() is None
    assert run(work, seed=2).load()["step"] == 3
    assert of(work) == (2, 3, 2)
    assert len(list(work.glob("superseded-*"))) == 1


def test_event_files_go_with_their_state(work):
    def events():
        found = [path.read_text() for path in (work / "tensorboard").glob("*")]
        return found[0] if found else None

    trained(work, 7, seed=1)
    (work / "tensorboard").mkdir()
    (work / "tensorboard" / "events").write_text("seed 1")
    run(work, seed=2).load()
    assert events() is None
    (work / "tensorboard").mkdir()
    (work / "tensorboard" / "events").write_text("killed before its first checkpoint")
    run(work, seed=1).load()
    assert events() == "seed 1"
    assert not list(work.glob("superseded-*"))


def test_the_furthest_state_that_fits_is_taken_back(work):
    late, early = Schedule(0, 10, (8,)), Schedule(0, 10, (5,))
    trained(work, 7, schedule=late)
    trained(work, 6, schedule=early)
    trained(work, 2, seed=2)
    trained(work, 4, schedule=Schedule(0, 10, (3,)))
    assert run(work, schedule=TEN).load()["step"] == 7  # of 7 (late), 6 and 4, which are too early
    trained(work, 9, schedule=TEN)
    assert run(work, schedule=early).load()["step"] == 6
    assert sorted(folder.name[-1] for folder in work.glob("superseded-*")) == ["3", "4", "5"]


def test_a_longer_schedule_goes_on_from_the_end_and_leaves_it(work):
    trained(work, 10)
    longer = Schedule(0, 30)
    for _ in range(2):  # killed before its first checkpoint
        assert run(work, schedule=longer).load()["step"] == 10
    kept = work / "superseded-1" / "checkpoint.pt"
    assert kept.samefile(work / "checkpoint.pt")  # no second copy as long as nothing is trained
    trained(work, 20, schedule=longer)
    assert run(work, schedule=TEN).load()["step"] == 10
    assert run(work, schedule=longer).load()["step"] == 20
    assert run(work, schedule=Schedule(0, 9)).load() is None
    assert len(list(work.glob("superseded-*"))) == 2


def renames(monkeypatch, fails_at):
    """From now on the rename number `fails_at` is not done: the process is killed before it."""
    real, count = Path.replace, iter(range(100))

    def replace(self, target):
        if "checkpoint" not in self.name and "metrics" not in self.name:
            return real(self, target)
        if next(count) == fails_at:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(resumable.Path, "replace", replace)


@pytest.mark.parametrize("fails_at", range(4))
def test_a_kill_between_two_renames_loses_nothing(work, monkeypatch, fails_at):
    trained(work, 7, seed=1)
    trained(work, 3, seed=2)
    with monkeypatch.context() as patch:
        renames(patch, fails_at)
        with pytest.raises(KeyboardInterrupt):
            run(work, seed=1).load()  # two renames aside, two back
    for seed, step in ((2, 3), (1, 7), (2, 3)):
        assert run(work, seed=seed).load()["step"] == step
        assert of(work) == (seed, step, seed)


def test_a_damaged_state_that_was_set_aside_is_no_obstacle(work, caplog):
    trained(work, 7, seed=1)
    trained(work, 3, seed=2)
    kept = work / "superseded-1" / "checkpoint.pt"
    kept.write_bytes(kept.read_bytes()[:500])
    assert run(work, seed=1).load() is None
    assert "not taken back" in caplog.text
    assert kept.exists()
    assert run(work, seed=2).load()["step"] == 3


def test_a_disk_that_fails_does_not_start_training_over(work, monkeypatch):
    trained(work, 7, seed=1)
    trained(work, 3, seed=2)
    whole = torch_files.zipfile.ZipFile

    def failing(path):
        if "superseded" in str(path):
            raise OSError(errno.EIO, "Input/output error")
        return whole(path)

    with monkeypatch.context() as patch:
        patch.setattr(torch_files.zipfile, "ZipFile", failing)
        with pytest.raises(OSError, match=r"superseded-1/checkpoint\.pt"):
            run(work, seed=1).load()
    assert run(work, seed=1).load()["step"] == 7


def test_metrics_of_an_attempt_without_a_checkpoint_are_not_this_ones(work):
    (work / "metrics.jsonl").write_text('{"step": 3}\n')
    assert run(work).load() is None
    assert not (work / "metrics.jsonl").exists()


def test_a_state_of_an_earlier_version_is_set_aside(work, caplog):
    torch_files.save(work / "checkpoint.pt", {"identity": {"seed": 1}, "step": 4, "over": False})
    assert run(work).load() is None
    assert "written by an earlier version" in caplog.text
    assert (work / "superseded-1" / "checkpoint.pt").exists()


def test_metadata_decide_nothing_and_are_brought_up_to_date(work):
    first = run(work, metadata={"label": "old", "code": "a"})
    first.load()
    first.save(10, {"weights": torch.ones(1)})
    made = (work / "checkpoint.pt").stat().st_ino
    same = run(work, metadata={"label": "old", "code": "b"})
    same.load()
    same.save_end(10, {"weights": torch.zeros(1)})  # is there: not even written
    assert (work / "checkpoint.pt").stat().st_ino == made
    other = run(work, metadata={"label": "new", "code": "b"})
    content = other.load()
    other.save_end(10, {"weights": content["weights"]})
    content = torch_files.load(work / "checkpoint.pt")
    assert (content["label"], content["code"], content["weights"].item()) == ("new", "a", 1)


def test_checkpoints_are_as_rare_as_they_are_costly(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(resumable.time, "monotonic", lambda: now[0])
    states = run(tmp_path, at_least_seconds=20)
    assert not states.due()
    now[0] = 20.0
    assert states.due()
    monkeypatch.setattr(torch_files, "save", lambda path, content: now.__setitem__(0, now[0] + 3))
    states.save(1, {})
    now[0] += 299
    assert not states.due()
    now[0] += 2
    assert states.due()


def test_weights_that_are_not_finite_never_replace_good_ones(work):
    states = run(work)
    states.save(1, {"optimiser": {"state": [torch.ones(2)]}})
    with pytest.raises(VieError, match=r"no longer finite; the last good checkpoint is .*\.pt"):
        states.save(2, {"optimiser": {"state": [torch.tensor([1.0, torch.nan])]}})
    assert states.load()["step"] == 1


def test_superseded_states_outlive_a_finished_run(tmp_path):
    folder = tmp_path / "state"
    with exclusive_workdir(folder):
        trained(folder, 7, seed=1)
        trained(folder, 10, seed=2)
    with exclusive_workdir(folder):
        assert run(folder, seed=1).load()["step"] == 7
