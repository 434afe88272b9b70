"""Whole checkpoints: everything a run needs to go on as if it had never stopped."""

import logging
import time
from pathlib import Path
from typing import Any

import torch

from vie.runtime import distributed
from vie.runtime.errors import VieError
from vie.runtime.files import clear_dir
from vie.runtime.torch_files import load, save

log = logging.getLogger(__name__)


class Resumable:
    """Checkpoints of a run in progress, as often as costs about 1 % of its time.

    Where several processes train, the main one writes, and all of them load.

    Args:
        path: where, in the folder of a `vie.runtime.files.in_progress`.
        run_key: what the run depends on. A checkpoint of another run_key is not resumed.
        at_least_seconds: shortest time between two checkpoints.

    Attributes:
        complete: whether what was loaded is the state of the run's end.
    """

    complete = False

    def __init__(self, path: Path, run_key: dict[str, Any], at_least_seconds: float = 20) -> None:
        self.path, self.run_key, self.at_least_seconds = path, run_key, at_least_seconds
        self.saved_at, self.cost = time.monotonic(), 0.0

    def load(self) -> dict[str, Any] | None:
        """Content of the last checkpoint, or None to start at the beginning.

        Then nothing of an earlier attempt is left, its metrics among it.
        """
        try:
            content = self._load() if distributed.is_main_process() else None
        finally:
            distributed.barrier()
        if not distributed.is_main_process() and self.path.exists():
            content = load(self.path)
        self.complete = content is not None and content["complete"]
        return content

    def _load(self) -> dict[str, Any] | None:
        if not self.path.exists():
            clear_dir(self.path.parent)
            return None
        content = load(self.path)
        if content["run_key"] != self.run_key:
            changed = [
                key
                for key in self.run_key | content["run_key"]
                if self.run_key.get(key) != content["run_key"].get(key)
            ]
            log.warning(
                "%s belongs to a run with other settings (%s): starting from the beginning",
                self.path,
                ", ".join(changed),
            )
            clear_dir(self.path.parent)
            return None
        log.info("resuming at step %d from %s", content["step"], self.path)
        return content

    def due(self) -> bool:
        """Whether enough time has passed since the last checkpoint."""
        if not distributed.is_main_process():
            return False
        wait = max(self.at_least_seconds, 100 * self.cost)
        return time.monotonic() - self.saved_at >= wait

    def save(self, content: dict[str, Any], *, complete: bool = False) -> None:
        """Write a checkpoint now; `complete` if it is the run's end.

        Raises:
            VieError: a weight is not finite; the last checkpoint is kept.
        """
        if not distributed.is_main_process():
            return
        start = time.monotonic()
        if not _finite(content):
            raise VieError(f"weights are no longer finite; {self.advice()}")
        save(self.path, {"run_key": self.run_key, "complete": complete, **content})
        self.saved_at = time.monotonic()
        self.cost = self.saved_at - start

    def advice(self) -> str:
        """What to do when training has diverged."""
        kept = f"the last good checkpoint is {self.path}. " if self.path.exists() else ""
        return (
            f"{kept}Lower optimiser.lr (when finetuning, finetuning.trained.lr or untrained.lr), "
            "or raise objective.temperature, and start again"
        )


def _finite(content: Any) -> bool:
    """Whether all tensors in nested dicts, lists and tuples are finite."""
    if isinstance(content, torch.Tensor):
        return bool(torch.isfinite(content).all())
    if isinstance(content, dict):
        return all(_finite(value) for value in content.values())
    if isinstance(content, list | tuple):
        return all(_finite(value) for value in content)
    return True
