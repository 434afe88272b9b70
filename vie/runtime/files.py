"""Files that appear whole or not at all, and folders that one process uses at a time."""

import contextlib
import fcntl
import glob
import hashlib
import json
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vie.runtime.disk import writing
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
LOCK = "lock"  # a file in a work folder
SUPERSEDED = "superseded-"  # and a number: a folder with the state of a run with other settings


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` if the block succeeds.

    The temporary file keeps the suffix, since writers choose a format by it. On any error
    (or a kill) `path` is untouched; on an error the temporary file is removed, and what a kill
    left is removed the next time.

    Raises:
        VieError: `path` cannot be written, for want of room or of rights.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_torn(path)
        handle, temporary = _locked_temporary(path)
        try:
            with writing(path):  # it looks at the disk while what was written is there
                yield temporary
                # mkstemp makes files private; results are meant to be shared like any other file.
                umask = os.umask(0)
                os.umask(umask)
                temporary.chmod(0o666 & ~umask)
                with temporary.open("rb") as written:
                    os.fsync(written.fileno())
                temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)


def _locked_temporary(path: Path) -> tuple[int, Path]:
    """Make and lock a temporary file of `path`; its handle, which holds the lock, and its name."""
    while True:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent
        )
        with contextlib.suppress(OSError):  # where there are no locks nothing is removed either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # another process took it for torn before it was locked


def _remove_torn(path: Path) -> None:
    """Remove temporary files of `path` that no living process has locked."""
    for torn in path.parent.glob(f".{glob.escape(path.stem)}.????????{path.suffix}"):
        with contextlib.suppress(OSError), torn.open("rb") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
            torn.unlink()


def write_json(content: dict[str, Any], path: str | Path) -> None:
    """Write a JSON file, whole."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def digest(path: str | Path) -> str:
    """First 16 hex digits of the SHA-256 of a file's content."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@contextlib.contextmanager
def exclusive_workdir(work: Path, patience: float = 60) -> Iterator[None]:
    """Keep what a job needs to go on in the folder `work`, and other processes out of it.

    The folder outlives the job. Snakemake removes a job's results when it makes them again, or
    when the job was killed before its end was on record; from the state that is kept here, that
    takes seconds. A longer schedule goes on from it, and settings that come back find it.

    The lock is the operating system's: it ends with this process, however that ends, and with
    those that were forked from it; they need some seconds to notice.

    Args:
        work: made if absent.
        patience: seconds to wait for another process, on this node or another, to leave it.

    Raises:
        VieError: another process keeps using it.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / LOCK).open("a+") as file:
        deadline = time.monotonic() + patience
        while not _locked(file.fileno(), work):
            if time.monotonic() > deadline:
                file.seek(0)
                raise VieError(
                    f"{work} is in use by {file.read().strip() or 'another process'}, a job of an "
                    "earlier run that goes on: wait for its end or end it, then start again"
                )
            time.sleep(0.5)
        with contextlib.suppress(OSError):  # on a full disk it holds without a name in it
            file.truncate(0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield


def _locked(handle: int, work: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # some cluster file systems have no locks
        log.warning("%s: two runs at once would not be noticed (%s)", work, error)
    return True


def link(source: Path, path: Path) -> None:
    """Make `path` another name of the file `source`, which takes no disk of its own.

    A copy where the file system has no hard links. Both names then have the present as the time
    of their last change, as if `path` had been written.
    """
    if not (path.exists() and path.samefile(source)):
        with atomic_write(path) as temporary:
            temporary.unlink()
            try:
                os.link(source, temporary)
            except OSError as error:
                log.info("%s is a copy of %s, which takes its disk twice (%s)", path, source, error)
                shutil.copyfile(source, temporary)
    os.utime(path)
