"""Whether a container is whole by its own sizes, numbers and checksums.

ffmpeg goes on where a part is missing, and often says nothing. What a container promises is checked
here; only the heads of its parts are read, and what has a checksum.
"""

import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

CHUNK = 2**20
MOST_PARTS = 10**6  # of a file that are looked at; files of hours have fewer
HOLE = 500  # zeros in a row that no codec of WebM writes
AVI_FRAME = re.compile(rb"\d\d(dc|db|wb)")  # begins a frame or sound
# Matroska's elements have an identifier and a size; those of the levels that are walked.
SEGMENT, CLUSTER, BLOCKS, CRC = 0x18538067, 0x1F43B675, (0xA3, 0xA0), 0xBF
ASF_PROPERTIES = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")
ASF_HEADER = 2**16  # bytes at the start of a file in which its properties lie
BROADCAST = 1  # flag of an ASF file whose sizes are not known
MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")  # that begin a file
FLV_TAGS = (8, 9, 15, 18)  # sound, pictures and two kinds of data
PACK, SYNC = b"\0\0\1\xba", b"\x47"  # begin a program stream, a packet of a transport stream
EMPTY = 4096  # zeros at the start or end of a stream that nobody writes
BEGINNING = 2  # flag of the first page of a stream in Ogg


class Fault(NamedTuple):
    """What is wrong with a file."""

    reason: str
    hidden: bool = False  # whether pictures may be wrong where ffmpeg notices nothing


def fault_of(video: Path) -> Fault | None:
    """What is missing or damaged in a file by its container's own account; None: nothing.

    Raises:
        OSError: the file cannot be read.
    """
    with video.open("rb") as file:
        head, size = file.read(16), video.stat().st_size
        file.seek(0)
        for magic, check in CHECKS.items():
            if head.startswith(magic):
                return check(file, size)
        if head[4:8] in MP4_BOXES:
            return _mp4(file, size)
        if head.startswith((PACK, SYNC)) or head[4:5] == SYNC or not any(head):
            return _empty(file, size)
    return None


def _cut(at: int, size: int) -> Fault:
    return Fault(f"truncated: the part at byte {at} goes beyond the file's {size} bytes")


def _broken(at: int, size: int, what: str, hidden: bool = False) -> Fault:
    said = f"cannot be decoded: damaged, byte {at} of {size} is not the start of {what}"
    return Fault(said, hidden)


def _ogg(file: BinaryIO, size: int) -> Fault | None:
    """Pages follow each other, and those of a stream are numbered."""
    at, numbers = 0, dict[int, int]()
    for _ in range(MOST_PARTS):
        if at >= size:
            break
        file.seek(at)
        head = file.read(27)
        if len(head) < 27:
            return _cut(at, size)
        if head[:4] != b"OggS":
            # What follows the last page is often zeros.
            rest = head + file.read(CHUNK)
            return _broken(at, size, "a page") if any(rest) else None
        flags, stream, number = head[5], *struct.unpack("<II", head[14:22])
        expected = numbers.get(stream, number - 1) + 1
        if number != expected and not flags & BEGINNING:
            return Fault(
                f"cannot be decoded: damaged, page {expected} of a stream is missing", True
            )
        numbers[stream] = number
        at += 27 + head[26] + sum(file.read(head[26]))
    return _cut(at, size) if at > size else None


def _asf(file: BinaryIO, size: int) -> Fault | None:
    """The size of the file is among its properties."""
    head = file.read(ASF_HEADER)
    start = head.find(ASF_PROPERTIES)
    if start < 0 or len(head) < start + 92:
        return None
    declared, flags = (
        struct.unpack_from(f, head, start + n)[0] for f, n in (("<Q", 40), ("<I", 88))
    )
    if flags & BROADCAST or not declared or declared == size:
        return None
    if declared > size:
        return Fault(f"truncated: {size} bytes of {declared}")
    file.seek(declared)
    if not any(file.read(CHUNK)):  # zeros up to a whole block are common
        return None
    return Fault(f"cannot be decoded: damaged, {size} bytes, and its header says {declared}", True)


def _gif(file: BinaryIO, size: int) -> Fault | None:
    """Pictures and extensions, each in blocks of up to 255 bytes, up to the end mark."""
    head = file.read(13)
    file.seek(_colours(head[10:11]), os.SEEK_CUR)
    blocks = 0
    while kind := file.read(1):
        blocks += 1
        if kind == b";" or blocks > MOST_PARTS:
            return None
        if kind not in b"!,":
            return _broken(file.tell() - 1, size, "a picture")
        if kind == b",":
            file.seek(_colours(file.read(9)[8:]), os.SEEK_CUR)
        file.seek(1, os.SEEK_CUR)  # the kind of extension, or the size of codes
        while (length := file.read(1)) and length != b"\0":
            file.seek(length[0], os.SEEK_CUR)
            blocks += 1
    return Fault("truncated: the end of the GIF is missing")


def _colours(flags: bytes) -> int:
    """Bytes of a table of colours."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 128 else 0


def _empty(file: BinaryIO, size: int) -> Fault | None:
    """A transport or program stream says no length; zeros at its start or end are missing parts."""
    for place, what in ((0, "begins"), (max(size - EMPTY, 0), "ends")):
        file.seek(place)
        if size > EMPTY and not any(file.read(EMPTY)):
            return Fault(f"cannot be decoded: a part is missing, the file {what} with zeros", True)
    return None


def _avi(file: BinaryIO, size: int) -> Fault | None:
    """The first RIFF is whole, and nothing that ffmpeg would take for frames follows the last."""
    at = 0
    for _ in range(MOST_PARTS):
        if at + 8 > size:
            break
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF":  # a tag of another kind may follow
            frames = AVI_FRAME.search(file.read(CHUNK))
            return _broken(at, size, "a RIFF") if frames else None
        # An odd last chunk may lack its byte of padding; large sizes are of files not yet whole.
        if not at and size < length + 7 < 2**31:
            return Fault(f"truncated: {size} bytes of {length + 8}", True)
        if not length:  # not written to its end
            break
        at += 8 + length + length % 2
    return None


def _mp4(file: BinaryIO, size: int) -> Fault | None:
    """Boxes end within the file; fragments follow each other, and are numbered."""
    at, numbers = 0, list[int]()
    for _ in range(MOST_PARTS):
        if at + 8 > size:
            break
        file.seek(at)
        head = file.read(24)
        length, name = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) >= 16:
            length = struct.unpack(">Q", head[8:16])[0]
        if length == 0 and name == b"mdat":  # up to the end of the file
            break
        if length < 8 or (numbers and not name.isalnum()):
            return _broken(at, size, "a part", True) if numbers else None
        if at + length > size and (numbers or name in (b"mdat", b"moov")):
            return Fault(f"truncated: {size} bytes of {at + length}", True)
        if name == b"moof" and head[12:16] == b"mfhd":
            numbers.append(struct.unpack(">I", head[20:24])[0])
        at += length
    steps = Counter(b - a for a, b in pairwise(numbers))
    # Programs may count by other steps, but then more than once.
    if len(steps) > 1 and any(n == 1 and step not in (0, 1) for step, n in steps.items()):
        return Fault("cannot be decoded: damaged, a fragment is missing or comes twice", True)
    return None


def _flv(file: BinaryIO, size: int) -> Fault | None:
    """Tags end within the file."""
    head = file.read(9)
    at = int.from_bytes(head[5:], "big") + 4
    for _ in range(MOST_PARTS):
        if at >= size:
            break
        file.seek(at)
        head = file.read(4)
        if head[0] & 31 not in FLV_TAGS:  # ffmpeg says so, if it matters
            break
        end = at + 11 + int.from_bytes(head[1:], "big")
        if end > size:
            return _cut(at, size)
        at = end + 4  # its size comes once more
    return None


def _matroska(file: BinaryIO, size: int) -> Fault | None:
    """Elements follow each other; those with a checksum have it; WebM has no holes."""
    at, end = 0, size
    holes = b"webm" in file.read(64)
    for _ in range(MOST_PARTS):
        if at >= end:
            break
        if not (element := _element(file, at)):
            return _broken(at, size, "an element") if at + 12 < size else _cut(at, size)
        name, start, length = element
        if name == SEGMENT:
            at, end = start, start + length if length is not None else size
        elif length is None:
            at = start  # of a cluster whose size was not known: its children follow
        elif start + length > size:
            return _cut(at, size)
        else:
            if wrong := _wrong(file, start, length, holes and name in BLOCKS, name not in BLOCKS):
                return Fault(f"cannot be decoded: damaged, {wrong} in the part at byte {at}", True)
            # Beside its blocks, a cluster may hold room that is left empty (Void).
            at = start if holes and name == CLUSTER else start + length
    return _cut(at, size) if end > size else None


def _element(file: BinaryIO, at: int) -> tuple[int, int, int | None] | None:
    """(Identifier, first byte of the content, its bytes or None: not known) of an element."""
    file.seek(at)
    head = file.read(12)
    named = 9 - head[0].bit_length() if head else 9
    if named > 4 or len(head) <= named or not head[named]:
        return None
    sized = 9 - head[named].bit_length()
    if len(head) < named + sized:
        return None
    most = (1 << 7 * sized) - 1
    length = int.from_bytes(head[named : named + sized], "big") & most
    return (
        int.from_bytes(head[:named], "big"),
        at + named + sized,
        None if length == most else length,
    )


def _wrong(file: BinaryIO, start: int, length: int, holes: bool, sums: bool) -> str:
    """What is wrong with the content of an element: a hole, or its checksum; "": nothing."""
    file.seek(start)
    head = file.read(min(6, length))
    checked = sums and len(head) == 6 and head[:2] == bytes((CRC, 0x84))
    left, found, before = length - len(head), 0, b""
    while (checked or holes) and left and (chunk := file.read(min(left, CHUNK))):
        if holes and bytes(HOLE) in before + chunk:
            return f"{HOLE} zeros in a row"
        found, left, before = zlib.crc32(chunk, found), left - len(chunk), chunk[-HOLE:]
    return "a wrong checksum" if checked and found != struct.unpack("<I", head[2:])[0] else ""


CHECKS: dict[bytes, Callable[[BinaryIO, int], Fault | None]] = {
    b"OggS": _ogg,
    b"\x1a\x45\xdf\xa3": _matroska,
    bytes.fromhex("3026B2758E66CF11"): _asf,
    b"GIF8": _gif,
    b"RIFF": _avi,
    b"FLV": _flv,
}
