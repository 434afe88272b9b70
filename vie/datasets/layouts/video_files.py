"""Names of files and folders from lists and disks, which may be anything."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from vie.datasets.video import Video
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
# Of the containers that `vie.frames.ffmpeg` opens.
EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv"),
    *(".ogv", ".wmv", ".asf"),
)
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
    return "".join(filter(str.isalnum, name.casefold()))


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
        shown = ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:5])
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


def is_video(name: str) -> bool:
    """Whether a file is a video by its name; hidden files are not."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith(".")


@contextlib.contextmanager
def scan(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """`os.scandir`, and a VieError where a folder cannot be read."""
    try:
        with os.scandir(folder) as found:
            yield found
    except OSError as error:
        raise VieError(f"{folder}: cannot be read as a folder: {error.strerror}") from error


def names_in(folder: Path) -> dict[str, bool]:
    """{name: whether it is a file} of all entries of a folder."""
    with scan(folder) as found:
        return {entry.name: entry.is_file() for entry in found}


def folders_in(folder: Path) -> list[str]:
    """Names of the folders directly inside a folder, sorted; hidden ones are left out."""
    with scan(folder) as found:
        return sorted(e.name for e in found if e.is_dir() and not e.name.startswith("."))


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


def listed(names: list[str], at_most: int = 5) -> str:
    """The first of many names, and how many more there are."""
    shown = ", ".join(map(repr, names[:at_most]))
    more = len(names) - at_most
    return f"{shown} and {more} more" if more > 0 else shown


def compare_with_disk(root: Path, videos: Iterable[Video]) -> None:
    """Whether the class folders are the listed classes, and have all listed files.

    Paths of the listed videos end with <class folder>/<file>. The log names files that are in no
    list; they are not used.

    Raises:
        VieError: names the classes or files that are missing, or folders that are no class.
    """
    wanted: dict[PurePath, set[str]] = {}
    for path in map(PurePath, (video.path for video in videos)):
        wanted.setdefault(path.parent, set()).add(path.name)
    for above in sorted({folder.parent for folder in wanted}):
        _compare_folders(root / above, {f.name for f in wanted if f.parent == above})
    lost, extra = [], []
    for folder, names in sorted(wanted.items()):
        files = {name for name, is_file in names_in(root / folder).items() if is_file}
        lost += [f"{folder}/{name}" for name in sorted(names - files)]
        extra += [f"{folder}/{name}" for name in sorted(filter(is_video, files - names))]
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
