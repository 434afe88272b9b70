"""Checks of a file before anything is read of it."""

import stat
from pathlib import Path

from vie.frames.unusable import MISSING, UnusableVideoError


def check_file(video: Path) -> None:
    """Refuse a file by what the file system says.

    Raises:
        UnusableVideoError: the message is the reason.
    """
    try:
        status = video.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnusableVideoError("not a regular file")
        if status.st_size == 0:
            raise UnusableVideoError("empty file")
        with video.open("rb"):
            pass
    except FileNotFoundError as error:
        raise UnusableVideoError(MISSING) from error
    except OSError as error:
        raise UnusableVideoError(f"cannot be read: {error.strerror}") from error
