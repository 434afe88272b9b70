"""Seals: a digest of a file inside the file, so that damage is noticed when it is read.

A seal is `MARK` and the SHA-256 of all other bytes of the file. It lies where other programs do not
look: before the footer of a Parquet file, which says where everything else is, and behind the
numbers of a .npy file.
"""

import hashlib
import struct
from pathlib import Path
from typing import BinaryIO

MARK = b"vie seal"
SIZE = len(MARK) + hashlib.sha256().digest_size
CHUNK = 1 << 20
PARQUET = b"PAR1"  # its first bytes
PARQUET_END = struct.Struct("<I4s")  # length of the footer, magic


class BrokenSealError(ValueError):
    """The bytes of a file are not those that were sealed."""


def write_seal(path: Path, context: bytes = b"") -> None:
    """Seal a file that is not sealed yet.

    Args:
        path: of a Parquet or .npy file.
        context: what the file belongs to, such as another file's seal: the seal fits only with it.
    """
    with path.open("r+b") as file:
        behind = _behind(file)
        end = file.seek(0, 2)
        digest = _digest(file, [(0, end)], context)
        file.seek(end - behind)
        rest = file.read()
        file.seek(end - behind)
        file.write(MARK + digest + rest)


def check_seal(path: Path, context: bytes = b"") -> bytes | None:
    """The digest in the seal of a file, after a look whether it fits; None: it has no seal.

    Raises:
        BrokenSealError: the file was damaged, or belongs to something else.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        behind = _behind(file)
        end = file.seek(0, 2)
        place = end - behind - SIZE
        if place < 0:
            return None
        file.seek(place)
        seal = file.read(SIZE)
        if not seal.startswith(MARK):
            return None
        digest = seal[len(MARK) :]
        if _digest(file, [(0, place), (place + SIZE, end)], context) != digest:
            raise BrokenSealError("its checksum is wrong: it is damaged or of another run")
        return digest


def _behind(file: BinaryIO) -> int:
    """Bytes of a file that lie behind its seal, or behind the place for it."""
    file.seek(0)
    if file.read(len(PARQUET)) != PARQUET:
        return 0
    end = file.seek(0, 2)
    file.seek(max(0, end - PARQUET_END.size))
    last = file.read()
    if len(last) < PARQUET_END.size:
        return 0
    length: int = PARQUET_END.unpack(last)[0]
    return min(PARQUET_END.size + length, end)


def _digest(file: BinaryIO, spans: list[tuple[int, int]], context: bytes) -> bytes:
    """SHA-256 of spans (first byte, end) of a file, one behind the other, and of the context."""
    sha = hashlib.sha256()
    for start, end in spans:
        file.seek(start)
        while start < end and (chunk := file.read(min(CHUNK, end - start))):
            sha.update(chunk)
            start += len(chunk)
    sha.update(context)
    return sha.digest()
