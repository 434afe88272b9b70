"""Frames on disk: uncompressed tars of JPEGs, read by byte offset.

A shard `x.tar` has the frames of many videos as `<video>/<frame %06d>.jpg`, frame 0 first; any tar
tool reads it. Every member is one 512-byte header, the JPEG, and zeros up to the next multiple of
512, so all offsets of a video follow from its first offset and its sizes. The table `x.parquet`
beside it has one row per video with the byte offset and size of each JPEG.
"""

import contextlib
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vie.frames.parquet import numbers, read_table
from vie.runtime.errors import VieError

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

    def add(self, video: str, jpegs: Sequence[bytes]) -> tuple[list[int], list[int]]:
        """Append the frames of a video -> (byte offsets, sizes).

        Raises:
            VieError: the id does not fit into a tar header of one block.
        """
        offsets, sizes = [], []
        for frame, jpeg in enumerate(jpegs):
            padded = jpeg.ljust(blocks(len(jpeg)), b"\0")
            self.file.write(_header(video, frame, len(jpeg)) + padded)
            offsets.append(self.position + BLOCK)
            sizes.append(len(jpeg))
            self.position += BLOCK + len(padded)
        return offsets, sizes

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


class ShardReader:
    """Reads frames from shards. It can be used after a fork and sent to other processes.

    Args:
        shards: paths of the tars.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        self.shards = [Path(shard) for shard in shards]
        self._process = -1
        self._open: dict[int, int] = {}

    def __reduce__(self) -> tuple[type["ShardReader"], tuple[list[Path]]]:
        return ShardReader, (self.shards,)  # other processes open their own files

    def read(self, shard: int, offset: int, size: int, video: str, frame: int) -> bytes:
        """The JPEG of one frame.

        The tar header before the JPEG is read too and must name the frame. A shard that does not
        belong to its table is found out this way.

        Args:
            shard: number of the shard in `shards`.
            offset, size: of the JPEG in the shard, in bytes.
            video: id of the video.
            frame: number of the frame, from 0.

        Raises:
            VieError: names the shard, the video and the frame.
        """
        data = os.pread(self._descriptor(shard), BLOCK + size, offset - BLOCK)
        name, jpeg = member_name(video, frame), data[BLOCK:]
        if len(jpeg) != size:
            problem = "ends before it (truncated)"
        elif _member_of(data[:BLOCK]) != name:
            problem = f"holds {_member_of(data[:BLOCK])!r} in its place"
        elif jpeg[:2] != b"\xff\xd8" or jpeg[-2:] != b"\xff\xd9":
            problem = "holds bytes that are not a JPEG"
        else:
            return jpeg
        raise VieError(
            f"{self.shards[shard]}: frame {frame} of video {video!r} at byte {offset}: the shard "
            f"{problem}; delete the shard and its table, and run again to extract it anew"
        )

    def _descriptor(self, shard: int) -> int:
        # Descriptors of a parent process are shared with it: a child opens its own.
        if self._process != os.getpid():
            self._open, self._process = {}, os.getpid()
        if shard not in self._open:
            try:
                self._open[shard] = os.open(self.shards[shard], os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise VieError(
                    f"{self.shards[shard]}: cannot be opened ({error.strerror}); the index names "
                    "this shard: put it back, or run again to extract it anew"
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
    """Whether a table describes a shard, without reading all of the shard.

    The table must describe members one after another from the start of the tar. The tar must have
    exactly their size, and must have the first frames of some videos where the table says.
    (`ShardReader` checks every frame that it reads.)

    Raises:
        VieError: names the shard and the first thing that does not match.
    """
    again = "delete both, and run again to extract the shard anew"
    try:
        actual = tar.stat().st_size
    except OSError as error:
        raise VieError(f"{tar}: the shard cannot be read ({error.strerror}); {again}") from error
    counts = numbers(table["n_frames"])
    lists = table["offsets"], table["sizes"]
    offsets, sizes = (numbers(pc.list_flatten(column)) for column in lists)
    lengths = [numbers(pc.list_value_length(column)) for column in lists]
    if any(not np.array_equal(length, counts) for length in lengths):
        raise VieError(f"{tar}: the table has another number of offsets than frames; {again}")
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
    with contextlib.closing(ShardReader([tar])) as reader:
        for i in spots if len(counts) else ():
            video, first = table["video"][int(i)].as_py(), firsts[i]
            reader.read(0, int(offsets[first]), int(sizes[first]), video, 0)
