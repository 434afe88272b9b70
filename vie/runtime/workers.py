"""Processes that work for this one: they end with it, and their end is not waited for in vain."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import util
from multiprocessing.process import BaseProcess
from typing import NoReturn

from vie.runtime.errors import VieError
from vie.runtime.signals import SIGNALS, die_with_parent

LEFT_TO_PARENT = (*SIGNALS, signal.SIGINT)  # signals, in processes that load
LOOK_SECONDS = 0.25  # between two looks at the workers
CLOSE_SECONDS = 2.0  # that workers have to end by themselves when their work is over
NOTICE_SECONDS = 5.0  # that this process has to come back to its workers when one has died
ADVICE = (
    "What was saved is kept: the same command goes on from there. If the memory ran out, let the "
    "job have more (--set-resources RULE:mem_mb=MB), or fewer such processes: fewer `threads`"
)


def serve_parent(worker: int = 0) -> None:
    """Leave signals to the parent, in a process that a `Watch` of the parent sees to.

    The parent holds them back (`held_back`) when it starts the process, for the time until this.

    SLURM signals all processes of a job at once. A worker that ended by itself would break the step
    that its parent is about to save.
    """
    for number in LEFT_TO_PARENT:
        signal.signal(number, signal.SIG_IGN)
    die_with_parent()


def end_at_once(code: int) -> NoReturn:
    """End this process, wherever its main thread is, and those that it has started."""
    for child in multiprocessing.active_children():  # one that only begins has no death signal yet
        child.kill()
    os._exit(code)


def how_it_died(code: int) -> str:
    """What became of a process with this exit code, negative for a signal."""
    if code == -signal.SIGBUS:
        return "was ended by SIGBUS, as happens when the shared memory (/dev/shm) is full"
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL), as the system does when memory runs out"
    if code < 0:
        known = {one.value: one.name for one in signal.Signals}
        return f"was ended by {known.get(-code, f'signal {-code}')}"
    return f"ended by itself (exit code {code})"


class Watch:
    """Sees to worker processes that ignore signals, until they have ended.

    If one dies, the others are killed, so that nobody waits for what they hold, and `check` raises.
    If this process does not come back to `check` or `close` by then, because it is in a long
    computation or waits for what the dead one has held, it is ended with the same message.
    """

    def __init__(self, workers: Sequence[BaseProcess]) -> None:
        self.workers = list(workers)
        self.problem = ""  # what is to be told, once a worker has died
        self._closed = threading.Event()
        # At its end, a process sends SIGTERM, which they ignore, and waits for them. This comes
        # first, also in a process that multiprocessing has started, which runs nothing of atexit.
        self._at_exit = util.Finalize(None, self._end_workers, exitpriority=0)
        threading.Thread(target=self._look, name="watch over workers", daemon=True).start()

    def check(self, patience: float = 0) -> None:
        """Raise VieError if a worker has died, or does within `patience` seconds."""
        deadline = time.monotonic() + patience
        while not self.problem and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS / 5)
        if self.problem:
            raise VieError(self.problem)

    def close(self) -> None:
        """Say that the workers' work is over, or that their death has been noticed."""
        self._closed.set()

    def kill(self) -> None:
        """Kill the workers that are left."""
        for worker in self.workers:
            if worker.exitcode is None:
                worker.kill()

    def _look(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            if died := [worker.exitcode for worker in self.workers if worker.exitcode]:
                how = how_it_died(died[0])
                self.problem = f"a process that loads data for this one {how}. {ADVICE}"
                self.kill()
                if not self._closed.wait(NOTICE_SECONDS):
                    self._end_process()
        deadline = time.monotonic() + CLOSE_SECONDS
        while any(worker.exitcode is None for worker in self.workers):
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(LOOK_SECONDS / 5)
        self._at_exit.cancel()

    def _end_workers(self) -> None:
        self.close()
        self.kill()

    def _end_process(self) -> None:
        print(f"\nERROR: {self.problem}", file=sys.stderr, flush=True)
        for tell in at_sudden_end:
            tell()
        end_at_once(1)


at_sudden_end: list[Callable[[], None]] = []  # called when this process is ended for a worker


@contextlib.contextmanager
def process_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes for calls of functions, which end with this one.

    Raises:
        VieError: one was ended from outside.
    """
    try:
        with ProcessPoolExecutor(processes, initializer=die_with_parent) as pool:
            yield pool
    except BrokenProcessPool:
        how = "was killed, as the system does when memory runs out"
        raise VieError(f"one of {processes} processes of this job {how}. {ADVICE}") from None
