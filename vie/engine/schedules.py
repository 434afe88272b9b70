"""Durations in steps, and the learning rate of each step."""

from dataclasses import dataclass
from typing import Any

from vie.config.settings import resolve_steps


def divided(rate: float, times: int) -> float:
    """A learning rate after so many drops: every one divides it by 10."""
    return rate * 0.1**times


@dataclass(frozen=True)
class Schedule:
    """When training starts, ends and lowers its rate, in steps from the recipe's start."""

    first: int
    last: int  # the steps are first .. last - 1
    drops: tuple[int, ...] = ()  # the last steps before the learning rate is divided by 10

    def lr(self, base: float, step: int) -> float:
        """The rate of a step. Step numbers start at 0; as in the release, the step with the number
        of a drop is still taken at the old rate."""
        return divided(base, sum(step > drop for drop in self.drops))


def pretraining_schedule(
    settings: dict[str, Any], stage: str, steps_per_epoch: int, *, first: int = 0
) -> Schedule:
    """Schedule of one stage, which starts at step `first`, where what came before has ended.

    Drops count from the start of the first stage, or, in a recipe that starts from another one,
    from that one's start. `settings` are the durations of stages, and `lr_drops`.
    """
    duration = resolve_steps(settings[stage], steps_per_epoch)
    drops = tuple(resolve_steps(drop, steps_per_epoch) for drop in settings["lr_drops"])
    return Schedule(first, first + duration, drops)


def finetuning_schedule(settings: dict[str, Any], steps_per_epoch: int) -> Schedule:
    """Schedule of finetuning: `duration` and `lr_drops`, or `most`, the longest that it may last
    where the rate falls when validation saturates."""
    if "duration" in settings:
        return pretraining_schedule(settings, "duration", steps_per_epoch)
    return pretraining_schedule(settings | {"lr_drops": ()}, "most", steps_per_epoch)


def probe_schedule(settings: dict[str, Any], steps_per_epoch: int) -> Schedule:
    """Schedule of an evaluation, which has one stage: `duration`."""
    return pretraining_schedule(settings, "duration", steps_per_epoch)
