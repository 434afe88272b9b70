"""Whole checkpoints: everything a run needs to go on as if it had never stopped."""

import logging
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from vie import parallel
from vie.errors import VieError
from vie.files import empty, whole

log = logging.getLogger(__name__)


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values to `path`, whole or not at all."""
    with whole(path) as temporary:
        torch.save(content, temporary)


def load(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted, never code.

    Raises:
        VieError: the file is damaged, or holds more than that.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not compare the checksums
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise VieError(f"{path}: no such checkpoint") from None
    except Exception as error:  # torch and pickle raise many kinds on damaged files
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise VieError(
            f"{path} is not a checkpoint that can be read ({reason}); delete it to have it made "
            "again"
        ) from error


class Resumable:
    """Checkpoints of a run in progress, as often as costs about 1 % of its time.

    Where several processes train, the main one writes, and all of them load.

    Args:
        path: where, in the folder of a `vie.files.in_progress`.
        identity: what the run depends on. A checkpoint of another identity is not resumed.
        at_least_seconds: shortest time between two checkpoints.

    Attributes:
        over: whether what was loaded is the state of the run's end.
    """

    over = False

    def __init__(self, path: Path, identity: dict[str, Any], at_least_seconds: float = 20) -> None:
        self.path, self.identity, self.at_least_seconds = path, identity, at_least_seconds
        self.saved_at, self.cost = time.monotonic(), 0.0

    def load(self) -> dict[str, Any] | None:
        """Content of the last checkpoint, or None to start at the beginning.

        Then nothing of an earlier attempt is left, its metrics among it.
        """
        try:
            content = self._load() if parallel.main() else None
        finally:
            parallel.wait()
        if not parallel.main() and self.path.exists():
            content = load(self.path)
        self.over = content is not None and content["over"]
        return content

    def _load(self) -> dict[str, Any] | None:
        if not self.path.exists():
            empty(self.path.parent)
            return None
        content = load(self.path)
        if content["identity"] != self.identity:
            changed = [
                key
                for key in self.identity | content["identity"]
                if self.identity.get(key) != content["identity"].get(key)
            ]
            log.warning(
                "%s belongs to a run with other settings (%s): starting from the beginning",
                self.path,
                ", ".join(changed),
            )
            empty(self.path.parent)
            return None
        log.info("resuming at step %d from %s", content["step"], self.path)
        return content

    def due(self) -> bool:
        """Whether enough time has passed since the last checkpoint."""
        if not parallel.main():
            return False
        wait = max(self.at_least_seconds, 100 * self.cost)
        return time.monotonic() - self.saved_at >= wait

    def save(self, content: dict[str, Any], *, over: bool = False) -> None:
        """Write a checkpoint now; `over` if it is the run's end.

        Raises:
            VieError: a weight is not finite; the last checkpoint is kept.
        """
        if not parallel.main():
            return
        start = time.monotonic()
        if not _finite(content):
            raise VieError(f"weights are no longer finite; {self.advice()}")
        save(self.path, {"identity": self.identity, "over": over, **content})
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
