"""Checks of a video file before ffmpeg opens it."""

import stat
import struct
from pathlib import Path
from typing import BinaryIO

from vie.frames.unusable import MISSING, UnusableVideoError

MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
MOST_BOXES = 1000  # of an mp4 file that are looked at; fragmented files have more


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
            declared = _declared_bytes(file, status.st_size)
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


def _declared_bytes(file: BinaryIO, size: int) -> int:
    """Bytes that the container says it has, 0 if it does not say."""
    # ffmpeg decodes an mp4 or avi file that was cut between two packets without an error.
    head = file.read(12)
    if _is_avi(head):
        declared = int(struct.unpack("<I", head[4:8])[0])
        return declared + 8 if declared < 2**31 else 0
    return _end_of_boxes(file, size) if head[4:8] in MP4_BOXES else 0


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """End of the first top-level box of an mp4 that is longer than the file, 0 if there is none."""
    start = 0
    for _ in range(MOST_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return 0
        length = int(struct.unpack(">I", head[:4])[0])
        if length == 1 and len(head) == 16:
            length = int(struct.unpack(">Q", head[8:])[0])
        if length < 8:  # 0: up to the end of the file; 2..7: not a box
            return 0
        start += length
        if start > size:
            return start if head[4:8] in (b"mdat", b"moov") else 0
    return 0
