"""Kinetics: class folders in a folder per split, and the official CSV of each split."""

import csv
from collections.abc import Iterator
from pathlib import Path

from vie.data.layouts.files import plain_name, videos_in
from vie.data.video import Video
from vie.errors import VieError

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
# Official files say "val" or "validate", depending on the release.
SPLITS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}


def read_kinetics(videos: Path, annotations: Path, split: str) -> list[Video]:
    """Videos of the Kinetics layout.

    Files are `<split>/<class name>/<youtube_id>_<start>_<end>.mp4` with six-digit seconds (or
    .mkv, .webm, .avi; a class folder may have underscores for spaces). The annotation is the
    official CSV; columns beyond label, youtube_id, time_start, time_end, split are not looked at,
    nor are rows of the other splits. An annotated video without a file is kept: it is rejected
    later, with its reason.

    Args:
        videos: folder with one folder per split.
        annotations: CSV of the split.
        split: "train", "val" or "test".

    Raises:
        VieError: names the file, the line and what is wrong there.
    """
    if split not in SPLITS.values():
        raise VieError(f"split {split!r} is unknown; known: train, val, test")
    if not (videos / split).is_dir():
        raise VieError(f"{videos / split}: no such folder; it should hold one folder per class")
    found: list[Video] = []
    lines: dict[str, int] = {}
    folders: dict[str, tuple[str, dict[str, str]]] = {}
    for line, row in _rows(annotations):
        where = f"{annotations}, line {line}"
        if row["split"] not in SPLITS:
            raise VieError(f"{where}: split {row['split']!r} is none of {', '.join(SPLITS)}")
        if SPLITS[row["split"]] != split:
            continue
        label = plain_name(row["label"], f"{where}: label")
        start, end = (_seconds(row[key], key, where) for key in ("time_start", "time_end"))
        video = f"{plain_name(row['youtube_id'], f'{where}: youtube_id')}_{start:06d}_{end:06d}"
        if video in lines:
            raise VieError(
                f"{where}: {video!r} is annotated a second time, first in line {lines[video]}; "
                "remove one of the lines"
            )
        lines[video] = line
        if label not in folders:
            folders[label] = _class_folder(videos / split, label)
        folder, files = folders[label]
        found.append(Video(video, f"{split}/{folder}/{files.get(video, video + '.mp4')}", label))
    if not found:
        raise VieError(f"{annotations}: no row of the split {split!r}")
    return found


def _rows(annotations: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row by column name) of an annotation CSV."""
    try:
        with annotations.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if missing := [name for name in COLUMNS if header.count(name) != 1]:
                raise VieError(
                    f"{annotations}, line 1: needs the columns {','.join(COLUMNS)} once each; "
                    f"look at {', '.join(missing)} (the line is {','.join(header)!r})"
                )
            for row in reader:
                if not row:
                    continue  # an empty line says nothing
                if len(row) != len(header):
                    raise VieError(
                        f"{annotations}, line {reader.line_num}: {len(row)} values for "
                        f"{len(header)} columns"
                    )
                yield reader.line_num, dict(zip(header, row, strict=True))
    except FileNotFoundError as error:
        raise VieError(f"{annotations}: no such annotation file") from error
    except OSError as error:
        raise VieError(f"{annotations}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise VieError(f"{annotations}: cannot be read as UTF-8 CSV: {error}") from error


def _seconds(value: str, column: str, where: str) -> int:
    try:
        seconds = float(value)
        if not 0 <= seconds < 10**6 or seconds != int(seconds):
            raise ValueError
    except ValueError:
        raise VieError(
            f"{where}: {column} {value!r} is not a whole number of seconds in 0..999999"
        ) from None
    return int(seconds)


def _class_folder(parent: Path, label: str) -> tuple[str, dict[str, str]]:
    """(folder name, file name by stem) of a class: one look at a folder serves all its videos."""
    for folder in (label, label.replace(" ", "_")):
        try:
            return folder, videos_in(parent / folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return label, {}
