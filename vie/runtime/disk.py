"""Errors of the machine, such as a full disk, in words."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from vie.runtime.errors import VieError, shown

ROOM = 1 << 20  # bytes; a disk without so many is full
AGAIN = "run the same command again: it goes on from there"
_ROOM = f"Free some space, or raise the limit, and {AGAIN}"
_RIGHTS = f"Change the permissions of the file or of its folder, and {AGAIN}"
_DISK = f"See to the disk, and {AGAIN}"
_MEMORY = f"There is too little memory: give the job more, or close other programs, and {AGAIN}"
# What to do about errors that are not the program's.
ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: f"Make the file system writable, and {AGAIN}",
    errno.EIO: _DISK,
    errno.ESTALE: _DISK,
    errno.ENOTCONN: _DISK,  # these three: of file systems over a network
    errno.ESHUTDOWN: _DISK,
    errno.ETIMEDOUT: _DISK,
    errno.ENAMETOOLONG: "Give shorter names to the folder, the dataset or the experiment",
    errno.EMFILE: f"Raise the limit on open files (`ulimit -n`), and {AGAIN}",
    errno.ENFILE: f"Close other programs, and {AGAIN}",
    errno.ENOMEM: _MEMORY,
}
# Only what is written meets these.
WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
NO_MEMORY = "can't allocate memory"  # in a RuntimeError of torch


def sentence(error: OSError) -> str:
    """An error of the operating system: which file, what is wrong, what to do."""
    names = [shown(name, longest=1000) for name in (error.filename2, error.filename) if name]
    words, advice = error.strerror or str(error), ADVICE.get(error.errno or 0)
    if error.errno and advice:  # without what libraries add
        words = f"{os.strerror(error.errno)}. {advice}"
    return f"{names[0]}: {words}" if names else words


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of the disk in the block name `path`, also where a library hides what they are.

    A temporary file or folder is taken for `path` where its name begins with the name of `path`,
    without its suffix, between dots.

    Raises:
        VieError: `path` cannot be written.
    """
    try:
        yield
    except VieError:
        raise
    except Exception as error:
        if found := _of_disk(error, path):
            raise VieError(sentence(OSError(found.errno, found.strerror, str(path)))) from error
        raise


def _of_disk(error: BaseException, path: Path) -> OSError | None:
    """The error of the disk that was met when `path` was written, if it was one."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in ADVICE:
            name = cause.filename2 or cause.filename
            unnamed = name is None and (cause.errno in WRITING or cause.errno == errno.EIO)
            return cause if unnamed or _stands_for(name, path) else None
    # numpy, torch and others say that they could not write, but not why.
    return no_room(path.parent)


def check_machine(error: Exception, path: Path) -> None:
    """Pass on what says nothing about the content of `path`, which was read: it may be whole.

    Raises:
        OSError: an error of the machine, too little memory among them, was met; it names `path`.
    """
    for cause in _causes(error):
        number = cause.errno if isinstance(cause, OSError) else None
        if isinstance(cause, MemoryError) or NO_MEMORY in str(cause):
            number = errno.ENOMEM
        if number in ADVICE:
            raise OSError(number, os.strerror(number), str(path)) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _stands_for(name: object, path: Path) -> bool:
    """Whether a file is `path`, a temporary one of it, or a folder on the way to it."""
    if not isinstance(name, str | os.PathLike):
        return False
    found, path = Path(os.path.abspath(name)), Path(os.path.abspath(path))
    if found == path or found in path.parents:
        return True
    beside = found.relative_to(path.parent).parts[0] if path.parent in found.parents else ""
    return beside == f".{path.name}" or beside.startswith(f".{path.stem}.")


def no_room(folder: Path) -> OSError | None:
    """Why no file of `ROOM` bytes can be written to a folder, or None if it can."""
    return _refusal(folder, bytes(ROOM))


def _refusal(folder: Path, content: bytes) -> OSError | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(content)
            file.flush()
    except OSError as error:
        return error if error.errno in ADVICE else None
    return None


def read_only(folders: Iterable[str]) -> str | None:
    """Which of some folders cannot be written, in a sentence; None: all can.

    Snakemake, which writes there, would end with a traceback. A full disk is left alone: Snakemake
    can also make room.

    Args:
        folders: of one that is absent, the folder is looked at in which it will be.
    """
    for folder in map(Path, folders):
        while not folder.exists():
            folder = folder.parent
        found = _refusal(folder, b"")
        if found and found.errno != errno.ENOSPC:
            return sentence(OSError(found.errno, found.strerror, str(folder.resolve())))
    return None
