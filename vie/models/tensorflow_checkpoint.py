"""Reads checkpoints of TensorFlow 1 and 2 ("tensor bundles") without TensorFlow.

A checkpoint is an index, a LevelDB table from names to entries (tensor_bundle.proto), and shards
of plain arrays: `<name>.index` and `<name>.data-00000-of-00001`, in a folder or a tar. The files
come from strangers: every number of theirs is compared with the size of the file that it points
into before anything is read, checksums are compared, nothing is unpacked, and no path of theirs is
followed.
"""

import glob
import math
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np

from vie.runtime.errors import VieError

FOOTER = 48  # bytes: two block handles, padded, and the magic number of LevelDB's tables
MAGIC = 0xDB4775248B80FB57
TRAILER = 5  # bytes after each block: its compression and its checksum
LARGEST_INDEX = 1 << 26  # bytes; the release's has about 20,000
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}  # types.proto: float, double, int32, int64
SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})$")
WORDS = {1: 8, 5: 4}  # protobuf's wire types of fixed length: bytes


class Part(NamedTuple):
    """A file, or a member of a tar: `size` bytes from `start` in the file `path`."""

    path: Path
    start: int
    size: int

    def read(self, offset: int, size: int) -> bytes:
        if not 0 <= offset <= offset + size <= self.size:
            raise _DamageError(
                f"bytes {offset} to {offset + size} lie outside of {self.size} bytes"
            )
        with self.path.open("rb") as file:
            file.seek(self.start + offset)
            data = file.read(size)
        if len(data) != size:
            raise _DamageError(f"{self.path} ends early")
        return data


@dataclass(frozen=True)
class Entry:
    """One variable: its shape, and where its numbers lie."""

    name: str
    dtype: str  # of numpy
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int  # bytes
    checksum: int


class _DamageError(Exception):
    """What is wrong, without the name of the file."""


class TensorBundle:
    """The variables of a checkpoint.

    Args:
        path: a tar of the checkpoint, or its `.index` file.

    Attributes:
        entries: name -> `Entry`, sorted by name.

    Raises:
        VieError: it is no such checkpoint, or damaged, or of a form that is not read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            index, self._shards = _parts(self.path)
            self.entries = dict(self._entries(index))
            self._check_places()
        except _DamageError as error:
            raise VieError(f"{path}: {error}") from None

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """The numbers of a variable, checked against their checksum.

        Raises:
            VieError: there is no such variable, or its bytes are damaged.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise VieError(f"{self.path} holds no variable {name}")
        try:
            data = self._shards[entry.shard].read(entry.offset, entry.size)
        except _DamageError as error:
            raise VieError(f"{self.path}: {name}: {error}") from None
        if _masked_checksum(data) != entry.checksum:
            raise VieError(
                f"{self.path}: the bytes of {name} are not those that were written (their checksum "
                "differs): get the file again"
            )
        return np.frombuffer(data, entry.dtype).reshape(entry.shape)

    def check(self) -> None:
        """Compare all variables with their checksums, one at a time.

        Raises:
            VieError: one is damaged.
        """
        for name in self.entries:
            self.array(name)

    def _entries(self, index: Part) -> Iterator[tuple[str, Entry]]:
        table = _table(index)
        if not table or table[0][0] != b"":
            raise _DamageError("its index has no header")
        header, _ = _message(table[0][1])  # 1 shards, 2 endianness
        if header[2] != 0:
            raise _DamageError("its numbers are big-endian, which is not read")
        if header[1] != len(self._shards):
            raise _DamageError(
                f"its index names {header[1]} shards, but {len(self._shards)} are there"
            )
        for key, value in table[1:]:
            try:
                name = key.decode()
            except UnicodeDecodeError:
                raise _DamageError(f"its index has a name that is no text: {key[:50]!r}") from None
            try:
                entry = _entry(name, value)
            except _DamageError as error:
                raise _DamageError(f"{name}: {error}") from None
            if not 0 <= entry.shard < len(self._shards):
                raise _DamageError(f"{name} lies in shard {entry.shard} of {len(self._shards)}")
            yield name, entry

    def _check_places(self) -> None:
        """The variables fill each shard from its start to its end, side by side."""
        ends = [0] * len(self._shards)
        for entry in sorted(self.entries.values(), key=lambda entry: (entry.shard, entry.offset)):
            if entry.offset < ends[entry.shard]:
                raise _DamageError(f"{entry.name} lies where another variable lies")
            ends[entry.shard] = entry.offset + entry.size
        for number, (end, part) in enumerate(zip(ends, self._shards, strict=True)):
            if end > part.size:
                raise _DamageError(
                    f"its variables end at byte {end} of shard {number}, which has {part.size}: it "
                    "is cut off, get the file again"
                )
            if end < part.size:
                raise _DamageError(
                    f"its variables end at byte {end} of shard {number}, which has {part.size}: "
                    "index and shard are not of one checkpoint"
                )


def _parts(path: Path) -> tuple[Part, list[Part]]:
    """The index and the shards in order."""
    if not path.is_file():
        raise _DamageError("there is no such file")
    if path.suffix == ".index":
        files = [file for file in path.parent.glob(glob.escape(path.stem) + ".*") if file.is_file()]
        parts = {file.name: Part(file, 0, file.stat().st_size) for file in files}
    else:
        parts = dict(_members(path))
    indexes = [name for name in parts if name.endswith(".index")]
    if len(indexes) != 1:
        raise _DamageError(
            f"a tar of one checkpoint of TensorFlow holds one .index file, this one holds "
            f"{len(indexes)}"
        )
    index = parts[indexes[0]]
    stem = indexes[0].removesuffix(".index")
    found = {}
    for name, part in parts.items():
        if name.startswith(stem) and (match := SHARD.fullmatch(name[len(stem) :])):
            found[int(match[1]), int(match[2])] = part
    of = {total for _, total in found}
    if len(of) != 1 or sorted(number for number, _ in found) != list(range(*of)):
        names = ", ".join(sorted(f"{n:05d}-of-{total:05d}" for n, total in found)) or "none"
        raise _DamageError(f"its shards are incomplete: found {names}")
    return index, [found[key] for key in sorted(found)]


def _members(path: Path) -> Iterator[tuple[str, Part]]:
    """Name without folders, and place, of the plain files in a tar."""
    size, seen = path.stat().st_size, set()
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if not member.isreg() or member.sparse is not None:
                    continue
                name = member.name.rsplit("/", 1)[-1]
                if name in seen:
                    raise _DamageError(f"it holds {name} twice")
                if member.size < 0 or member.offset_data + member.size > size:
                    raise _DamageError(f"its {name} is cut off: get the file again")
                seen.add(name)
                yield name, Part(path, member.offset_data, member.size)
    except (tarfile.TarError, ValueError, OSError, OverflowError) as error:
        raise _DamageError(f"it is no uncompressed tar, or damaged ({error})") from None


def _table(index: Part) -> list[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table, in order."""
    if index.size > LARGEST_INDEX:
        raise _DamageError(
            f"its index has {index.size} bytes, more than any checkpoint of a network"
        )
    if index.size < FOOTER:
        raise _DamageError("its index is cut off")
    data = index.read(0, index.size)
    footer = data[-FOOTER:]
    if int.from_bytes(footer[-8:], "little") != MAGIC:
        raise _DamageError("its index is no LevelDB table, or is cut off")
    about, at = _handle(footer, 0)
    _block(data, *about)  # about the table itself: only its checksum matters here
    blocks, _ = _handle(footer, at)
    found = []
    for _, handle in _block(data, *blocks):
        found += _block(data, *_handle(handle, 0)[0])
    if [key for key, _ in found] != sorted({key for key, _ in found}):
        raise _DamageError("the names in its index are out of order")
    return found


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where the handle ends."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _block(data: bytes, offset: int, size: int) -> list[tuple[bytes, bytes]]:
    """Keys and values of one block: each key repeats the start of the one before."""
    end = offset + size
    if size < 4 or end + TRAILER > len(data) - FOOTER:
        raise _DamageError("its index points outside of itself")
    if data[end] != 0:
        raise _DamageError("its index is compressed, which is not read")
    checksum = int.from_bytes(data[end + 1 : end + TRAILER], "little")
    if _masked_checksum(data[offset : end + 1]) != checksum:
        raise _DamageError("its index is damaged (a checksum differs): get the file again")
    restarts = int.from_bytes(data[end - 4 : end], "little")
    stop = end - 4 - 4 * restarts
    if stop < offset:
        raise _DamageError("its index is damaged")
    found, key, at = [], b"", offset
    while at < stop:
        shared, at = _varint(data, at)
        more, at = _varint(data, at)
        length, at = _varint(data, at)
        if shared > len(key) or at + more + length > stop:
            raise _DamageError("its index is damaged")
        key = key[:shared] + data[at : at + more]
        found.append((key, data[at + more : at + more + length]))
        at += more + length
    return found


def _entry(name: str, value: bytes) -> Entry:
    """BundleEntryProto: 1 dtype, 2 shape, 3 shard, 4 offset, 5 size, 6 checksum, 7 slices."""
    numbers, messages = _message(value)
    if 7 in messages:
        raise _DamageError("it is cut into slices, which is not read")
    dtype = DTYPES.get(numbers[1])
    if dtype is None:
        raise _DamageError(f"its type of numbers, {numbers[1]} in types.proto, is not read")
    dimensions = [
        _message(dimension)[0][1] for shape in messages[2] for dimension in _message(shape)[1][2]
    ]
    if math.prod(dimensions) * np.dtype(dtype).itemsize != numbers[5]:
        raise _DamageError(
            f"{numbers[5]} bytes are no array of the shape {'x'.join(map(str, dimensions))}"
        )
    return Entry(name, dtype, tuple(dimensions), numbers[3], numbers[4], numbers[5], numbers[6])


def _message(data: bytes) -> tuple[Counter[int], defaultdict[int, list[bytes]]]:
    """A protobuf message's numbers, 0 where there is none, and its strings and messages."""
    numbers: Counter[int] = Counter()
    messages: defaultdict[int, list[bytes]] = defaultdict(list)
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            numbers[field], at = _varint(data, at)
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in WORDS:
            length = WORDS[wire]
        else:
            raise _DamageError("its index is damaged")
        if at + length > len(data):
            raise _DamageError("its index is damaged")
        content = data[at : at + length]
        if wire == 2:
            messages[field].append(content)
        else:
            numbers[field] = int.from_bytes(content, "little")
        at += length
    return numbers, messages


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of 1 to 10 bytes, seven bits each, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise _DamageError("its index is damaged")


def _masked_checksum(data: bytes) -> int:
    """CRC-32C as LevelDB stores it: turned by 15 bits, plus a constant."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
