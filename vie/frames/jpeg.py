"""Bytes of JPEGs: where they end, and how much of one needs to be decoded."""

import struct

import simplejpeg

from vie.frames.unusable import UnusableVideoError


def fraction_of(jpeg: bytes, least: float) -> dict[str, int]:
    """Arguments that make `simplejpeg.decode_jpeg` decode a JPEG at a fraction of its size.

    The fraction is the smallest of 1, 1/2, 1/4 and 1/8 that keeps the shorter side at `least`
    pixels or more.
    """
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    fraction = 1
    while min(height, width) // (2 * fraction) >= least and fraction < 8:
        fraction *= 2
    if fraction == 1:
        return {}
    return {"min_height": height // fraction, "min_width": width // fraction}


def split_jpegs(stream: bytes) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Cut back-to-back JPEGs apart -> (JPEGs, their (width, height)).

    Segments up to the scan carry their lengths. Inside the scan a 0 or a restart marker follows
    every 0xFF, so the next FF D9 is the end of the image.

    Raises:
        UnusableVideoError: the stream is not a sequence of whole JPEGs.
    """
    jpegs: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    start = 0
    while start < len(stream):
        size, scan = _header(stream, start)
        end = stream.find(b"\xff\xd9", scan) + 2 if size else 1
        if size is None or end == 1:
            raise UnusableVideoError(f"cannot be decoded: frame {len(jpegs)} is not a whole JPEG")
        jpegs.append(stream[start:end])
        sizes.append(size)
        start = end
    return jpegs, sizes


def _header(stream: bytes, start: int) -> tuple[tuple[int, int] | None, int]:
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
