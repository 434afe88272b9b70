"""Folders and lists of videos -> manifests of their training and validation parts."""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from vie.datasets.file_names import listed, on_disk
from vie.datasets.finding import Finding, Found, find_videos
from vie.datasets.layouts.flat import FlatSettings, cut_up, validation
from vie.datasets.video import Video
from vie.frames.contents import reading_seconds, video_span
from vie.frames.manifest import class_names, write_classes, write_manifest
from vie.frames.process import MAX_PIXELS
from vie.frames.unusable import UnusableVideoError
from vie.runtime.files import digest
from vie.runtime.progress import Progress

log = logging.getLogger(__name__)
LATE = 1.0  # seconds at which a first frame comes late; pieces then start with it


class FlatOutputs(NamedTuple):
    """Files that `write_flat` writes."""

    classes: Path  # classes.csv
    train: Path  # manifest.parquet of either part
    val: Path


def write_flat(
    places: Sequence[str | Path],
    settings: FlatSettings,
    outputs: FlatOutputs,
    *,
    timeout_seconds: float,
    processes: int,
    max_pixels: int = MAX_PIXELS,
) -> None:
    """Find videos, cut long ones, draw those that validate, and write it all down.

    A file whose length cannot be read stays whole: it is rejected later, with its reason.

    Args:
        places: folders, list files and video files, as for `find_videos`.
        timeout_seconds: for reading the length of one file.
        processes: of ffmpeg at once.
        max_pixels: of a frame.

    Raises:
        VieError: as `find_videos` and `validation`.
    """
    finding = find_videos(places)
    for note in finding.notes:
        log.warning("%s", note)
    videos = _without_copies(finding)
    if settings.cut:

        def span(path: str) -> tuple[float, float]:
            file = on_disk(finding.base, path)
            limit = reading_seconds(file, timeout_seconds)
            return video_span(file, timeout_seconds=limit, max_pixels=max_pixels)

        videos = _pieces(videos, settings.cut, span, processes)
    val, left_out = validation(videos, settings)
    if left_out:
        log.warning("%d pieces share seconds with pieces that validate: left out", len(left_out))
    rows = [
        Video(*one, os.path.exists(on_disk(finding.base, one.path)))
        for one in videos
        if one.id not in left_out
    ]
    if gone := sorted({row.path for row in rows if not row.file_found}):
        log.warning("files that are not there, and will be rejected: %s", listed(gone))
    parts = {
        outputs.train: [row for row in rows if row.video not in val],
        outputs.val: [row for row in rows if row.video in val],
    }
    labels = class_names(rows)
    log.info(
        "%d files, %d videos and pieces of videos: %d to train on, %d to validate; %s",
        *(len({one.path for one in videos}), len(rows), *map(len, parts.values())),
        f"{len(labels)} classes" if labels else "no labels",
    )
    write_classes(labels, outputs.classes)
    for path, part in parts.items():
        write_manifest(part, labels, path, exact=True)


def _without_copies(finding: Finding) -> list[Found]:
    """Without files that have the same bytes as another one."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for path in dict.fromkeys(one.path for one in finding.videos):
        if os.path.isfile(file := on_disk(finding.base, path)):
            by_size[file.stat().st_size].append(path)
    copies: list[str] = []
    for paths in (some for size, some in by_size.items() if size and len(some) > 1):
        seen: dict[str, str] = {}
        for path in paths:
            try:
                content = digest(on_disk(finding.base, path))
            except OSError:
                continue  # it is rejected later, with its reason
            if seen.setdefault(content, path) != path:
                copies.append(path)
    if copies:
        log.warning("files with the same bytes as another one, left out: %s", listed(copies))
    gone = set(copies)
    return [one for one in finding.videos if one.path not in gone]


def _pieces(
    videos: list[Found],
    cut: dict[str, int],
    span: Callable[[str], tuple[float, float]],
    processes: int,
) -> list[Found]:
    """All pieces of all videos; `span` gives the seconds of a path's first and last frame."""

    def of(one: Found) -> list[Found]:
        try:
            first, last = span(one.path)
        except UnusableVideoError as error:
            log.warning("%s: its length cannot be read, so it is not cut: %s", one.path, error)
            return [one]
        if one.end or first < LATE:
            return cut_up(one, last, cut)
        # Times are those of the file, so that its pieces are found there.
        pieces = cut_up(one._replace(start=first, end=last), last, cut)
        return [one] if len(pieces) == 1 else pieces

    found: list[Found] = []
    bar = Progress(total=len(videos), label="lengths of videos", unit="videos")
    with ThreadPoolExecutor(max(processes, 1)) as pool, bar:
        for pieces in pool.map(of, videos):
            found += pieces
            bar.update(1)
    return found
