"""One shard's share of a manifest -> its tar of frames, its table and its rejected videos."""

import collections
import csv
import glob
import os
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq

from vie.frames.excerpts import extract_clip
from vie.frames.ffmpeg import Frames, UnusableVideoError, ffmpeg_version
from vie.frames.manifest import read_manifest
from vie.frames.parquet import make_table
from vie.frames.shards import TABLE_SCHEMA, ShardWriter
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write
from vie.runtime.progress import progress
from vie.runtime.threads import VIDEOS_AHEAD

REJECTED_COLUMNS = ("video", "path", "label", "reason")


def extract_shard(
    manifest: Path,
    shard: int,
    shards: int,
    videos: Path,
    tar: Path,
    table: Path,
    rejected: Path,
    *,
    fps: float,
    shorter_side: int,
    quality: int,
    timeout_seconds: float,
    max_seconds: float,
    processes: int,
) -> None:
    """Extract the frames of the manifest's rows shard, shard + shards, shard + 2 shards, ...

    Rows are dealt out in turn since neighbours in the manifest are of one class: every shard gets
    a like mixture of long and short videos, and the loss of a shard would not be that of a class.
    A video that cannot be used becomes a row of `rejected`; the rest goes on. Of files that are
    longer than the clip that is annotated, the clip is read (`vie.frames.excerpts`).

    Args:
        manifest: `manifest.parquet` of the split.
        shard, shards: number of this shard, and how many there are.
        videos: folder that the manifest's paths are relative to.
        tar, table, rejected: the files to write; they appear together at the end.
        fps, shorter_side, quality, timeout_seconds, max_seconds: as for `extract_clip`.
        processes: ffmpeg processes at once.

    Raises:
        VieError: the settings or the manifest are wrong, ffmpeg is missing, or all files of the
            shard are gone.
    """
    if not 0 <= shard < shards:
        raise VieError(f"shard {shard} of {shards}: shards are numbered from 0")
    if not Path(videos).is_dir():
        raise VieError(f"{videos}: no such folder of videos")
    everything = read_manifest(manifest).to_pylist()
    clips_of = collections.Counter(row["path"] for row in everything)
    rows = [{**row, "alone": clips_of[row["path"]] == 1} for row in everything[shard::shards]]
    refuse_if_gone(rows, Path(videos), manifest)
    settings = {"fps": f"{fps:g}", "shorter_side": shorter_side, "quality": quality}
    described = {**settings, "shard": shard, "shards": shards, "ffmpeg": ffmpeg_version()}
    decode = {"timeout_seconds": timeout_seconds, "max_seconds": max_seconds, "fps": fps}
    decode |= {"shorter_side": shorter_side, "quality": quality}
    kept, refused = [], []
    # What a killed run of this shard left behind (`whole` names it so) would only fill the disk.
    for path in Path(tar).parent.glob(f".{glob.escape(Path(tar).stem)}.*"):
        path.unlink()
    # Left in the opposite order: the tar is in place before the table that speaks of it.
    with (
        atomic_write(rejected) as refused_to,
        atomic_write(table) as table_to,
        atomic_write(tar) as tar_to,
    ):
        bar = progress(None, total=len(rows), label=f"frames {shard} of {shards}", unit="videos")
        with tar_to.open("wb") as file, bar:
            writer = ShardWriter(file)
            for row, result in _decoded(rows, Path(videos), processes, decode):
                if isinstance(result, UnusableVideoError):
                    refused.append({**row, "reason": str(result)})
                else:
                    offsets, sizes = writer.add(row["video"], result.jpegs)
                    kept.append(_table_row(row, result, offsets, sizes))
                bar.set_postfix(rejected=len(refused))
                bar.update(1)
            writer.finish()
        refuse_if_gone(rows, Path(videos), manifest)  # while they were read
        schema = TABLE_SCHEMA.with_metadata({k: str(v) for k, v in described.items()})
        columns = {name: [row[name] for row in kept] for name in schema.names}
        pq.write_table(make_table(columns, schema), table_to)
        write_rejected(refused, refused_to)


def refuse_if_gone(rows: Iterable[dict], videos: Path, manifest: Path) -> None:
    """Whether the files of a shard can be reached from here: on some node they may not be.

    One file that is gone is a video that is rejected. All of them are a folder that is gone, and
    would leave out hundreds of videos in silence.

    Args:
        rows: of the manifest.
        videos: folder that their paths are relative to.
        manifest: for the message.

    Raises:
        VieError: files were there when the manifest was made, and now none is.
    """
    paths = [row["path"] for row in rows if row["there"]]
    if paths and not any(os.path.exists(videos / path) for path in paths):
        raise VieError(
            f"{videos}: none of this shard's {len(paths)} files is there on "
            f"{socket.gethostname()}, such as {paths[0]!r}, but they were when the manifest was "
            "made; see whether the folder is mounted on that node and run this again, or, if the "
            f"files were moved, delete {manifest} to have them looked for anew"
        )


def _table_row(row: dict, frames: Frames, offsets: list[int], sizes: list[int]) -> dict:
    shape = {"n_frames": len(sizes), "width": frames.width, "height": frames.height}
    return {**row, **shape, "offsets": offsets, "sizes": sizes}


def _decoded(
    rows: Iterable[dict], videos: Path, processes: int, decode: dict
) -> Iterator[tuple[dict, Frames | UnusableVideoError]]:
    """Each row with its frames or the reason against it, in order, `processes` at a time.

    Threads are enough: the work is in the ffmpeg processes.
    """

    def one(row: dict) -> Frames | UnusableVideoError:
        try:
            place = {name: row[name] for name in ("start", "end", "alone")}
            return extract_clip(videos / row["path"], **place, **decode)
        except UnusableVideoError as error:
            return error

    waiting: collections.deque[tuple[dict, Future]] = collections.deque()
    pool = ThreadPoolExecutor(max(processes, 1))
    try:
        for row in rows:
            waiting.append((row, pool.submit(one, row)))
            if len(waiting) >= VIDEOS_AHEAD * max(processes, 1):
                row, future = waiting.popleft()
                yield row, future.result()
        while waiting:
            row, future = waiting.popleft()
            yield row, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def write_rejected(rows: Iterable[dict], path: Path) -> None:
    """Write rejected videos as CSV, columns video, path, label, reason."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, REJECTED_COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rejected(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV of rejected videos.

    Raises:
        VieError: it is not such a file.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except OSError as error:
        raise VieError(f"{path}: cannot be read: {error.strerror}") from error
    if tuple(reader.fieldnames or ()) != REJECTED_COLUMNS:
        raise VieError(f"{path}: its columns should be {','.join(REJECTED_COLUMNS)}")
    return rows
