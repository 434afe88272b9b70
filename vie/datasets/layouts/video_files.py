"""Names of files and folders from lists and disks, which may be anything."""

import contextlib
import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from vie.datasets.file_names import by_kind, listed, quoted
from vie.runtime.errors import VieError

# Of the containers that `vie.frames.ffmpeg` opens.
EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv"),
    *(".ogv", ".wmv", ".asf"),
)
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip", ".rar", ".7z")
LONGEST_ID = 150  # bytes; a tar has room for 155
ADVICE = "get them, or set the dataset's `missing: reject` in the config to go on without them"


class NoFilesError(VieError):
    """There is no video, or no listed video has a file."""


def plain_name(value: str, where: str) -> str:
    """`value`, if it is the name of a file or folder and not a path; `where` it was read.

    Raises:
        VieError: it is not plain.
    """
    if not is_plain(value):
        raise VieError(f"{where} {value!r} is not a plain name of a file or folder")
    return value


def is_plain(value: str) -> bool:
    """Whether a name has no slashes, blanks around it or unprintable signs, and is none of "", "."
    and ".."."""
    plain = value == value.strip() and value not in ("", ".", "..")
    return plain and "/" not in value and "\\" not in value and value.isprintable()


def spelling_key(name: str) -> str:
    """Letters and digits of a class in lower case, which all its spellings share."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", name).casefold()))


def stems(paths: Iterable[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """({name without its extension: path}, pairs of paths for which it is the same)."""
    files: dict[str, str] = {}
    pairs = []
    for path in sorted(paths):
        stem = os.path.splitext(os.path.basename(path))[0]
        if files.setdefault(stem, path) != path:
            pairs.append((files[stem], path))
    return files, pairs


def refuse_pairs(folder: Path, pairs: list[tuple[str, str]], what: str = "are one video") -> None:
    """Raise a VieError that names the first pairs of files, if there are any."""
    if pairs:
        shown = ", ".join(f"{quoted(one)} and {quoted(other)}" for one, other in pairs[:5])
        more = f" and {len(pairs) - 5} more pairs" if len(pairs) > 5 else ""
        raise VieError(
            f"{folder}: {len(pairs)} pairs of files {what}; remove one of each: {shown}{more}"
        )


def short_id(name: str, path: str) -> str:
    """`name` of the file `path`; of one that is too long for a tar its end, behind a digest."""
    coded = name.encode()
    if len(coded) <= LONGEST_ID:
        return name
    mark = hashlib.sha256(path.encode()).hexdigest()[:12]
    return f"{mark}~{coded[-(LONGEST_ID - 13) :].decode(errors='ignore').lstrip('/')}"


@contextlib.contextmanager
def scan(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """`os.scandir`, and a VieError where a folder cannot be read."""
    try:
        with os.scandir(folder) as found:
            yield found
    except OSError as error:
        raise VieError(f"{folder}: cannot be read as a folder: {error.strerror}") from error


class Entries(NamedTuple):
    """Names of what lies directly in a folder, as they are, each list sorted."""

    videos: list[str]  # by their extension; what else they may be is seen when they are read
    folders: list[str]  # and links to folders
    others: list[str]  # files of other kinds, and all that is hidden
    lost: list[str]  # links that lead nowhere or in a circle


def entries(folder: Path, extensions: tuple[str, ...], *, links: bool = True) -> Entries:
    """What lies directly in a folder.

    Args:
        folder: read with one listing.
        extensions: of videos, in lower case.
        links: whether the file system is asked what a name with such an extension is. Some copies
            consist of links, and each question about one costs a system call.

    Raises:
        VieError: it cannot be read.
    """
    found = Entries([], [], [], [])
    with scan(folder) as names:
        for entry in names:
            is_video = os.path.splitext(entry.name)[1].lower() in extensions
            if entry.name.startswith("."):
                kind = found.others
            elif is_video and not links:
                kind = found.videos
            elif is_folder(entry):
                kind = found.folders
            elif entry.is_symlink() and not os.path.exists(entry.path):
                kind = found.lost
            else:
                kind = found.videos if is_video else found.others
            kind.append(entry.name)
    for every in found:
        every.sort()
    return found


def found_in(folder: Path) -> str:
    """What lies in a folder, for a message."""
    try:
        found = entries(folder, EXTENSIONS, links=False)
    except VieError as error:
        return str(error)
    parts = [f"the folders {listed(found.folders)}"] if found.folders else []
    if files := [*found.videos, *found.others, *found.lost]:
        parts.append(f"the files {by_kind(files)}")
    return f"in {folder} are {' and '.join(parts)}" if parts else f"{folder} is empty"


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; a link in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def names_in(folder: Path) -> list[str]:
    """Names of all that lies directly in a folder, sorted."""
    with scan(folder) as found:
        return sorted(entry.name for entry in found)


def archives_in(names: list[str]) -> str:
    """Advice if there are archives among files; "" if there is none."""
    found = [name for name in names if name.lower().endswith(ARCHIVES)]
    return f"{len(found)} archives are not unpacked ({listed(found, 2)})" if found else ""


def text_of(path: Path) -> str:
    """Content of a text file.

    Raises:
        VieError: it cannot be read as UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise VieError(f"{path}: no such file") from error
    except OSError as error:
        raise VieError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VieError(f"{path}: cannot be read as UTF-8 text: {error}") from error


def lines_of(path: Path, what: str) -> list[tuple[str, str]]:
    """(Where it is, for messages, stripped line) of a text file; empty lines are left out.

    Raises:
        VieError: it cannot be read, or has no line that names a video, class, ..., which is `what`.
    """
    lines = enumerate(text_of(path).split("\n"), start=1)
    if not (found := [(f"{path}, line {n}", line.strip()) for n, line in lines if line.strip()]):
        raise VieError(f"{path}: names no {what}")
    return found
