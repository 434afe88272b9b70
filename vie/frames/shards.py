"""Frames on disk: uncompressed tars of JPEGs, read by byte offset.

A shard `x.tar` has the frames of many videos as `<video>/<frame %06d>.jpg`, frame 0 first; any tar
tool reads it. Every member is one 512-byte header, the JPEG, and zeros up to the next multiple of
512, so all offsets of a video follow from its first offset and its sizes. The table `x.parquet`
beside it has one row per video with the byte offset, size and CRC-32 of each JPEG.
"""

import contextlib
import os
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vie.frames.parquet import numbers, read_table
from vie.runtime.disk import check_machine
from vie.runtime.errors import VieError, made_anew

BLOCK = tarfile.BLOCKSIZE  # 512
SPOT_CHECKS = 16  # per shard
Size = TypeVar("Size", int, np.ndarray)
OPEN_SHARDS = 128  # per process; the usual limit of open files is 1024
TABLE_SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("path", pa.string()),
        ("label", pa.string()),
        ("class", pa.int32()),
        ("n_frames", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("offsets", pa.list_(pa.int64())),  # of each JPEG's first byte in the tar
        ("sizes", pa.list_(pa.int32())),  # of each JPEG in bytes
        ("checksums", pa.list_(pa.uint32())),  # CRC-32 of each JPEG
    ]
)


def member_name(video: str, frame: int) -> str:
    """Name of a frame inside its shard."""
    return f"{video}/{frame:06d}.jpg"


def frame_offsets(first_offset: int, sizes: np.ndarray) -> np.ndarray:
    """Byte offsets of a video's JPEGs: (n,) sizes -> (n,) int64."""
    steps = BLOCK + blocks(sizes[:-1].astype(np.int64))
    return first_offset + np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)


def blocks(size: Size) -> Size:
    """Bytes that `size` bytes of content take up in a tar."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


def tar_bytes(content: int) -> int:
    """Size of a whole tar whose members end at byte `content`: two empty blocks, whole records."""
    end = content + 2 * BLOCK
    return -(-end // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


class ShardWriter:
    """Writes a shard video by video; the same frames always give the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.position = 0

    def add(self, video: str, jpegs: Sequence[bytes]) -> dict[str, Any]:
        """Append the frames of a video -> its n_frames, offsets, sizes and checksums, as in
        `TABLE_SCHEMA`.

        Raises:
            VieError: the id does not fit into a tar header of one block.
        """
        offsets = []
        for frame, jpeg in enumerate(jpegs):
            padded = jpeg.ljust(blocks(len(jpeg)), b"\0")
            self.file.write(_header(video, frame, len(jpeg)) + padded)
            offsets.append(self.position + BLOCK)
            self.position += BLOCK + len(padded)
        return {
            "n_frames": len(jpegs),
            "offsets": offsets,
            "sizes": [len(jpeg) for jpeg in jpegs],
            "checksums": [zlib.crc32(jpeg) for jpeg in jpegs],
        }

    def finish(self) -> None:
        """End the archive."""
        self.file.write(bytes(tar_bytes(self.position) - self.position))


def _header(video: str, frame: int, size: int) -> bytes:
    member = tarfile.TarInfo(member_name(video, frame))  # mtime 0, user 0, mode 0644
    member.size = size
    try:
        return member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")
    except ValueError as error:
        raise VieError(
            f"video id {video!r} is too long for a tar member ({error}); at most 155 bytes fit"
        ) from error


def _member_of(header: bytes) -> str:
    """The name in a tar header."""
    name, prefix = header[:100].split(b"\0", 1)[0], header[345:500].split(b"\0", 1)[0]
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "surrogateescape")


class Place(NamedTuple):
    """Where a frame lies, and how to know it."""

    shard: int  # number in `ShardReader.shards`
    offset: int  # of the JPEG in the shard, in bytes
    size: int  # of the JPEG, in bytes
    checksum: int  # CRC-32 of the JPEG
    video: str  # id
    frame: int  # number in the shard, from 0


class ShardReader:
    """Reads frames from shards. It can be used after a fork and sent to other processes.

    Args:
        shards: paths of the tars.
        index: the file that says where frames lie; messages tell to delete it with a shard.
    """

    def __init__(self, shards: Sequence[Path], index: Path) -> None:
        self.shards = [Path(shard) for shard in shards]
        self.index = Path(index)
        self._process = -1
        self._open: dict[int, int] = {}

    def __reduce__(self) -> tuple[type["ShardReader"], tuple[list[Path], Path]]:
        return ShardReader, (self.shards, self.index)  # other processes open their own files

    def read(self, place: Place) -> bytes:
        """The JPEG of one frame, with the bytes that were extracted.

        The tar header before the JPEG is read too and must name the frame: a shard that does not
        belong to its table is found out by that, and damage by the checksum.

        Raises:
            VieError: names the shard, the video and the frame.
            OSError: the shard cannot be read now (`vie.runtime.disk.check_machine`).
        """
        file = self._descriptor(place.shard)
        start, end = place.offset - BLOCK, place.offset + place.size
        whole = start >= 0 and end <= os.fstat(file).st_size  # before memory is taken for it
        try:
            data = os.pread(file, end - start, start) if whole else b""
        except OSError as error:
            check_machine(error, self.shards[place.shard])
            raise
        name, jpeg = member_name(place.video, place.frame), data[BLOCK:]
        if not whole or len(jpeg) != place.size:
            problem = "is cut off: the shard ends before it (truncated)"
        elif _member_of(data[:BLOCK]) != name:
            problem = f"is not in its place, which holds {_member_of(data[:BLOCK])!r}"
        elif zlib.crc32(jpeg) != place.checksum:
            problem = "is damaged: its checksum is wrong"
        else:
            return jpeg
        raise VieError(self.message(place, problem))

    def message(self, place: Place, problem: str) -> str:
        """That a frame has a problem: where it is, and what to do."""
        shard = self.shards[place.shard]
        return (
            f"{shard}: frame {place.frame} of video {place.video!r} {problem}; "
            f"{made_anew(shard, self.index)}"
        )

    def undecodable(self, place: Place, error: ValueError) -> VieError:
        """What to raise where a frame that `read` gave cannot be decoded.

        It is as it was extracted, so the same comes of the same video.
        """
        problem = f"cannot be decoded ({error}): move its video out of the dataset's folder"
        return VieError(self.message(place, problem))

    def _descriptor(self, shard: int) -> int:
        # Descriptors of a parent process are shared with it: a child opens its own.
        if self._process != os.getpid():
            self._open, self._process = {}, os.getpid()
        if shard not in self._open:
            try:
                self._open[shard] = os.open(self.shards[shard], os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise VieError(
                    f"{self.shards[shard]}: no such file, but {self.index} names this shard: put "
                    f"it back, or {made_anew(self.index)}"
                ) from error
            if len(self._open) > OPEN_SHARDS:
                os.close(self._open.pop(next(iter(self._open))))
        return self._open[shard]

    def close(self) -> None:
        """Close the files that this process has open."""
        if self._process == os.getpid():
            for descriptor in self._open.values():
                os.close(descriptor)
        self._open = {}


def read_shard_table(path: Path) -> pa.Table:
    """Read the table beside a shard; see `read_table`."""
    return read_table(path, TABLE_SCHEMA, "the table of a shard")


def check_shard(tar: Path, table: pa.Table) -> None:
    """Whether the table beside a shard describes it, without reading all of the shard.

    The table must describe members one after another from the start of the tar. The tar must have
    exactly their size, and must have the first frames of some videos where the table says.
    (`ShardReader` checks every frame that it reads.)

    Raises:
        VieError: names the shard and the first thing that does not match.
    """
    path = tar.with_suffix(".parquet")
    again = made_anew(tar, path)
    try:
        actual = tar.stat().st_size
    except FileNotFoundError as error:
        raise VieError(f"{tar}: no such shard; {again}") from error
    counts = numbers(table["n_frames"])
    lists = [table[name] for name in ("offsets", "sizes", "checksums")]
    lengths = [numbers(pc.list_value_length(column)) for column in lists]
    if any(not np.array_equal(length, counts) for length in lengths):
        raise VieError(f"{tar}: the table has another number of offsets than frames; {again}")
    offsets, sizes, checksums = (numbers(pc.list_flatten(column)) for column in lists)
    if len(sizes) and not np.array_equal(offsets, frame_offsets(BLOCK, sizes)):
        raise VieError(f"{tar}: the table's offsets and sizes do not follow each other; {again}")
    expected = tar_bytes(int(offsets[-1] + blocks(int(sizes[-1]))) if len(sizes) else 0)
    if actual != expected:
        raise VieError(
            f"{tar}: the shard has {actual} bytes, its table describes {expected} "
            f"({'truncated or ' if actual < expected else ''}of another run); {again}"
        )
    firsts = np.cumsum(counts) - counts  # (videos,) -> row of each video's first frame
    spots = np.unique(np.linspace(0, len(counts) - 1, SPOT_CHECKS).astype(int))
    with contextlib.closing(ShardReader([tar], path)) as reader:
        for i in spots if len(counts) else ():
            offset, size, checksum = (int(one[firsts[i]]) for one in (offsets, sizes, checksums))
            video = table["video"][int(i)].as_py()
            reader.read(Place(0, offset, size, checksum, video, 0))
