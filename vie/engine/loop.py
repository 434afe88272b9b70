"""The loop that all training shares: steps, metrics, checkpoints, progress."""

import math
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor

from vie.clips.loader import Batch
from vie.engine.recorder import Recorder
from vie.engine.resumable import Resumable
from vie.engine.task import Task
from vie.runtime import distributed
from vie.runtime.errors import VieError
from vie.runtime.progress import Progress
from vie.runtime.signals import StoppedError, noting_signals

REPORTS = 50  # steps between rows of metrics; reading the loss waits for the device


class Means:
    """Means of what steps have measured since the last row of metrics."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps, self.clips, self.since = 0, 0, time.monotonic()

    def add(self, values: dict[str, Tensor], clips: int) -> None:
        """Count a step of all processes together with `clips` clips."""
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.steps, self.clips = self.steps + 1, self.clips + clips

    def row(self, step: int, advice: str) -> dict[str, float]:
        """The means up to `step`, and clips per second.

        Raises:
            VieError: the loss is not finite.
        """
        means = {name: float(value) / self.steps for name, value in self.sums.items()}
        if not math.isfinite(means["loss"]):
            steps = f"steps {step + 1 - self.steps} to {step}"
            raise VieError(f"the loss became {means['loss']} in {steps}; {advice}")
        rate = self.clips / (time.monotonic() - self.since)
        return {**means, "clips_per_second": round(rate, 1)}


def run(
    task: Task[Any],
    batches: Iterable[Batch],
    steps: range,
    first: int,
    resumable: Resumable,
    recorder: Recorder,
    label: str,
) -> None:
    """Train `steps`, or until the task is finished, save the state and measure what is left.

    The task is at the state before the first of `steps`, each of which takes one of `batches`.
    `first` is the step at which the run began, for its progress, which is shown with `label`.

    Raises:
        VieError: the loss is not finite; the last checkpoint from before is kept.
        StoppedError: SIGTERM or SIGUSR1 came; a checkpoint was written at the end of the step.
    """
    main = distributed.is_main_process()
    total, initial = steps.stop - first, steps.start - first
    bar = Progress(total=total, initial=initial, quiet=not main, label=label, unit="steps")
    means, shown, end = Means(), {}, steps.stop
    with bar, noting_signals() as received:
        for step, batch in zip(steps, batches, strict=True):
            before = task.before_step(step)
            if before:
                recorder.write(step, **before)
                recorder.show(step, task.shown_at_times)
                shown.update(before)
            if task.finished:
                end = step + 1  # the metrics of `step` are written
                break
            if step == first:
                recorder.picture(step, "clips", partial(task.picture, batch))
            means.add(task.step(step, batch), len(batch.clips) * distributed.world_size())
            done = step + 1 == steps.stop
            stop = received[0].name if received else None
            # Where several processes train, the main one saves what all of them hold.
            due = main and not done and (stop or resumable.due())
            if means.steps == REPORTS or done or due:
                row, means = means.row(step, resumable.advice()), Means()
                recorder.write(step, **row)
                recorder.show(step, task.shown)
                task.reported(step, row)
                shown |= row
                shown["clips/s"] = round(shown.pop("clips_per_second"))
                bar.set_postfix(**shown)
                if due:
                    resumable.save(step + 1, task.state())  # only as the loss was seen to be finite
                if due and stop:
                    raise StoppedError(
                        f"stopped by {stop} after {step + 1} steps; the state is in "
                        f"{resumable.path}: the same command goes on from there"
                    )
            bar.update()
        if means.steps:  # finished before its schedule
            recorder.write(step - 1, **means.row(step - 1, resumable.advice()))
        resumable.save_end(end, task.state())
        _measure(task, steps.stop, recorder)


def _measure(task: Task[Any], end: int, recorder: Recorder) -> None:
    """What is measured once, at the end."""
    if last := task.at_end(end):
        recorder.write(end, **last)
        recorder.show(end, task.shown_at_times)
    if points := task.points():
        recorder.points("validation", points)
