"""Trackers of Accelerate: what they are told, and what happens where they fail."""

import importlib.util
import logging

import pytest

from tests.engine.test_boards import IR, rows_of, train
from vie.config.settings import BOARDS
from vie.engine.trackers import Tracked, Tracker
from vie.runtime.errors import VieError

tracking = pytest.importorskip("accelerate.tracking")


@pytest.fixture
def told(monkeypatch):
    """A tracker in place of wandb, and what it is told: [(method, arguments)]."""
    calls = []

    class Local(tracking.GeneralTracker):
        name = "wandb"
        requires_logging_directory = False
        tracker = None

        def __init__(self, project, **keywords):
            super().__init__()
            calls.append(("made", project, keywords))

        @tracking.on_main_process
        def start(self):
            tracking.logger.debug("as they all do")
            calls.append(("start",))

        @tracking.on_main_process
        def store_init_configuration(self, values):
            calls.append(("settings", values))

        @tracking.on_main_process
        def log(self, values, step=None, **_):
            calls.append(("log", step, dict(values)))

        @tracking.on_main_process
        def finish(self):
            calls.append(("finish",))

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", Local)
    monkeypatch.setattr(tracking, "_available_trackers", ["wandb"])
    return Local, calls


def test_all_trackers_of_accelerate_may_be_named():
    assert set(tracking.LOGGER_TYPE_TO_CLASS) == set(BOARDS)


def test_a_tracker_is_told_every_row_and_the_settings(recipe, small_dataset, tmp_path, told):
    settings = {"report_to": ("wandb",), "experiment": "demo"}
    train(recipe, IR, small_dataset, tmp_path, **settings)
    made, start, configuration, *logs, end = told[1]
    name, project, keywords = made
    assert (name, project, keywords["name"]) == ("made", "demo", "test")
    assert start == ("start",)
    assert end == ("finish",)
    assert configuration[1]["recipe.optimiser.lr"] == 0.05
    assert configuration[1]["seed"] == 1
    values = {}
    for _, step, row in logs:
        values.setdefault(step, {}).update(row)
    for row in rows_of(tmp_path, IR):
        assert row.items() <= (values[row["step"]] | {"step": row["step"]}).items()
    assert {"lr", "gradient_norm"} <= values[9].keys()
    assert "bank/mean_cosine" in values[0]
    assert not (tmp_path / f"{IR}.state" / "tensorboard").exists()

    # What goes on is the same run; other settings are another one.
    recipe["schedule"][IR] = "12 steps"
    train(recipe, IR, small_dataset, tmp_path, **settings)
    recipe["optimiser"]["lr"] = 0.01
    train(recipe, IR, small_dataset, tmp_path, **settings)
    ids = [call[2]["id"] for call in told[1] if call[0] == "made"]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("where", ["start", "log", "finish"])
def test_a_tracker_that_fails_is_left_out(
    recipe, small_dataset, tmp_path, told, monkeypatch, caplog, where
):
    def fail(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(told[0], where, fail)
    end = train(recipe, IR, small_dataset, tmp_path, report_to=("tensorboard", "wandb"))
    assert end["step"] == 10
    [warning] = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "wandb cannot be reported to" in warning.message
    assert "no network" in warning.message
    assert bool([call for call in told[1] if call[0] == "log"]) is (where == "finish")


def test_what_is_missing_is_named_before_training(recipe, small_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "_available_trackers", ["tensorboard"])
    with pytest.raises(VieError, match="package of aim is not installed: run `uv pip install aim`"):
        train(recipe, IR, small_dataset, tmp_path, report_to=("tensorboard", "aim"))
    assert not (tmp_path / f"{IR}.pt").exists()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VieError, match=r"aim needs accelerate.* `uv sync --extra trackers`"):
        train(recipe, IR, small_dataset, tmp_path, report_to=("aim",))


def test_a_tracker_without_runs_in_projects_gets_the_whole_name(told, monkeypatch):
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "aim", told[0])
    monkeypatch.setattr(tracking, "_available_trackers", ["aim"])
    Tracker("aim", Tracked("demo", "vie single seed 0", {})).finish()
    assert told[1][0] == ("made", "demo vie single seed 0", {})


def test_a_tracker_has_nobody_to_ask(told, monkeypatch):
    """Some ask for a login where there is a terminal, and would wait for ever."""
    import sys

    monkeypatch.setattr(told[0], "start", lambda self: told[1].append(sys.stdin.isatty()))
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    Tracker("wandb", Tracked("demo", "run", {}))
    assert told[1][1] is False
    assert sys.stdin.isatty()
