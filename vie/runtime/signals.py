"""Being asked to stop: a cluster sends a signal some time before it kills a job."""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from vie.runtime.errors import VieError
from vie.runtime.files import exclusive_workdir

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
NEAR_END = timedelta(minutes=15)  # profiles/slurm asks for a signal ten minutes before the limit


class StoppedError(VieError):
    """A run was asked to stop and has saved its state."""


class _Stop(BaseException):
    """Not an Exception, so that nothing on its way takes it for a damaged file or the like."""


@contextlib.contextmanager
def heeding_signals() -> Iterator[None]:
    """For work that goes on where it was: SIGTERM and SIGUSR1 end it with a message.

    Inside, `StopRequest` puts that off to the end of a step.

    Raises:
        StoppedError: one of them came.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            for one in SIGNALS:  # once is enough
                signal.signal(one, signal.SIG_IGN)
            raise _Stop(signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)  # a fork; it has nothing to tell
        signal.raise_signal(number)

    process, before = os.getpid(), {}
    if threading.current_thread() is threading.main_thread():  # Python's rule for handlers
        before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except _Stop as asked:
        raise StoppedError(
            f"stopped by {asked}; what was saved is kept: the same command goes on from there"
        ) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def resumable(work: Path) -> Iterator[Path]:
    """For a job that goes on where it was: signals end it, `work` holds what it needs.

    Raises:
        StoppedError: as `heeding_signals`.
        VieError: as `vie.runtime.files.exclusive_workdir`.
    """
    with heeding_signals(), exclusive_workdir(work):
        yield work


class StopRequest:
    """While it is open, SIGTERM and SIGUSR1 do not end the process; they are noted.

    Attributes:
        received: name of the first signal, or None.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self.before: dict[int, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number).name

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # Python's rule for handlers
            self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type | None, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if self.received and kind is None:  # it came too late for the block to heed it
            signal.raise_signal(signal.Signals[self.received])


def leave_signals_to_parent(worker: int = 0) -> None:
    """For processes that work for another: SLURM signals all of a job's processes at once.

    A worker that ended by itself would break the step that its parent is about to save.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def requeue_at_the_end_of_its_time() -> None:
    """In a SLURM job that SLURM is about to end: have it queue the same job again.

    That is so near the time limit, and in the grace time that a preempted job may be given. In
    jobs that are cancelled, and outside of SLURM, this does nothing: what happens then is the
    user's or Snakemake's (`--retries`) business.
    """
    job = os.environ.get("SLURM_JOB_ID", "")
    if not job.isdecimal() or not shutil.which("scontrol"):
        return
    state, _, end = _slurm("squeue", "--noheader", "--job", job, "--format", "%T %e").partition(" ")
    left = time_left(end)
    if state != "RUNNING" or left is None or left > NEAR_END:
        return
    log.info("SLURM ends this job in %s: queueing job %s again", left, job)
    _slurm("scontrol", "requeue", job)


def time_left(end: str) -> timedelta | None:
    """Until a time that squeue printed, of this machine's clock; None if it is no time (N/A)."""
    try:
        return datetime.fromisoformat(end) - datetime.now().replace(microsecond=0)
    except ValueError:
        return None


def _slurm(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s: %s", command[0], error)
        return ""
    if done.returncode:
        log.warning("%s: %s", " ".join(command), done.stderr.strip())
        return ""
    return done.stdout.strip()
