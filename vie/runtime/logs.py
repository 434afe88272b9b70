"""Log and messages of one job of the workflow."""

import contextlib
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from vie.runtime.disk import ADVICE, sentence
from vie.runtime.errors import VieError
from vie.runtime.signals import StoppedError, requeue_at_the_end_of_its_time

# Variables that the rules set for their jobs: the digest of the library's code, and its folder.
INTERRUPTED = "stopped by Ctrl-C: the same command goes on"
CODE, BESIDE = "VIE_CODE", "VIE_HOME"


class Tee:
    """A text stream to a terminal and a log; one that cannot be written is passed over."""

    def __init__(self, terminal: TextIO, log: TextIO) -> None:
        self.streams = terminal, log
        self.log = log

    def write(self, text: str) -> int:
        for stream in self.streams:
            with contextlib.suppress(OSError):  # a full disk must not take the message with it
                stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            with contextlib.suppress(OSError):
                stream.flush()

    def isatty(self) -> bool:
        return False  # whatever is written also goes to a file


_open: list[Path] = []


def open_log() -> str | None:
    """Path of the log of the job that this process runs, if it runs one."""
    return str(_open[-1]) if _open else None


@contextlib.contextmanager
def job(log: str | Path, *, append: bool = False) -> Iterator[None]:
    """Send the block's messages and progress to `log`, and to the terminal what matters there.

    Those are warnings, errors, prints and now and then progress (see `Progress`).

    A VieError ends the job with its message alone, and so does an error of the operating system
    that the user can mend, such as a full disk. Anything else is a fault of the program and
    ends it with a traceback in the log as well. A job of SLURM that was stopped because its time is
    over is queued again. The log's first line names the code.

    Args:
        log: file to write.
        append: whether it goes on with the log of the process that started this one.
    """
    path = Path(log)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Always at its end, where other processes of this job write too.
        file = path.open("a", encoding="utf-8", buffering=1)
        if not append:
            file.truncate(0)
    except OSError as error:
        raise SystemExit(f"ERROR: {sentence(error)}") from None
    terminal, before = sys.stderr, threading.excepthook
    sys.stderr, threading.excepthook = Tee(terminal, file), _not_of_the_disk
    _open.append(path)
    shown, kept = logging.StreamHandler(sys.stderr), logging.StreamHandler(file)
    shown.addFilter(lambda record: record.levelno >= logging.WARNING)
    kept.addFilter(lambda record: record.levelno < logging.WARNING)
    logging.basicConfig(
        handlers=[shown, kept], level=logging.INFO, format="%(levelname)s: %(message)s", force=True
    )
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it reports how it is loaded
    try:
        if not append:
            _say_which_code()
        yield
    except KeyboardInterrupt:
        # Trainings have saved their state at times; other jobs begin anew.
        print(f"\nERROR: {INTERRUPTED}\n(log: {path})", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    except Exception as error:
        if (said := for_user(error)) is None:
            with contextlib.suppress(OSError):
                traceback.print_exc(file=file)
            raise
        print(f"\nERROR: {said}\n(log: {path})", file=sys.stderr, flush=True)
        if isinstance(error, StoppedError) and not append:
            requeue_at_the_end_of_its_time()
        raise SystemExit(1) from None
    finally:
        _open.pop()
        sys.stderr, threading.excepthook = terminal, before
        logging.basicConfig(stream=terminal, level=logging.WARNING, force=True)
        with contextlib.suppress(OSError):
            file.close()


def for_user(error: Exception) -> str | None:
    """The message of an error that the user can mend; None: it is a fault of the program."""
    if isinstance(error, VieError):
        return str(error)
    if isinstance(error, OSError) and error.errno in ADVICE:
        return sentence(error)
    return None


def _not_of_the_disk(failed: threading.ExceptHookArgs) -> None:
    """A thread of TensorBoard's hands its error on to the one that writes, which reports it."""
    if getattr(failed.exc_value, "errno", None) not in ADVICE:
        threading.__excepthook__(failed)


def _say_which_code() -> None:
    """Log the code's digest; refuse a library that does not lie beside the rules."""
    here, rules = Path(__file__).resolve().parents[2], os.environ.get(BESIDE)
    if rules and Path(rules).resolve() != here:
        raise VieError(
            f"the rules are those of {rules}, but this job imports vie from {here}: put {rules} "
            "first in PYTHONPATH"
        )
    if code := os.environ.get(CODE):
        logging.getLogger(__name__).info("code %s of %s", code, here)


def run_command(main: Callable[[list[str]], None], level: int = logging.INFO) -> None:
    """Run a command with the arguments of this process; errors are for the user."""
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    try:
        main(sys.argv[1:])
    except Exception as error:
        if (said := for_user(error)) is None:
            raise
        raise SystemExit(f"ERROR: {said}") from None
