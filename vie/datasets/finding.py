"""Videos in folders of any depth, in list files, or named one by one.

Names may be anything (`vie.datasets.file_names`). A list is a text file (.txt: a path on each line)
or a CSV (.csv) with the column path and, if wanted, start and end (seconds) and label. Paths in a
list are relative to its folder.
"""

import csv
import hashlib
import io
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vie.datasets.file_names import as_text, by_kind, listed, on_disk
from vie.datasets.layouts.video_files import (
    EXTENSIONS,
    Entries,
    NoFilesError,
    entries,
    short_id,
    text_of,
)
from vie.runtime.errors import VieError

# Unusual ones, which ffmpeg reads all the same.
MORE_EXTENSIONS = (
    ".3gp",
    ".mts",
    ".m2ts",
    ".gif",
    ".mxf",
    ".ogg",
    ".rm",
    ".vob",
    ".mpe",
    ".m2v",
    ".3g2",
    ".f4v",
)
EVERY_EXTENSION = (*EXTENSIONS, *MORE_EXTENSIONS)
LISTS = (".txt", ".csv")
MOST_SECONDS = 10**6  # of a place in a video: 11 days
# What ends the id of a piece, and what a long id begins with.
PIECE, LONG = re.compile(r"@[0-9.]+-[0-9.]+$"), re.compile("[0-9a-f]{12}~")


class Found(NamedTuple):
    """A video, or some seconds of one."""

    id: str  # its path below the base; with "@<start>-<end>" where only some seconds are meant
    path: str  # of its file, below the base or absolute, for `on_disk`
    label: str = ""  # of its class; "": none
    start: float = 0  # seconds in the file; both 0: the whole file
    end: float = 0


class Finding(NamedTuple):
    """What was found."""

    base: Path  # folder that paths are relative to
    videos: list[Found]  # sorted by id
    others: list[str]  # paths of files that are no video, hidden ones too, as text
    notes: list[str]  # sentences about what was left out


def find_videos(places: Sequence[str | Path]) -> Finding:
    """All videos of some folders, list files and video files.

    A video is a file with a usual or unusual extension of one (`EXTENSIONS`, `MORE_EXTENSIONS`);
    whether it can be read is not looked at. Folders are searched to any depth, also behind
    symbolic links. A file with several names is found once, under the first one. Hidden files and
    folders are left out.

    Raises:
        VieError: a place is not there or cannot be read, a line of a list is wrong, or there is no
            video at all.
    """
    paths = [Path(os.path.abspath(os.path.expanduser(place))) for place in places]
    if gone := [str(path) for path in paths if not os.path.exists(path)]:
        raise VieError(f"no such file or folder: {listed(gone)}")
    base = base_of(places)
    found: list[Found] = []
    others: list[str] = []
    notes: list[str] = []
    for path in paths:
        if path.is_dir():
            names, left_out = _in_folder(path, notes)
            others += left_out
            found += [_found(path / name, base) for name in names]
        elif path.suffix.lower() in LISTS:
            found += _in_list(path, base, notes)
        else:
            found.append(_found(path, base))
    videos, again = _once(found, base)
    with_label = sum(bool(one.label) for one in videos)
    if 0 < with_label < len(videos):
        without = [one.path for one in videos if not one.label]
        raise VieError(
            f"{len(without)} of {len(videos)} videos have no label, such as {without[0]!r}: label "
            "all in a list with the column label, or none"
        )
    if again:
        notes.append(f"files that were found under another name already are left out: {again}")
    if others:
        notes.append(f"files that are no videos are left out: {by_kind(others)}")
    if not videos:
        raise NoFilesError(
            f"{listed([str(path) for path in paths])}: no video there. "
            + (f"{'; '.join(notes)}. " if notes else "")
            + f"Files are videos by their extension: {', '.join(EVERY_EXTENSION)}"
        )
    return Finding(base, videos, others, notes)


def base_of(places: Sequence[str | Path]) -> Path:
    """The folder that ids and paths of videos are relative to: the deepest that has all places."""
    folders = []
    for place in places:
        path = os.path.abspath(os.path.expanduser(place))
        single = Path(path).suffix.lower() in (*LISTS, *EVERY_EXTENSION)
        folders.append(os.path.dirname(path) if single and not os.path.isdir(path) else path)
    return Path(os.path.commonpath(folders))


def _in_folder(root: Path, notes: list[str]) -> tuple[list[str], list[str]]:
    """Paths of videos below a folder, and of what else lies there, as text; notes are added to."""
    videos: list[str] = []
    others: list[str] = []
    lost: list[str] = []
    unread: list[str] = []
    seen: set[tuple[int, int]] = set()
    waiting, linked = [""], list[str]()  # links come last: a folder is best known by its own name
    while waiting or linked:
        below = (waiting or linked).pop()
        try:
            status = os.stat(root / below)
            if (status.st_dev, status.st_ino) in seen:  # a link to one that holds it, or twice
                continue
            inside = entries(root / below, EVERY_EXTENSION)
        except (VieError, OSError) as error:
            if not below:
                raise VieError(str(error)) from error
            unread.append(str(error))
            continue
        seen.add((status.st_dev, status.st_ino))
        paths = Entries(*([os.path.join(below, name) for name in names] for names in inside))
        for path in paths.folders:
            (linked if os.path.islink(root / path) else waiting).append(path)
        # A link that leads nowhere is a video that is rejected later.
        videos += [path for path in (*paths.videos, *paths.lost) if _is_video(path)]
        others += paths.others
        lost += [path for path in paths.lost if not _is_video(path)]
    if lost:
        notes.append(f"{root}: {len(lost)} links lead nowhere or in a circle: {listed(lost)}")
    if unread:
        more = f" and {len(unread) - 5} more" if len(unread) > 5 else ""
        notes.append(f"{len(unread)} folders are left out: {'; '.join(unread[:5])}{more}")
    return [*map(as_text, videos)], [*map(as_text, others)]


def _is_video(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in EVERY_EXTENSION


def _found(path: Path, base: Path, label: str = "", start: float = 0, end: float = 0) -> Found:
    name = os.path.normpath(path)
    below = os.path.relpath(name, base) if name.startswith(os.path.join(base, "")) else name
    below = as_text(below)
    return Found(piece_id(below, start, end), below, label, start, end)


def piece_id(path: str, start: float, end: float) -> str:
    """Id of a video, or of some seconds of it; a long path is replaced in front by a digest."""
    name = path + (f"@{_text_of(start)}-{_text_of(end)}" if end else "")
    if name.startswith("/"):  # outside of the base: unlike any path in it
        name = f"{hashlib.sha256(path.encode()).hexdigest()[:12]}~{name.lstrip('/')}"
    return short_id(name, path)


def _text_of(seconds: float) -> str:
    """Seconds to a millisecond, without zeros at the end."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def file_of(name: str) -> str:
    """What the ids of all pieces of a file share, of the id of a video or piece."""
    if long := LONG.match(name):
        return long[0]
    return PIECE.sub("", name)


def _in_list(path: Path, base: Path, notes: list[str]) -> Iterator[Found]:
    """The videos that a list names; whether they are there is not looked at."""
    if path.suffix.lower() == ".txt":
        lines = [line.removesuffix("\r") for line in text_of(path).split("\n")]
        yield from (_listed(line, path, base) for line in lines if line.strip())
        return
    reader = csv.DictReader(io.StringIO(text_of(path)), strict=True)
    known = ("path", "start", "end", "label")
    try:
        columns = list(reader.fieldnames or ())
        if columns.count("path") != 1:
            raise VieError(
                f"{path}, line 1: a list of videos needs the column path once, and may have "
                f"start, end and label; the line is {','.join(columns)!r}"
            )
        if unknown := [name for name in columns if name not in known]:
            notes.append(f"{path}: the columns {', '.join(unknown)} are not read")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise VieError(f"{where}: has not {len(columns)} values, one for each column")
            if not row["path"]:
                raise VieError(f"{where}: names no path")
            label = (row.get("label") or "").strip()
            yield _listed(row["path"], path, base, label, *_seconds(row, where))
    except csv.Error as error:
        raise VieError(f"{path}: cannot be read as UTF-8 CSV: {error}") from error


def _listed(
    name: str, path: Path, base: Path, label: str = "", start: float = 0, end: float = 0
) -> Found:
    """What a row of a list names.

    Raises:
        VieError: it is a folder.
    """
    if "\0" in name:
        raise VieError(f"{path}: {name!r} is no path")
    # A blank at the end of a line is seldom meant; systems compose accents differently.
    spelt = (name, name.strip(), *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))
    places = [on_disk(path.parent, os.path.expanduser(one)) for one in spelt]
    video = next((place for place in places if os.path.lexists(place)), places[0])
    if os.path.isdir(video):
        raise VieError(f"{path}: {name!r} is a folder: a list names videos")
    return _found(video, base, label, start, end)


def _seconds(row: dict[str, str], where: str) -> tuple[float, float]:
    """Start and end of a row; both 0 where it has none."""
    texts = [(row.get(key) or "").strip() for key in ("start", "end")]
    if not any(texts):
        return 0, 0
    try:
        start, end = map(float, texts)
    except ValueError:
        start, end = 0, 0
    if not 0 <= start < end <= MOST_SECONDS:
        raise VieError(
            f"{where}: start {texts[0]!r} and end {texts[1]!r} must be seconds with start below "
            "end, or both be empty"
        )
    return start, end


def _once(found: list[Found], base: Path) -> tuple[list[Found], int]:
    """Sorted by id, every file under one name; how many names were left out.

    Raises:
        VieError: two rows of lists name the same seconds of a file.
    """
    names: dict[tuple[int, int], str] = {}
    videos: dict[str, Found] = {}
    again = 0
    for one in sorted(found):
        try:
            status = os.stat(on_disk(base, one.path))
        except (OSError, ValueError):
            pass  # it is rejected later, with its reason
        else:
            if names.setdefault((status.st_dev, status.st_ino), one.path) != one.path:
                again += 1
                continue
        if one.id in videos and (one.start or one.end or one.label):
            raise VieError(
                f"{one.path!r} is found twice, with a label or with the same seconds each time, "
                "in lists or in a list and a folder: name it once"
            )
        again += one.id in videos
        videos[one.id] = one
    return list(videos.values()), again
