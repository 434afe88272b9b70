"""Signals that ask a job to stop: a cluster sends one some time before it kills the job."""

import contextlib
import ctypes
import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType

from vie.runtime.errors import VieError
from vie.runtime.files import exclusive_workdir

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
NEAR_END = timedelta(minutes=15)  # profiles/slurm asks for a signal ten minutes before the limit


class StoppedError(VieError):
    """A run was asked to stop and has saved its state."""


class _Stop(BaseException):
    """Not an Exception: code that handles errors, as of a damaged file, must not catch it."""


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle `SIGNALS` otherwise; only where Python allows it, in the main thread."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


@contextlib.contextmanager
def heeding_signals() -> Iterator[None]:
    """End work that can be resumed with a message if SIGTERM or SIGUSR1 arrives.

    Inside, `noting_signals` defers this to the end of a step.

    Raises:
        StoppedError: a signal arrived.
    """
    process = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            for one in SIGNALS:  # a second one changes nothing
                signal.signal(one, signal.SIG_IGN)
            raise _Stop(signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)  # a fork: it ends without a message
        signal.raise_signal(number)

    try:
        with _handled_by(stop):
            yield
    except _Stop as asked:
        raise StoppedError(
            f"stopped by {asked}; what was saved is kept: the same command goes on from there"
        ) from None


@contextlib.contextmanager
def noting_signals(
    pass_on: Callable[[signal.Signals], None] | None = None,
) -> Iterator[list[signal.Signals]]:
    """Inside, SIGTERM and SIGUSR1 do not end the process: they are added to the list.

    The first is sent again at the end of the block, unless that ends by an error.

    Args:
        pass_on: called with each of them.
    """
    received: list[signal.Signals] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        if pass_on:
            pass_on(received[-1])

    with _handled_by(note):
        yield received
    if received:  # too late for the block to see
        signal.raise_signal(received[0])


@contextlib.contextmanager
def resumable(work: Path) -> Iterator[Path]:
    """`heeding_signals` and `exclusive_workdir`, for a job that goes on where it was."""
    with heeding_signals(), exclusive_workdir(work):
        yield work


@contextlib.contextmanager
def held_back(*numbers: signal.Signals) -> Iterator[None]:
    """Have these signals wait for the end of the block; processes it starts never see them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with_parent() -> None:
    """Have the system kill this process when the thread that started it ends, however it does."""
    set_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def requeue_at_the_end_of_its_time() -> None:
    """Have SLURM queue its job again, if SLURM is about to end it.

    SLURM does so at the time limit, and after the grace time of a preempted job. For a cancelled
    job, and without SLURM, this does nothing: the user or Snakemake (`--retries`) decides.
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
    """Time until `end`, as squeue prints it; None if it is not a time (N/A)."""
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
