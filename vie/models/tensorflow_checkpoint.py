"""Reads checkpoints of TensorFlow 1 and 2 ("tensor bundles") without TensorFlow.

A checkpoint is an index, a LevelDB table from names to entries (tensor_bundle.proto), and shards
of plain arrays: `<name>.index` and `<name>.data-00000-of-00001`, in a folder or a tar. The files
come from strangers: every number of theirs is compared with the size of the file that it points
into before anything is read, checksums are compared, nothing is unpacked, and no path of theirs is
followed.
"""

import contextlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from vie.models.tensorflow_files import DamageError, Part, find_files
from vie.runtime.errors import VieError, shown

FOOTER = 48  # bytes: two block handles, padded, and the magic number of LevelDB's tables
MAGIC = 0xDB4775248B80FB57
TRAILER = 5  # bytes after each block: its compression and its checksum
LARGEST_INDEX = 1 << 20  # bytes; the release's has about 20,000
LONGEST_NAME, MOST_VARIABLES = 1000, 10_000
MOST_DIMENSIONS, LARGEST_ARRAY = 8, 1 << 40  # numbers
CHUNK = 1 << 22  # bytes that are read at once to compare checksums
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}  # types.proto: float, double, int32, int64
WORDS = {1: 8, 5: 4}  # protobuf's wire types of fixed length: bytes


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


class TensorBundle:
    """The variables of a checkpoint.

    Args:
        path: a tar of the checkpoint, or its `.index` file.

    Attributes:
        entries: name -> `Entry`, sorted by name.
        others: names of what else is in a tar.

    Raises:
        VieError: it is no such checkpoint, or damaged, or of a form that is not read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._sentences():
            index, self._shards, self.others = find_files(self.path)
            self.entries = dict(self._entries(index))
            self._check_places()

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """The numbers of a variable, which takes the memory that its entry says.

        `check` compares them with their checksum.

        Raises:
            VieError: there is no such variable.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise VieError(f"{self.path} holds no variable {name}")
        with self._sentences(name):
            data = self._shards[entry.shard].read(entry.offset, entry.size)
        return np.frombuffer(data, entry.dtype).reshape(entry.shape)

    def check(self) -> None:
        """Compare all variables with their checksums, of whatever size they are.

        Raises:
            VieError: one is damaged.
        """
        for name, entry in self.entries.items():
            crc, end = 0, entry.offset + entry.size
            with self._sentences(name):
                for start in range(entry.offset, end, CHUNK):
                    data = self._shards[entry.shard].read(start, min(CHUNK, end - start))
                    crc = google_crc32c.extend(crc, data)
                if _masked(crc) != entry.checksum:
                    raise DamageError(
                        "its bytes are not those that were written (their checksum differs): get "
                        "the file again"
                    )

    @contextlib.contextmanager
    def _sentences(self, name: str | None = None) -> Iterator[None]:
        """What is wrong, with the name of the file, and of the variable."""
        place = f"{self.path}: " + ("" if name is None else f"{shown(name)}: ")
        try:
            yield
        except DamageError as error:
            raise VieError(f"{place}{error}") from None
        except OSError as error:
            raise VieError(f"{place}it cannot be read ({error.strerror})") from None

    def _entries(self, index: Part) -> Iterator[tuple[str, Entry]]:
        table = _table(index)
        key, value = next(table, (None, b""))
        if key != b"":
            raise DamageError("its index has no header")
        header, _ = _message(value)  # 1 shards, 2 endianness
        if header[2] != 0:
            raise DamageError("its numbers are big-endian, which is not read")
        if header[1] != len(self._shards):
            raise DamageError(
                f"its index names {header[1]} shards, but {len(self._shards)} are there"
            )
        for number, (key, value) in enumerate(table):
            if number == MOST_VARIABLES:
                raise DamageError(f"it holds more than {number} variables")
            try:
                name = key.decode()
            except UnicodeDecodeError:
                raise DamageError(f"its index has a name that is no text: {key[:50]!r}") from None
            try:
                entry = _entry(name, value)
            except DamageError as error:
                raise DamageError(f"{shown(name)}: {error}") from None
            if not 0 <= entry.shard < len(self._shards):
                raise DamageError(
                    f"{shown(name)} lies in shard {entry.shard} of {len(self._shards)}"
                )
            yield name, entry

    def _check_places(self) -> None:
        """No variable lies over another, and the last ends where its shard does.

        There may be gaps between them: TensorFlow leaves some if it was told to align variables.
        """
        ends = [0] * len(self._shards)
        for entry in sorted(self.entries.values(), key=lambda entry: (entry.shard, entry.offset)):
            if entry.offset < ends[entry.shard]:
                raise DamageError(f"{shown(entry.name)} lies where another variable lies")
            ends[entry.shard] = entry.offset + entry.size
        for number, (end, part) in enumerate(zip(ends, self._shards, strict=True)):
            if end > part.size:
                raise DamageError(
                    f"its variables end at byte {end} of shard {number}, which has {part.size}: it "
                    "is cut off, get the file again"
                )
            if end < part.size:
                raise DamageError(
                    f"its variables end at byte {end} of shard {number}, which has {part.size}: "
                    "index and shard are not of one checkpoint"
                )


def _table(index: Part) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table, in order: each block and each key comes after the last,
    so that nothing is read twice."""
    if index.size > LARGEST_INDEX:
        raise DamageError(
            f"its index has {index.size} bytes, more than any checkpoint of a network"
        )
    if index.size < FOOTER:
        raise DamageError("its index is cut off")
    data = index.read(0, index.size)
    footer = data[-FOOTER:]
    if int.from_bytes(footer[-8:], "little") != MAGIC:
        raise DamageError("its index is no LevelDB table, or is cut off")
    (offset, size), at = _handle(footer, 0)
    _block(data, offset, size)  # about the table itself: only its checksum matters here
    (offset, size), _ = _handle(footer, at)
    last, end = None, 0
    for _, handle in _items(_block(data, offset, size)):
        (offset, size), _ = _handle(handle, 0)
        if offset < end:
            raise DamageError("the blocks of its index are out of order")
        end = offset + size
        for key, value in _items(_block(data, offset, size)):
            if last is not None and key <= last:
                raise DamageError("the names in its index are out of order")
            yield key, value
            last = key


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where the handle ends."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _block(data: bytes, offset: int, size: int) -> bytes:
    """The items of one block."""
    end = offset + size
    if size < 4 or end + TRAILER > len(data) - FOOTER:
        raise DamageError("its index points outside of itself")
    if data[end] != 0:
        raise DamageError("its index is compressed, which is not read")
    checksum = int.from_bytes(data[end + 1 : end + TRAILER], "little")
    if _masked(google_crc32c.value(data[offset : end + 1])) != checksum:
        raise DamageError("its index is damaged (a checksum differs): get the file again")
    restarts = int.from_bytes(data[end - 4 : end], "little")
    if 4 + 4 * restarts > size:
        raise DamageError("its index is damaged")
    return data[offset : end - 4 - 4 * restarts]


def _items(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values: each key repeats the start of the one before."""
    key, at = b"", 0
    while at < len(block):
        shared, at = _varint(block, at)
        more, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + more + length > len(block):
            raise DamageError("its index is damaged")
        if shared + more > LONGEST_NAME:
            raise DamageError(f"its index has a name of {shared + more} characters")
        key = key[:shared] + block[at : at + more]
        yield key, block[at + more : at + more + length]
        at += more + length


def _entry(name: str, value: bytes) -> Entry:
    """BundleEntryProto: 1 dtype, 2 shape, 3 shard, 4 offset, 5 size, 6 checksum, 7 slices."""
    numbers, messages = _message(value)
    if 7 in messages:
        raise DamageError("it is cut into slices, which is not read")
    dtype = DTYPES.get(numbers[1])
    if dtype is None:
        raise DamageError(f"its type of numbers, {numbers[1]} in types.proto, is not read")
    described = [dimension for shape in messages[2] for dimension in _message(shape)[1][2]]
    if len(described) > MOST_DIMENSIONS:
        raise DamageError(f"it has {len(described)} dimensions, more than any layer")
    dimensions = [_message(dimension)[0][1] for dimension in described]
    if math.prod(n or 1 for n in dimensions) > LARGEST_ARRAY:
        raise DamageError(f"its shape {'x'.join(map(str, dimensions))} is larger than any layer's")
    if math.prod(dimensions) * np.dtype(dtype).itemsize != numbers[5]:
        raise DamageError(
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
            raise DamageError("its index is damaged")
        if at + length > len(data):
            raise DamageError("its index is damaged")
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
    raise DamageError("its index is damaged")


def _masked(crc: int) -> int:
    """A CRC-32C as LevelDB stores it: turned by 15 bits, plus a constant."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
