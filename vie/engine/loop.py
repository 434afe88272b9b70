"""The loop that pretraining and evaluations share: steps, metrics, checkpoints, progress."""

import logging
import math
import time
from collections.abc import Iterable
from typing import Any, Protocol

from torch import Tensor

from vie.clips.loader import Batch
from vie.engine.checkpoints import Resumable
from vie.engine.recorder import Recorder
from vie.engine.schedules import Schedule
from vie.runtime import distributed
from vie.runtime.errors import VieError
from vie.runtime.progress import Progress
from vie.runtime.signals import StoppedError, StopRequest

log = logging.getLogger(__name__)
REPORTS = 50  # steps between rows of metrics; reading the loss waits for the device


class Task(Protocol):
    """What is trained.

    Attributes:
        finished: becomes true in `before_step` where training ends before its schedule.
    """

    finished: bool

    def before_step(self, step: int) -> dict[str, float]:
        """Work that is due before `step`, such as a new clustering; metrics it has to report."""

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One optimisation step; {"loss": (), ...} detached, on the device."""

    def at_end(self, step: int) -> dict[str, float]:
        """What is still to be measured after the last step, the one before `step`."""

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint needs besides the step."""


def run(
    task: Task,
    batches: Iterable[Batch],
    schedule: Schedule,
    *,
    start: int,
    resumable: Resumable,
    recorder: Recorder,
    label: str,
) -> None:
    """Train from step `start` to the schedule's end, or until the task is finished.

    The state of the end is saved too; there is nothing to do for a run that goes on from there.

    Raises:
        VieError: the loss is not finite; the last checkpoint from before is kept.
        StoppedError: SIGTERM or SIGUSR1 came; a checkpoint was written at the end of the step.
    """
    if resumable.complete:
        return
    sums: dict[str, Tensor] = {}
    counted, clips, since = 0, 0, time.monotonic()
    shown: dict[str, float] = {}
    bar = Progress(
        total=schedule.last - schedule.first,
        initial=start - schedule.first,
        label=label,
        unit="steps",
        quiet=not distributed.is_main_process(),
    )
    with bar, StopRequest() as requests:
        for step, batch in zip(range(start, schedule.last), batches, strict=True):
            before = task.before_step(step)
            if before:
                recorder.write(step, **before)
                shown.update(before)
            if task.finished:
                break
            for name, value in task.step(step, batch).items():
                sums[name] = sums[name] + value if name in sums else value
            counted, clips = counted + 1, clips + len(batch.clips) * distributed.world_size()
            done = step + 1 == schedule.last
            # Where several processes train, the main one saves what all of them hold.
            stop = requests.received if distributed.is_main_process() and not done else None
            due = stop or (resumable.due() and not done)
            if counted == REPORTS or done or due:
                means = _means(sums, counted, step, resumable)
                rate = clips / (time.monotonic() - since)
                recorder.write(step, **means, clips_per_second=round(rate, 1))
                shown.update(means, **{"clips/s": round(rate)})
                bar.set_postfix(**shown)
                sums, counted, clips, since = {}, 0, 0, time.monotonic()
                if due:
                    # Only after the loss was seen to be finite.
                    resumable.save({"step": step + 1, **task.state()})
                if stop:
                    raise StoppedError(
                        f"stopped by {stop} after {step + 1} steps; the state is in "
                        f"{resumable.path}: the same command goes on from there"
                    )
            bar.update()
        if counted:  # finished before its schedule
            recorder.write(step - 1, **_means(sums, counted, step - 1, resumable))
        last = task.at_end(schedule.last)
        if last:
            recorder.write(schedule.last, **last)
        resumable.save({"step": schedule.last, **task.state()}, complete=True)


def _means(
    sums: dict[str, Tensor], counted: int, step: int, resumable: Resumable
) -> dict[str, float]:
    means = {name: float(value) / counted for name, value in sums.items()}
    if not math.isfinite(means["loss"]):
        raise VieError(
            f"the loss became {means['loss']} in steps {step + 1 - counted} to {step}; "
            f"{resumable.advice()}"
        )
    return means
