"""One way to train: `Run` says where and how, `fit` trains a task to its end."""

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vie.clips.loader import EpochBatchSampler, TrainClips, loader
from vie.clips.transform import ClipTransform
from vie.config.settings import TENSORBOARD
from vie.engine import loop
from vie.engine.recorder import Recorder
from vie.engine.resumable import EVENTS, METRICS, Resumable
from vie.engine.schedules import Schedule
from vie.engine.task import Task
from vie.engine.trackers import Tracked, open_trackers
from vie.runtime.files import atomic_write, digest
from vie.runtime.threads import use_threads


@dataclass(frozen=True)
class Run:
    """Where and how something is trained."""

    work: Path  # folder of the run's state; a checkpoint of the end and metrics are left there
    seed: int  # of all that is drawn
    name: str  # shown with the progress
    threads: int = 1  # that may be used
    gpus: int = 1  # of each node; 0 keeps to the CPU
    nodes: int = 1  # of a pretraining
    precision: str = "float32"  # as for `vie.engine.device.accelerator`
    version: str = ""  # of the result. A state of another version is not gone on from
    code: str = ""  # digest of the code, for the record; it decides nothing
    checkpoint_seconds: float = 20  # shortest time between two checkpoints
    workers: int | None = None  # processes that load clips; None: as many as keep pace
    report_to: tuple[str, ...] = (TENSORBOARD,)  # what shows the metrics, as in the config
    experiment: str = "vie"  # that trackers file it under

    @property
    def record(self) -> dict[str, str]:
        """What every result says about the code that made it."""
        return {"version": self.version, "code": self.code}

    def copy_metrics(self, path: Path) -> None:
        """Make a result of the metrics in the work folder."""
        with atomic_write(path) as temporary:
            shutil.copyfile(self.work / METRICS, temporary)

    def use_threads(self) -> int:
        """Set this process's threads and devices up; returns how many processes load clips.

        Raises:
            VieError: as `vie.runtime.threads.use_threads`.
        """
        workers = use_threads(self.threads, self.gpus)
        return workers if self.workers is None else self.workers


@dataclass(frozen=True)
class Data:
    """A dataset's files for training and validation."""

    train: Path  # index.parquet of the training videos
    val: Path | None = None  # that of the validation videos, where there are any
    classes: Path | None = None  # classes.csv, where labels are read
    motion: Path | None = None  # motion.npy beside `train`, for clips that ask where videos move


@dataclass(frozen=True)
class TrainingClips:
    """What `fit` feeds to a task."""

    index: Path  # index.parquet
    transform: ClipTransform
    videos: np.ndarray  # instances (V,) that take part
    batch: int  # videos in a batch
    stage: str  # of the address of every draw
    motion: Path | None = None  # as in `Data`
    n_views: int = 1  # clips of each video in a batch


def fit(
    task: Task[Any],
    run: Run,
    clips: TrainingClips,
    schedule: Schedule,
    *,
    key: dict[str, Any],
    metadata: dict[str, Any] | None = None,
) -> None:
    """Train a task to its end, going on from the furthest state of the same run, if there is one.

    Args:
        schedule: its steps; states go on under a longer one (`same_so_far`).
        key: what the steps depend on besides the schedule, the version, seed and precision of the
            run, and the files of `clips`.
        metadata: what checkpoints say besides the state.

    Raises:
        VieError: the loss or a weight is not finite.
        StoppedError: a signal asked to stop; the state is saved.
    """
    workers = run.use_threads()
    settings = {"version": run.version, "seed": run.seed, "precision": run.precision}
    motion = digest(clips.motion) if clips.motion else None
    files = {"index": digest(clips.index), "motion": motion}
    about = (metadata or {}) | run.record
    run_key = settings | files | key
    states = Resumable(run.work, run_key, schedule, about, run.checkpoint_seconds)
    step = schedule.first
    if (content := states.load()) is not None:
        task.restore(content)
        step = content["step"]
    del content  # it may be as large as the network
    steps = range(step, step if task.finished else schedule.last)
    address: dict[str, Any] = {"seed": run.seed, "stage": clips.stage}
    order = EpochBatchSampler(clips.videos, clips.batch, first=step, last=steps.stop, **address)
    dataset = TrainClips(
        clips.index, clips.transform, motion=clips.motion, n_views=clips.n_views, **address
    )
    batches = loader(dataset, order, workers, clips=clips.batch * clips.n_views)
    events = run.work / EVENTS if TENSORBOARD in run.report_to else None
    others = [name for name in run.report_to if name != TENSORBOARD]
    tracked = Tracked(run.experiment, run.name, run_key)
    recorder = Recorder(run.work / METRICS, events, step, lambda: open_trackers(others, tracked))
    with closing(recorder):
        loop.run(task, batches, steps, schedule.first, states, recorder, run.name)
