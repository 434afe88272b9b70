"""Being asked to stop: a cluster sends a signal some time before it kills a job."""

import logging
import os
import shutil
import signal
import subprocess
import threading
from types import FrameType
from typing import Any

from vie.errors import VieError

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
NEAR_LIMIT = 15 * 60  # seconds; profiles/slurm asks for a signal three minutes before the limit


class StoppedError(VieError):
    """A run was asked to stop and has saved its state."""


class Requests:
    """While it is open, SIGTERM and SIGUSR1 do not end the process; they are noted.

    Attributes:
        received: name of the first signal, or None.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self.before: dict[int, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number).name

    def __enter__(self) -> "Requests":
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


def requeue_at_time_limit() -> None:
    """In a SLURM job that runs into its time limit: have SLURM queue the same job again.

    Elsewhere, and in jobs that are cancelled or preempted, this does nothing: what happens then is
    the user's, SLURM's or Snakemake's (`--retries`) business.
    """
    job = os.environ.get("SLURM_JOB_ID", "")
    if not job.isdecimal() or not shutil.which("scontrol"):
        return
    answer = _slurm("squeue", "--noheader", "--job", job, "--format", "%T %L")
    state, _, left = answer.partition(" ")
    if state != "RUNNING" or not 0 <= seconds(left) <= NEAR_LIMIT:
        return
    log.info("the job's time limit is %s away: queueing job %s again", left, job)
    _slurm("scontrol", "requeue", job)


def seconds(time: str) -> int:
    """Seconds of SLURM's [days-][[hours:]minutes:]seconds; -1 for anything else (UNLIMITED)."""
    days, dash, clock = time.rpartition("-")
    parts = clock.split(":")
    numbers = [*parts, days] if dash else parts
    if len(parts) > 3 or not all(number.isdecimal() for number in numbers):
        return -1
    total = 0
    for part in parts:
        total = 60 * total + int(part)
    return total + 86400 * int(days or 0)


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
