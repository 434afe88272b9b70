"""Checks of a video file before ffmpeg opens it."""

import stat
import struct
from pathlib import Path

from vie.frames.unusable import MISSING, UnusableVideoError


def check_file(video: Path) -> None:
    """Refuse a file by what the file system and its first bytes say.

    Raises:
        UnusableVideoError: the message is the reason.
    """
    try:
        status = video.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnusableVideoError("not a regular file")
        if status.st_size == 0:
            raise UnusableVideoError("empty file")
        with video.open("rb") as file:
            declared = _declared_bytes(file.read(12))
    except FileNotFoundError as error:
        raise UnusableVideoError(MISSING) from error
    except OSError as error:
        raise UnusableVideoError(f"cannot be read: {error.strerror}") from error
    if declared > status.st_size + 1:  # an odd last chunk may lack its byte of padding
        raise UnusableVideoError(f"truncated: {status.st_size} bytes of {declared}")


def is_avi(video: Path) -> bool:
    """Whether a file is an AVI, whose frames have no times of their own."""
    with video.open("rb") as file:
        return _is_avi(file.read(12))


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _declared_bytes(head: bytes) -> int:
    """Bytes that an AVI says it has, 0 if it does not say."""
    # ffmpeg decodes one that was cut between two packets without an error.
    declared = int(struct.unpack("<I", head[4:8])[0]) if _is_avi(head) else 2**31
    return declared + 8 if declared < 2**31 else 0
