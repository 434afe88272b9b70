"""Kinetics: the official CSV of each split, and the files that copies have of its videos."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from vie.datasets.file_names import listed, quoted
from vie.datasets.layouts.kinetics_files import WORDS, Place, SplitFiles, only_one, split_folder
from vie.datasets.layouts.kinetics_report import report
from vie.datasets.layouts.video_files import ADVICE, is_plain, text_of
from vie.datasets.video import Video
from vie.runtime.errors import VieError

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
# Official files say "val" or "validate", depending on the release.
SPLITS = {word: split for split, words in WORDS.items() for word in words}
# CSVs of the official releases, of MMAction2's and of the crawler's copies of them.
CSVS = ("{}.csv", "kinetics_{}.csv", "kinetics400_{}.csv", "kinetics-400_{}.csv")


def annotation_of(videos: Path, annotations: Path, split: str) -> Path:
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
    """Videos of a split of the Kinetics layout, in the order of its CSV.

    A file is called `<youtube_id>_<start>_<end>.mp4`, with or without leading zeros,
    `<youtube_id>_<start>.mp4` or `<youtube_id>.mp4`; any of `EXTENSIONS` will do. It lies in one of
    the trees of `kinetics_files`, which also has the names that youtube-dl leaves. A file with the
    bare id may be the clip or the whole YouTube video, so the video keeps the clip's start and end.
    A video without a file is kept: it is rejected later, with its reason. The log says how list and
    files differ.

    Raises:
        NoFilesError: none of the listed videos has a file.
        VieError: names the file, the line and what is wrong there.
    """
    if split not in WORDS:
        raise VieError(f"split {split!r} is unknown; known: {', '.join(WORDS)}")
    if annotations.name in csv_names(split):
        only_one(annotations.parent, csv_names(split))
    root = split_folder(videos, split)
    clips = list_kinetics(videos, annotations, split)
    files = SplitFiles(videos, root, {clip.label for clip in clips}, clips)
    found: list[Video] = []
    places: dict[str, Place | None] = {}
    for clip in clips:
        place = places[clip.video] = files.find(clip.video, clip.label)
        path = place.path if place else files.expected(clip.video, clip.label)
        if not place or place.trimmed:
            clip = clip._replace(start=0, end=0)
        found.append(clip._replace(path=path, file_found=place is not None))
    report(files, places)
    return found


def refuse_missing(videos: Path, found: Iterable[Video]) -> None:
    """Whether all videos that `read_kinetics` returned have a file."""
    if lost := [video.path for video in found if not video.file_found]:
        raise VieError(f"{videos}: {len(lost)} listed videos are missing: {listed(lost)}; {ADVICE}")


def list_kinetics(videos: Path, annotations: Path, split: str) -> list[Video]:
    """Clips of the list alone: start and end in a YouTube video, and the official name of a file.

    The annotation is the official CSV. Only its columns label, youtube_id, time_start, time_end
    and split are used, and only the rows of the split.
    """
    found: list[Video] = []
    lines: dict[str, int] = {}
    wrong: list[str] = []
    for line, row in _rows(annotations):
        where = f"{annotations}, line {line}"
        if row["split"] not in SPLITS:
            raise VieError(f"{where}: split {row['split']!r} is none of {', '.join(SPLITS)}")
        if SPLITS[row["split"]] != split:
            continue
        wrong += [
            f"line {line}: {key} {quoted(row[key])}"
            for key in ("label", "youtube_id")
            if not is_plain(row[key])
        ]
        start, end = (_seconds(row[key], key, where) for key in ("time_start", "time_end"))
        if end <= start:
            raise VieError(f"{where}: time_end {end} is not after time_start {start}")
        video = f"{row['youtube_id']}_{start:06d}_{end:06d}"
        if (first := lines.setdefault(video, line)) != line:
            raise VieError(
                f"{where}: {video!r} is annotated a second time, first in line {first}; "
                "remove one of the lines"
            )
        found.append(Video(video, f"{split}/{video}.mp4", row["label"], start, end))
    if wrong:
        more = f"; and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise VieError(
            f"{annotations}: {len(wrong)} names are not plain names of files or folders: "
            f"{'; '.join(wrong[:20])}{more}"
        )
    if not found:
        raise VieError(f"{annotations}: no row of the split {split!r}")
    return found


def _rows(annotations: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row by column name) of an annotation CSV."""
    reader = csv.reader(io.StringIO(text_of(annotations)), strict=True)
    try:
        header = next(reader, [])
        if missing := [name for name in COLUMNS if header.count(name) != 1]:
            raise VieError(
                f"{annotations}, line 1: needs the columns {','.join(COLUMNS)} once each; "
                f"look at {', '.join(missing)} (the line is {','.join(header)!r})"
            )
        for row in filter(None, reader):  # without empty lines
            if len(row) != len(header):
                raise VieError(
                    f"{annotations}, line {reader.line_num}: {len(row)} values for "
                    f"{len(header)} columns"
                )
            yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise VieError(f"{annotations}: cannot be read as UTF-8 CSV: {error}") from error


def _seconds(value: str, column: str, where: str) -> int:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 10**6 or seconds != int(seconds):
        raise VieError(f"{where}: {column} {value!r} is not a whole number of seconds in 0..999999")
    return int(seconds)
