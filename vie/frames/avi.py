"""How many frames an AVI says that it has: its index lists them, its header counts them."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

MOST_CHUNKS = 1000  # of the file that are looked at
MOST_BYTES = 2**26  # of a header or an index; an hour of video and sound has 5 MB
UNKNOWN = 2**30  # frames; as many or more were written before they were counted
SHORT_SECONDS, SHORT_SHARE = 0.5, 0.02  # that the header may be wrong


def missing_frames(video: Path, number: int, seconds: float) -> str | None:
    """What is missing of the video track `number` of an AVI that ends at `seconds`; None: nothing.

    The index lists the frames of all files but large ones, whose first gigabyte it lists. The
    header's count is less exact. An empty frame repeats the one before; ffmpeg passes over those at
    the end.

    Raises:
        OSError: the file cannot be read.
    """
    with video.open("rb") as file:
        tracks = _chunk(file, b"LIST").split(b"strh")[1:]
        index = _chunk(file, b"idx1")
    if number >= len(tracks) or len(tracks[number]) < 40:
        return None
    scale, rate, _, counted = struct.unpack_from("<4I", tracks[number], 24)
    if not (scale and rate):
        return None
    tick = Fraction(scale, rate)  # seconds of a frame
    names = {f"{number:02}d{kind}".encode() for kind in "bc"}
    entries = struct.iter_unpack("<4s8xI", index[: len(index) // 16 * 16])
    lengths = [length for name, length in entries if name in names]
    empty = next((n for n, length in enumerate(reversed(lengths)) if length), len(lengths))
    frames = round(seconds / tick)
    listed, counted = len(lengths) - empty, counted - empty
    slack = max(SHORT_SECONDS / tick, SHORT_SHARE * counted)
    if frames < listed - 1 or (counted < UNKNOWN and frames < counted - slack):
        return f"truncated: {frames} of {max(listed, counted)} frames"
    return None


def _chunk(file: BinaryIO, wanted: bytes) -> bytes:
    """The content of the first chunk of an AVI with this name; b"": there is none."""
    at = 12
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        name, length = struct.unpack("<4sI", head)
        if name == wanted:
            return file.read(min(length, MOST_BYTES))
        at += 8 + length + length % 2
    return b""
