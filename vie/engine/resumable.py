"""States of a run in its work folder: what a killed run, or a longer one, goes on from."""

import contextlib
import json
import logging
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vie.config.settings import canonical
from vie.engine.schedules import Schedule
from vie.runtime import distributed, torch_files
from vie.runtime.errors import VieError
from vie.runtime.files import SUPERSEDED, link

log = logging.getLogger(__name__)
# The files of a state, and its folder of TensorBoard's event files.
CHECKPOINT, METRICS, EVENTS = torch_files.CHECKPOINT, "metrics.jsonl", "tensorboard"
SHOWN = 60  # characters of a setting that the log quotes


def same_settings(one: Any, other: Any) -> bool:
    """Whether two settings are the same: 1 is 1.0, (1,) is [1], the order of keys is any."""
    return json.dumps(canonical(one)) == json.dumps(canonical(other))


def same_so_far(before: Schedule, now: Schedule, step: int) -> bool:
    """Whether a run that was trained to `step` under one schedule is the run of another so far.

    The end and the drops of the learning rate from `step` - 1 on may differ: no step has seen them.
    """

    def drops(schedule: Schedule) -> list[int]:
        before = schedule.first - 1  # a drop has its effect from the step after it on
        return sorted(max(drop, before) for drop in schedule.drops if drop < step - 1)

    return before.first == now.first and drops(before) == drops(now) and step <= now.last


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Where two nested settings differ, key by key: ["objective.temperature 0.07 -> 0.2"]."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            difference
            for key in dict.fromkeys([*old, *new])
            for difference in differences(old.get(key), new.get(key), f"{name}.{key}".strip("."))
        ]
    if same_settings(old, new):
        return []
    values = f"{json.dumps(old)} -> {json.dumps(new)}"
    return [f"{name} {values}" if len(values) <= SHOWN else name]


class Resumable:
    """Checkpoints of a run in progress, as often as costs about 1 % of its time.

    A state that does not fit the run is never removed: it moves to a folder `superseded-<n>` in
    the work folder, and back when the run's settings are its own again. So does a shorter
    schedule's end that a longer one goes on from.

    Where several processes train, the main one writes, and all of them load.

    Args:
        work: folder, of a `vie.runtime.files.exclusive_workdir`.
        run_key, schedule: all that the steps of the run depend on.
        metadata: what every checkpoint says besides; it does not decide what fits.
        at_least_seconds: shortest time between two checkpoints.
    """

    def __init__(
        self,
        work: Path,
        run_key: dict[str, Any],
        schedule: Schedule,
        metadata: dict[str, Any] | None = None,
        at_least_seconds: float = 20,
    ) -> None:
        self.work, self.path = work, work / CHECKPOINT
        self.run_key, self.schedule = run_key, schedule
        self.metadata, self.at_least_seconds = metadata or {}, at_least_seconds
        self.saved_at, self.cost = time.monotonic(), 0.0
        self.on_disk: dict[str, Any] = {}

    def load(self) -> dict[str, Any] | None:
        """Content of the furthest state that fits the run, or None to start at the beginning.

        Then the work folder has no metrics of an earlier attempt either.

        Raises:
            VieError: the nodes of a training see different files.
        """
        main = distributed.is_main_process()
        try:
            content = self._chosen() if main else None
        finally:
            distributed.barrier()
        if not main and self.path.exists():
            content = torch_files.load(self.path)
        if not distributed.all_same(content and content["step"]):
            raise VieError(
                f"the nodes of this training do not see the same {self.path}: {self.work} must "
                "lie on a file system that they share. If it does, start again"
            )
        if content is not None:
            text = "resuming at step %d from %s"
            if content["step"] == self.schedule.last:
                text = "trained to its end already, step %d: %s"
            log.info(text, content["step"], self.path)
            self.on_disk = {key: content.get(key) for key in ("step", "code", *self.metadata)}
        return content

    def fits(self, content: dict[str, Any]) -> bool:
        """Whether the run would have come to this state."""
        before = content.get("schedule")
        return (
            before is not None
            and same_settings(content["run_key"], self.run_key)
            and same_so_far(Schedule(**before), self.schedule, content["step"])
        )

    def _chosen(self) -> dict[str, Any] | None:
        """Content of the furthest state that fits, put in place; another one is set aside."""
        self._mend()
        current = torch_files.load(self.path) if self.path.exists() else None
        if current is None:
            # Of less than a checkpoint's time.
            (self.work / METRICS).unlink(missing_ok=True)
            shutil.rmtree(self.work / EVENTS, ignore_errors=True)
        best = current if current is not None and self.fits(current) else None
        taken = None
        for folder in self._superseded().values():
            try:
                content = torch_files.load(folder / CHECKPOINT)
            except VieError as error:
                log.warning("not taken back: %s", error)
                continue
            if self.fits(content) and (best is None or content["step"] > best["step"]):
                best, taken = content, folder
        if current is not None and best is not current:
            self._set_aside(current)
        if taken is not None:
            log.info("these settings were trained before: taking the state in %s back", taken)
            self._take_back(taken)
        if best is not None and best["step"] == best["schedule"]["last"] < self.schedule.last:
            self._keep_end()
        return best

    def _superseded(self) -> dict[int, Path]:
        """Folders of the states that were set aside, by their number."""
        folders = [path for path in self.work.glob(f"{SUPERSEDED}*") if path.is_dir()]
        named = {path.name.removeprefix(SUPERSEDED): path for path in folders}
        return dict(sorted((int(name), path) for name, path in named.items() if name.isdecimal()))

    def _new_folder(self) -> Path:
        folder = self.work / f"{SUPERSEDED}{max(self._superseded(), default=0) + 1}"
        folder.mkdir()
        return folder

    def _mend(self) -> None:
        """What a kill left between two renames: a folder with metrics whose checkpoint is ours."""
        for folder in self._superseded().values():
            if not (folder / CHECKPOINT).exists() and not (self.work / METRICS).exists():
                self._take_back(folder)

    def _take_back(self, folder: Path) -> None:
        for name in (CHECKPOINT, EVENTS, METRICS):
            if (folder / name).exists():
                (folder / name).replace(self.work / name)
        with contextlib.suppress(OSError):  # it has other files
            folder.rmdir()

    def _keep_end(self) -> None:
        """Before a longer schedule goes on from a shorter one's end: that is kept as well."""
        for folder in self._superseded().values():
            if (folder / CHECKPOINT).exists() and self.path.samefile(folder / CHECKPOINT):
                return  # by an attempt that was killed
        folder = self._new_folder()
        log.info(
            "the schedule is longer now: going on from its end, which is kept in %s (%.1f MB). You "
            "may delete that folder",
            folder,
            self.path.stat().st_size / 1e6,
        )
        if (self.work / METRICS).exists():
            shutil.copyfile(self.work / METRICS, folder / METRICS)
        link(self.path, folder / CHECKPOINT)

    def _set_aside(self, content: dict[str, Any]) -> None:
        folder = self._new_folder()
        log.warning(
            "the state at step %s in %s is of a run with other settings (%s): it is kept in %s "
            "(%.1f MB), and training goes on from it if these settings come back. You may delete "
            "that folder",
            content.get("step"),
            self.path,
            ", ".join(self._changes(content)),
            folder,
            self.path.stat().st_size / 1e6,
        )
        for name in (METRICS, EVENTS, CHECKPOINT):
            if (self.work / name).exists():
                (self.work / name).replace(folder / name)

    def _changes(self, content: dict[str, Any]) -> list[str]:
        """What of a state does not fit."""
        if "schedule" not in content:
            return ["written by an earlier version"]
        key = differences(content["run_key"], self.run_key)
        schedule = differences(content["schedule"], asdict(self.schedule), "schedule")
        return key or schedule or ["another state is further"]

    def due(self) -> bool:
        """Whether enough time has passed since the last checkpoint."""
        wait = max(self.at_least_seconds, 100 * self.cost)
        return time.monotonic() - self.saved_at >= wait

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a checkpoint now; `step` is the number of the next step.

        Raises:
            VieError: a weight is not finite; the last checkpoint is kept.
        """
        if not distributed.is_main_process():
            return
        start = time.monotonic()
        if not _finite(state):
            raise VieError(f"weights are no longer finite; {self.advice()}")
        content = {"run_key": self.run_key, "schedule": asdict(self.schedule), **self.metadata}
        torch_files.save(self.path, {**content, "step": step, **state})
        self.saved_at = time.monotonic()
        self.cost = self.saved_at - start

    def save_end(self, step: int, state: dict[str, Any]) -> None:
        """Write the state of the run's end, but where the checkpoint that was loaded has it.

        That one is written anew only where its metadata have changed, and names the code that
        trained it, not the present one.
        """
        now = {"step": step, **self.metadata}
        if self.on_disk.get("step") == step:
            now["code"] = self.on_disk.get("code")
        if now != self.on_disk:
            self.metadata = {key: value for key, value in now.items() if key != "step"}
            self.save(step, state)

    def advice(self) -> str:
        """What to do when training has diverged."""
        kept = f"the last good checkpoint is {self.path}. " if self.path.exists() else ""
        return (
            f"{kept}Lower optimiser.lr (when finetuning, finetuning.trained.lr or untrained.lr), "
            "or raise objective.temperature, and start again"
        )


def _finite(content: Any) -> bool:
    """Whether all tensors in nested dicts, lists and tuples are finite."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list | tuple):
        return all(_finite(value) for value in content)
    return not isinstance(content, torch.Tensor) or bool(torch.isfinite(content).all())
