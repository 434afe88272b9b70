"""Durations in steps, and the learning rate of each step."""

from dataclasses import dataclass

from vie.config import resolve_steps
from vie.errors import VieError


@dataclass(frozen=True)
class Schedule:
    """When training starts, ends and lowers its rate, in steps from the recipe's start.

    Attributes:
        first, last: the steps are first .. last - 1.
        drops: steps at which the learning rate is divided by 10.
    """

    first: int
    last: int
    drops: tuple[int, ...] = ()

    def lr(self, base: float, step: int) -> float:
        """Learning rate of `step`."""
        return base * 0.1 ** sum(step >= drop for drop in self.drops)


def pretraining_schedule(settings: dict, stage: str, steps_per_epoch: int) -> Schedule:
    """Schedule of one stage; steps and drops count from the start of the first stage.

    Args:
        settings: `schedule` of a recipe.
        stage: "instance_recognition" or "local_aggregation".
        steps_per_epoch: batches in an epoch.
    """
    recognition = resolve_steps(settings["instance_recognition"], steps_per_epoch)
    aggregation = resolve_steps(settings["local_aggregation"], steps_per_epoch)
    drops = tuple(resolve_steps(drop, steps_per_epoch) for drop in settings["lr_drops"])
    spans = {
        "instance_recognition": (0, recognition),
        "local_aggregation": (recognition, recognition + aggregation),
    }
    if stage not in spans:
        raise VieError(f"pretraining stage {stage!r} is unknown; known: {', '.join(spans)}")
    return Schedule(*spans[stage], drops)


def probe_schedule(settings: dict, steps_per_epoch: int) -> Schedule:
    """Schedule of a readout: `duration` and `lr_drops`."""
    drops = tuple(resolve_steps(drop, steps_per_epoch) for drop in settings["lr_drops"])
    return Schedule(0, resolve_steps(settings["duration"], steps_per_epoch), drops)
