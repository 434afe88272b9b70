import pytest

from vie.config import resolve_steps
from vie.errors import VieError
from vie.training.schedules import Schedule, pretraining_schedule, probe_schedule


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
        "local_aggregation": "1350000 steps",
        "lr_drops": ["1020011 steps", "1220011 steps"],
    }
    first = pretraining_schedule(settings, "instance_recognition", 1874)
    second = pretraining_schedule(settings, "local_aggregation", 1874, first=first.last)
    assert (first.first, first.last, second.first, second.last) == (0, 50_000, 50_000, 1_400_000)
    assert second.lr(0.03, 1_020_010) == 0.03
    assert second.lr(0.03, 1_020_011) == pytest.approx(0.003)
    assert second.lr(0.03, 1_220_011) == pytest.approx(0.0003)


def test_probe_schedule():
    settings = {"duration": "3 epochs", "lr_drops": ["2 epochs"]}
    assert probe_schedule(settings, 10) == Schedule(0, 30, (20,))
