"""Kinetics: the official CSV of each split, and the files that copies have of its videos."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vie.datasets.layouts.kinetics_files import WORDS, Place, SplitFiles, only_one, split_folder
from vie.datasets.layouts.kinetics_report import report
from vie.datasets.layouts.video_files import listed, plain_name
from vie.datasets.video import Video
from vie.runtime.errors import VieError

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
# Official files say "val" or "validate", depending on the release.
SPLITS = {word: split for split, words in WORDS.items() for word in words}
# CSVs of the official releases, of MMAction2's and of the crawler's copies of them.
CSVS = ("{}.csv", "kinetics_{}.csv", "kinetics400_{}.csv", "kinetics-400_{}.csv")


class Clip(NamedTuple):
    """A row of the CSV: where in a YouTube video a clip lies, in whole seconds, and its class.

    `video` is its id, which is also the official name of its file.
    """

    video: str
    youtube_id: str
    start: int
    end: int
    label: str


def annotation_of(annotations: Path, split: str) -> Path:
    """The CSV of a split, under any of its usual names; `<split>.csv` if there is none."""
    found = [annotations / name for name in csv_names(split) if (annotations / name).exists()]
    return found[0] if found else annotations / f"{split}.csv"


def csv_names(split: str) -> list[str]:
    """Names that the CSV of a split may have."""
    return [form.format(word) for word in WORDS[split] for form in CSVS]


def no_annotation(annotations: Path, split: str) -> str:
    """The error if a split has no CSV: the names that it may have, and the CSVs that there are."""
    if not annotations.is_dir():
        return f"{annotations}: no such folder of annotations"
    found = sorted(path.name for path in annotations.glob("*.csv"))
    return (
        f"{annotations}: no CSV of the split {split!r} there, which may be called "
        f"{', '.join(csv_names(split))}; CSVs there: {listed(found) if found else 'none'}"
    )


def read_kinetics(videos: Path, annotations: Path, split: str) -> list[Video]:
    """Videos of the Kinetics layout.

    The annotation is the official CSV. Only its columns label, youtube_id, time_start, time_end
    and split are used, and only the rows of the split.

    A file is called `<youtube_id>_<start>_<end>.mp4`, with or without leading zeros, or
    `<youtube_id>.mp4`; any of `EXTENSIONS` will do. It lies in one of the trees of
    `kinetics_files`. A file with the bare id may be the clip or the whole YouTube video, so the
    video keeps the clip's start and end. A video without a file is kept: it is rejected later,
    with its reason. The log says how list and files differ.

    Args:
        videos: folder with one folder per split.
        annotations: CSV of the split.
        split: "train", "val" or "test".

    Raises:
        VieError: names the file, the line and what is wrong there; or none of the listed videos
            has a file (`NoFilesError`).
    """
    if split not in WORDS:
        raise VieError(f"split {split!r} is unknown; known: {', '.join(WORDS)}")
    if annotations.name in csv_names(split):
        only_one(annotations.parent, csv_names(split))
    root = split_folder(videos, split)
    clips = _clips(annotations, split)
    files = SplitFiles(videos, root, {clip.label for clip in clips})
    found: list[Video] = []
    places: dict[str, Place | None] = {}
    for video, youtube_id, start, end, label in clips:
        place = places[video] = files.find(youtube_id, video, label)
        if place is None:
            found.append(Video(video, files.expected(video, label), label))
        elif place.trimmed:
            found.append(Video(video, place.path, label, file_found=True))
        else:
            found.append(Video(video, place.path, label, start, end, file_found=True))
    report(files, places)
    return found


def list_kinetics(videos: Path, annotations: Path, split: str) -> list[Video]:
    """Videos of the list alone, with the official names of their files.

    Args:
        videos: not used.
        annotations: CSV of the split.
        split: "train", "val" or "test".

    Raises:
        VieError: names the file, the line and what is wrong there.
    """
    clips = _clips(annotations, split)
    return [Video(clip.video, f"{split}/{clip.video}.mp4", clip.label) for clip in clips]


def _clips(annotations: Path, split: str) -> list[Clip]:
    """Clips of a split in the order of the CSV."""
    found: list[Clip] = []
    lines: dict[str, int] = {}
    for line, row in _rows(annotations):
        where = f"{annotations}, line {line}"
        if row["split"] not in SPLITS:
            raise VieError(f"{where}: split {row['split']!r} is none of {', '.join(SPLITS)}")
        if SPLITS[row["split"]] != split:
            continue
        label = plain_name(row["label"], f"{where}: label")
        start, end = (_seconds(row[key], key, where) for key in ("time_start", "time_end"))
        if end <= start:
            raise VieError(f"{where}: time_end {end} is not after time_start {start}")
        youtube_id = plain_name(row["youtube_id"], f"{where}: youtube_id")
        video = f"{youtube_id}_{start:06d}_{end:06d}"
        if video in lines:
            raise VieError(
                f"{where}: {video!r} is annotated a second time, first in line {lines[video]}; "
                "remove one of the lines"
            )
        lines[video] = line
        found.append(Clip(video, youtube_id, start, end, label))
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
                    continue  # an empty line
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
