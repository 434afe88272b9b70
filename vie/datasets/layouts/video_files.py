"""Names of files and folders from lists and disks, which may be anything."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from vie.datasets.video import Video
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
# Of the containers that `vie.frames.ffmpeg` opens.
EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv"),
    *(".ogv", ".wmv", ".asf"),
)
ADVICE = "get them, or set the dataset's `missing: reject` in the config to go on without them"


class NoFilesError(VieError):
    """No listed video has a file."""


def plain_name(value: str, where: str) -> str:
    """`value`, if it is the name of a file or folder and not a path.

    Args:
        value: the name.
        where: it was read, for the message.

    Raises:
        VieError: it is empty, has slashes, blanks around it or unprintable characters, or is "."
            or "..".
    """
    if not is_plain(value):
        raise VieError(f"{where} {value!r} is not a plain name of a file or folder")
    return value


def is_plain(value: str) -> bool:
    """Whether `plain_name` accepts a name."""
    plain = value and value == value.strip() and value not in (".", "..")
    return bool(plain) and "/" not in value and "\\" not in value and value.isprintable()


def spelling_key(name: str) -> str:
    """Letters and digits of a class in lower case, which all its spellings share."""
    return "".join(filter(str.isalnum, name.casefold()))


def videos_in(folder: Path) -> dict[str, str]:
    """{stem: file name} of the videos directly inside a folder, told by `EXTENSIONS`.

    Hidden files are left out: some systems leave a file ._name beside every file.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        VieError: it cannot be read, or two files are one video.
    """
    return by_stem(filter(is_video, names_in(folder)), folder)


def by_stem(names: Iterable[str], folder: Path) -> dict[str, str]:
    """{stem: file name} of the names of videos in a folder.

    Raises:
        VieError: two files are one video.
    """
    files, pairs = stems(names)
    if pairs:
        raise VieError(f"{folder}: {refused_pairs(pairs, 'are one video')}")
    return files


def stems(names: Iterable[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """({stem: name}, pairs of names with the same stem)."""
    files: dict[str, str] = {}
    pairs = []
    for name in sorted(names):
        stem = os.path.splitext(name)[0]
        if files.setdefault(stem, name) != name:
            pairs.append((files[stem], name))
    return files, pairs


def refused_pairs(pairs: list[tuple[str, str]], what: str, at_most: int = 5) -> str:
    """Part of an error: the first pairs of files, and what to do."""
    shown = ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:at_most])
    more = f" and {len(pairs) - at_most} more pairs" if len(pairs) > at_most else ""
    return f"{len(pairs)} pairs of files {what}; remove one of each: {shown}{more}"


def is_video(name: str) -> bool:
    """Whether a file is a video by its name; hidden files are not."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith(".")


def names_in(folder: Path) -> dict[str, bool]:
    """{name: whether it is a file} of all entries of a folder.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        VieError: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.is_file() for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise VieError(f"{folder}: cannot be read as a folder: {error.strerror}") from error


def folders_in(folder: Path) -> list[str]:
    """Names of the folders directly inside a folder, sorted; hidden ones are left out.

    Raises:
        VieError: there is no such folder.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise VieError(f"{folder}: cannot be read as a folder: {error.strerror}") from error


def lines_of(path: Path) -> list[tuple[int, str]]:
    """(line number, stripped line) of a text file; empty lines are left out.

    Raises:
        VieError: it cannot be read as UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise VieError(f"{path}: no such file") from error
    except OSError as error:
        raise VieError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VieError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    lines = enumerate(text.split("\n"), start=1)  # strip() removes the CR of CRLF
    return [(number, line.strip()) for number, line in lines if line.strip()]


def listed(names: list[str], at_most: int = 5) -> str:
    """The first of many names, and how many more there are."""
    shown = ", ".join(map(repr, names[:at_most]))
    more = len(names) - at_most
    return f"{shown} and {more} more" if more > 0 else shown


def compare_with_disk(root: Path, videos: Iterable[Video]) -> None:
    """Whether the class folders are the listed classes, and have all listed files.

    The log names files that are in no list; they are not used.

    Args:
        root: folder that the videos' paths are relative to.
        videos: the listed videos; their paths end with <class folder>/<file>.

    Raises:
        VieError: names the classes or files that are missing, or folders that are no class.
    """
    wanted: dict[str, set[str]] = {}
    for video in videos:
        folder, _, name = video.path.rpartition("/")
        wanted.setdefault(folder, set()).add(name)
    for above in sorted({folder.rpartition("/")[0] for folder in wanted}):
        listed_here = {f.rpartition("/")[2] for f in wanted if f.rpartition("/")[0] == above}
        _compare_folders(root / above, listed_here)
    lost, extra = [], []
    for folder, names in sorted(wanted.items()):
        found = names_in(root / folder)
        files = {name for name, is_file in found.items() if is_file}
        lost += [f"{folder}/{name}" for name in sorted(names - files)]
        extra += [
            f"{folder}/{name}"
            for name in sorted(files - names)
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    if extra:
        log.warning("%s: no list names %d videos: %s", root, len(extra), listed(extra))
    if lost:
        spelt = {name.casefold(): name for name in extra}
        other = [spelt[name.casefold()] for name in lost if name.casefold() in spelt]
        case = f" (with other capital letters there is {listed(other)})" if other else ""
        raise VieError(
            f"{root}: {len(lost)} listed videos are missing: {listed(lost)}{case}; {ADVICE}"
        )


def _compare_folders(root: Path, wanted: set[str]) -> None:
    folders = set(folders_in(root))
    if absent := sorted(wanted - folders):
        raise VieError(
            f"{root}: {len(absent)} of {len(wanted)} classes have no folder: {listed(absent)}; "
            f"{ADVICE}"
        )
    if unknown := sorted(folders - wanted):
        raise VieError(
            f"{root}: {len(unknown)} folders are no class of the annotations: {listed(unknown)}; "
            "move them elsewhere, or check that videos and annotations are of the same dataset"
        )
