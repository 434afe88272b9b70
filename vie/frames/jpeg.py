"""Bytes of JPEGs: where they end, and how much of one needs to be decoded."""

import struct
from collections.abc import Callable, Iterable, Iterator

import simplejpeg

from vie.frames.unusable import UnusableVideoError


def fraction_of(jpeg: bytes, least: float | Callable[[int, int], float]) -> dict[str, int]:
    """Arguments that make `simplejpeg.decode_jpeg` decode a JPEG at a fraction of its size.

    The fraction is the smallest of 1, 1/2, 1/4 and 1/8 that keeps the shorter side at `least`
    pixels or more: a number, or a function of the JPEG's height and width.
    """
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    least, fraction = least(height, width) if callable(least) else least, 1
    while min(height, width) // (2 * fraction) >= least and fraction < 8:
        fraction *= 2
    if fraction == 1:
        return {}
    return {"min_height": height // fraction, "min_width": width // fraction}


def split_jpegs(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Cut a stream of back-to-back JPEGs apart -> each JPEG and its (width, height).

    Segments up to the scan carry their lengths. Inside the scan a 0 or a restart marker follows
    every 0xFF, so the next FF D9 is the end of the image.

    Raises:
        UnusableVideoError: the stream is not a sequence of whole JPEGs.
    """
    waiting, number = bytearray(), 0
    for chunk in chunks:
        waiting += chunk
        start = 0
        while found := _first(waiting, start):
            end, size = found
            yield bytes(waiting[start:end]), size
            start, number = end, number + 1
        del waiting[:start]
    if waiting:
        raise UnusableVideoError(f"cannot be decoded: frame {number} is not a whole JPEG")


def _first(stream: bytearray, start: int) -> tuple[int, tuple[int, int]] | None:
    """(End, size) of the JPEG at byte `start` of a stream; None: it has not ended yet."""
    size, scan = _header(stream, start)
    end = stream.find(b"\xff\xd9", scan) + 2 if size else 1
    return (end, size) if size and end > 1 else None


def _header(stream: bytearray, start: int) -> tuple[tuple[int, int] | None, int]:
    """(Size of the JPEG at byte `start` or None without a whole header, first byte of its scan)."""
    size, place = None, start + 2
    if stream[start:place] != b"\xff\xd8":
        return None, place
    while place + 10 <= len(stream) and stream[place] == 0xFF:
        marker, length = struct.unpack_from(">xBH", stream, place)
        if 0xC0 <= marker <= 0xC2:  # SOF: length, precision, height, width
            height, width = struct.unpack_from(">HH", stream, place + 5)
            size = (width, height)
        place += 2 + length
        if marker == 0xDA:
            return size, place
    return None, place
