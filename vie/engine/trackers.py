"""Trackers of Accelerate, such as Weights & Biases or MLflow: the metrics of runs side by side."""

import contextlib
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vie.runtime.errors import VieError
from vie.runtime.torch_files import content_digest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tracked:
    """What a tracker is told of a run."""

    project: str
    name: str
    settings: dict[str, Any]  # all that the run's steps depend on

    @property
    def id(self) -> str:
        """The same for a run that was killed and goes on; another one for other settings."""
        words = re.sub(r"[^A-Za-z0-9_.]+", "-", self.name)[:80]
        return f"{words}-{content_digest(self.settings)[:8]}"

    def keywords(self, tracker: str) -> dict[str, Any]:
        """Which run of the project this is, in the words of a tracker that has words for it."""
        known: dict[str, dict[str, Any]] = {
            "dvclive": {"dir": f"dvclive/{self.id}", "resume": True, "save_dvc_exp": False},
            "mlflow": {"run_name": self.name},
            "trackio": {"name": self.id, "resume": "allow"},
            "wandb": {"name": self.name, "id": self.id, "resume": "allow"},
        }
        return known.get(tracker, {})


class Tracker:
    """One tracker of a run. Whatever it cannot do is warned of once; training goes on without it.

    Args:
        name: of the tracker, as in `report_to` of the config.
        run: what it is told.

    Raises:
        VieError: Accelerate or the tracker's own package is not installed.
    """

    def __init__(self, name: str, run: Tracked) -> None:
        self.name, self.working = name, True
        if importlib.util.find_spec("accelerate") is None:
            raise VieError(
                f"report_to: {name} needs accelerate, which is not installed: run "
                "`uv sync --extra trackers`, or leave the tracker out"
            )
        # Only here: it takes seconds.
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

        if name not in map(str, get_available_trackers()):
            raise VieError(
                f"report_to: the package of {name} is not installed: run "
                f"`uv pip install {name}`, or leave the tracker out"
            )
        made = LOGGER_TYPE_TO_CLASS[name]
        keywords = run.keywords(name)
        # One that knows no runs within a project has a project for each run.
        project = run.project if keywords else f"{run.project} {run.name}"
        folder = ["."] if made.requires_logging_directory else []

        def start() -> None:
            from accelerate import PartialState

            PartialState(cpu=True)  # their log asks it which process this is
            self.tracker = made(project, *folder, **keywords)
            with _nobody_to_ask():
                self.tracker.start()
            self.tracker.store_init_configuration(dict(_flat(run.settings)))

        self._attempt(start)

    def log(self, values: dict[str, float], step: int) -> None:
        """Show the values of a step."""
        self._attempt(lambda: self.tracker.log(values, step=step))

    def finish(self) -> None:
        """The run has ended, or was stopped."""
        self._attempt(lambda: self.tracker.finish())

    def _attempt(self, action: Any) -> None:
        if not self.working:
            return
        try:
            action()
        except Exception as error:  # whatever a network or a server may bring about
            self.working = False
            log.warning(
                "%s cannot be reported to, and training goes on without it: %s: %s",
                self.name,
                type(error).__name__,
                error,
            )


@contextlib.contextmanager
def _nobody_to_ask() -> Iterator[None]:
    """Without a terminal: a tracker that asks for a login there would wait for ever."""
    before = sys.stdin
    with open(os.devnull) as nothing:
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before


def open_trackers(names: Sequence[str], run: Tracked) -> list[Tracker]:
    """The trackers of these names. Raises VieError as `Tracker`."""
    return [Tracker(name, run) for name in names]


def _flat(settings: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """("recipe.optimiser.lr", 0.03) and so on; lists as text."""
    if not isinstance(settings, dict):
        plain = isinstance(settings, bool | int | float | str | None)
        yield name, settings if plain else str(settings)
        return
    for key, value in settings.items():
        yield from _flat(value, f"{name}.{key}".strip("."))
