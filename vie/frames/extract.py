"""Extraction of frames: one shard of a manifest -> its tar, its table and its rejected videos."""

import glob
import os
import re
import socket
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vie.datasets.file_names import on_disk
from vie.frames.excerpts import extract_clip
from vie.frames.ffmpeg import Frames, FrameSettings, extract_jpegs
from vie.frames.images import ImageSettings, image_frames, quiet
from vie.frames.manifest import SCHEMA, read_manifest
from vie.frames.parquet import make_table, rows_of, write_table
from vie.frames.pieces import extract_pieces
from vie.frames.shards import TABLE_SCHEMA, ShardWriter
from vie.frames.unusable import UnusableVideoError
from vie.runtime.csv_files import read_rows, write_rows
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write
from vie.runtime.progress import Progress
from vie.runtime.threads import VIDEOS_AHEAD

REJECTED_COLUMNS = ("video", "path", "label", "reason")

Row = dict[str, Any]  # of the manifest, and what is added to it
Decoded = tuple[Row, Frames | UnusableVideoError]  # a video's frames, or the reason against it


@dataclass(frozen=True)
class Shard:
    """One shard of a split, and the files that its extraction writes."""

    manifest: Path  # `manifest.parquet` of the split
    number: int  # from 0
    count: int  # of the split's shards
    tar: Path  # JPEG frames
    table: Path  # one row per usable video
    rejected: Path  # CSV of the other videos


def extract_shard(
    shard: Shard, videos: Path, settings: FrameSettings | ImageSettings, *, processes: int
) -> None:
    """Extract the frames of the manifest's rows number, number + count, number + 2 count, ...

    Neighbours in the manifest are of one class. Dealing out rows in turn gives every shard a
    similar mixture of long and short videos, and a lost shard does not take a class with it. A
    video that cannot be used becomes a row of `rejected`. Of a file that is longer than its
    annotated clip, the clip is read (`vie.frames.excerpts`); pieces of exact times are read from
    one decoding of their file, whose rows are dealt out together (`vie.frames.pieces`). The
    shard's files appear together at the end.

    The manifest's paths are relative to the folder `videos`; so many `processes` of ffmpeg run at
    once. With settings of images, each file is an image (`vie.frames.images`), and so many threads
    decode.

    Raises:
        VieError: the settings or the manifest are wrong, ffmpeg is missing, or all files of the
            shard are gone.
    """
    number, count = shard.number, shard.count
    if not 0 <= number < count:
        raise VieError(f"shard {number} of {count}: shards are numbered from 0")
    if not videos.is_dir():
        raise VieError(f"{videos}: no such folder of videos")
    files = _by_file(shard.manifest, number, count)
    rows = [row for file in files for row in file]
    refuse_if_gone(rows, videos, shard.manifest)
    # Remove what a killed run of this shard left; `atomic_write` names its files like this.
    for path in shard.tar.parent.glob(f".{glob.escape(shard.tar.stem)}.*"):
        path.unlink()
    # The last file to be opened appears first: the tar is in place before its table.
    with (
        atomic_write(shard.rejected) as rejected,
        atomic_write(shard.table) as table,
        atomic_write(shard.tar) as tar,
        quiet(),
    ):
        decoded = _decoded(files, videos, settings, processes, tar.parent)
        unit = "images" if isinstance(settings, ImageSettings) else "videos"
        bar = Progress(total=len(rows), label=f"frames {number} of {count}", unit=unit)
        kept, refused = _write_tar(tar, decoded, bar)
        refuse_if_gone(rows, videos, shard.manifest)  # they may have gone meanwhile
        metadata = {
            "fps": f"{settings.fps:g}",
            "shorter_side": str(settings.shorter_side),
            "quality": str(settings.quality),
            "shard": str(number),
            "shards": str(count),
            **settings.made_by,
        }
        columns = {name: [row[name] for row in kept] for name in TABLE_SCHEMA.names}
        write_table(make_table(columns, TABLE_SCHEMA.with_metadata(metadata)), table)
        write_rejected(refused, rejected)


def _by_file(manifest: Path, number: int, count: int) -> list[list[Row]]:
    """The rows of a shard that are decoded together: one, or all exact pieces of a file."""
    table = read_manifest(manifest)
    if table.schema.equals(SCHEMA):
        clips = Counter(table["path"].to_pylist())
        rows = rows_of(table, np.arange(number, len(table), count))
        return [[{**row, "only_clip_in_file": clips[row["path"]] == 1}] for row in rows]
    files: dict[tuple[str, bool], list[Row]] = {}
    for row in table.to_pylist():
        files.setdefault((row["path"], bool(row["end"])), []).append(row)
    return list(files.values())[number::count]


def _write_tar(tar: Path, decoded: Iterable[Decoded], bar: Progress) -> tuple[list[Row], list[Row]]:
    """Write decoded videos to a tar -> (rows of the shard's table, rejected rows)."""
    kept: list[Row] = []
    refused: list[Row] = []
    with tar.open("wb") as file, bar:
        writer = ShardWriter(file)
        for row, result in decoded:
            if isinstance(result, UnusableVideoError):
                refused.append({**row, "reason": str(result)})
            else:
                shape = {"width": result.width, "height": result.height}
                kept.append({**row, **shape, **writer.add(row["video"], result.jpegs)})
            bar.set_postfix(rejected=len(refused))
            bar.update(1)
        writer.finish()
    return kept, refused


def refuse_if_gone(rows: Iterable[Row], videos: Path, manifest: Path) -> None:
    """Refuse a shard whose files can all not be reached, as on a node that lacks the folder.

    A single file that is gone is a rejected video. If all are gone, the folder is gone, and
    rejecting them would leave out hundreds of good videos.

    Raises:
        VieError: files were found when the manifest was made, and now none is.
    """
    paths = [row["path"] for row in rows if row["file_found"]]
    if paths and not any(os.path.exists(on_disk(videos, path)) for path in paths):
        raise VieError(
            f"{videos}: none of this shard's {len(paths)} files is there on "
            f"{socket.gethostname()}, such as {paths[0]!r}, but they were when the manifest was "
            "made; see whether the folder is mounted on that node and run this again, or, if the "
            f"files were moved, delete {manifest} to have them looked for anew"
        )


def _decoded(
    files: Iterable[list[Row]],
    videos: Path,
    settings: FrameSettings | ImageSettings,
    processes: int,
    scratch: Path,
) -> Iterator[Decoded]:
    """Decode files, `processes` at a time, in their order. Threads do: ffmpeg does the work, and
    the decoders of images let other threads run."""

    def decode(file: list[Row]) -> list[Decoded]:
        return list(zip(file, _frames_of(file, videos, settings, scratch), strict=True))

    waiting: deque[Future[list[Decoded]]] = deque()
    pool = ThreadPoolExecutor(max(processes, 1))
    try:
        for file in files:
            waiting.append(pool.submit(decode, file))
            if len(waiting) >= VIDEOS_AHEAD * max(processes, 1):
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _frames_of(
    file: list[Row], videos: Path, settings: FrameSettings | ImageSettings, scratch: Path
) -> Sequence[Frames | UnusableVideoError]:
    """Of each row of a file."""
    first, path = file[0], on_disk(videos, file[0]["path"])
    try:
        if isinstance(settings, ImageSettings):
            return [image_frames(path, settings)]
        if "only_clip_in_file" in first:
            clip, only = (first["start"], first["end"]), first["only_clip_in_file"]
            return [extract_clip(path, *clip, settings, only_clip_in_file=only)]
        if first["end"]:
            pieces = [(row["start"], row["end"]) for row in file]
            return extract_pieces(path, settings, pieces, scratch)
        return [extract_jpegs(path, settings)]
    except UnusableVideoError as error:
        return [error]


def write_rejected(rows: Iterable[Row], path: Path) -> None:
    """Write rejected videos as CSV, with the columns video, path, label, reason."""
    write_rows(path, REJECTED_COLUMNS, ([row[c] for c in REJECTED_COLUMNS] for row in rows))


def kinds_of_reasons(rejected: Iterable[Mapping[str, str]]) -> Counter[str]:
    """How many videos were rejected for which kind of reason, as "timed out" of "after 30 s"."""
    return Counter(re.split(":| after ", row["reason"])[0] for row in rejected)


def read_rejected(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV of rejected videos; see `read_rows`."""
    rows = read_rows(path, REJECTED_COLUMNS)
    return [dict(zip(REJECTED_COLUMNS, row, strict=True)) for row in rows]
