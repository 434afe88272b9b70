from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.config.settings import resolve_steps, stages
from vie.engine.schedules import Schedule, pretraining_schedule, probe_schedule
from vie.runtime.errors import VieError


@pytest.mark.parametrize(
    ("duration", "steps"),
    [("7 steps", 7), ("2 epochs", 200), ("0.5 epochs", 50), ("0.001 epochs", 1)],
)
def test_steps_of_a_duration(duration, steps):
    assert resolve_steps(duration, 100) == steps


@pytest.mark.parametrize("duration", ["", "3", "3 hours", "-1 steps", "1.5 steps", "1 epochs!"])
def test_wrong_durations(duration):
    with pytest.raises(VieError, match="duration"):
        resolve_steps(duration, 100)


def test_the_papers_schedule_of_vie_single():
    settings = {
        "instance_recognition": "50000 steps",
        "local_aggregation": "1325000 steps",
        "lr_drops": ["1020011 steps", "1220011 steps"],
    }
    first = pretraining_schedule(settings, "instance_recognition", 1874)
    second = pretraining_schedule(settings, "local_aggregation", 1874, first=first.last)
    assert (first.first, first.last, second.first, second.last) == (0, 50_000, 50_000, 1_375_000)
    # TensorFlow's piecewise_constant: the boundary itself still has the old rate.
    assert second.lr(0.03, 1_020_011) == 0.03
    assert second.lr(0.03, 1_020_012) == pytest.approx(0.003)
    assert second.lr(0.03, 1_220_012) == pytest.approx(0.0003)


@pytest.mark.parametrize(
    ("recipe", "batch", "drops", "last"),
    [  # protocol sections 6 and 7; they end with the checkpoints that were read out
        ("vie_single", 128, (1_020_011, 1_220_011), 1_375_000),
        ("vie_trn", 64, (1_455_011, 1_570_011), None),
        ("vie_3dresnet", 64, (974_946, 1_304_998), 1_450_000),
        ("vie_slow", 64, (1_170_011, 1_380_011), 1_440_000),
        ("vie_slowfast", 64, (1_120_011, 1_294_998), 1_350_000),
    ],
)
def test_the_papers_optimisation_is_in_its_experiment(recipe, batch, drops, last):
    root = Path(__file__).parents[2]
    config = load_config(root / "config.yaml", root / "experiments" / "kinetics400.yaml")
    settings = config["recipes"][recipe]
    assert settings["optimiser"] == {
        "batch": batch,
        "lr": 0.03,
        "momentum": 0.9,
        "weight_decay": 1e-4,
    }
    first = 1_375_000 if recipe == "vie_trn" else 0  # TRN goes on from VIE-Single's end
    for stage in stages(settings):
        schedule = pretraining_schedule(settings["schedule"], stage, 239_888 // batch, first=first)
        first = schedule.last
    assert schedule.drops == drops
    assert schedule.last > drops[-1]
    assert last in (None, schedule.last)


def test_probe_schedule():
    settings = {"duration": "3 epochs", "lr_drops": ["2 epochs"]}
    assert probe_schedule(settings, 10) == Schedule(0, 30, (20,))
