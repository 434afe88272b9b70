"""What may be wrong with a copy of Kinetics in which few of the listed videos have a file."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vie.datasets.layouts.video_files import is_video, listed

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
DEEPEST = 3  # levels of folders below a split's that are looked into


class Look(NamedTuple):
    """What a split's folder holds besides the files that are read.

    Attributes:
        archives: names of tarballs and the like directly in it.
        deeper: path in it of a video that lies too deep to be read, or "".
        anything: first name in it, or "".
    """

    archives: list[str]
    deeper: str
    anything: str


def look(root: Path, elsewhere: Iterable[str]) -> Look:
    """List a split's folder, and the folders below it until one holds a video too deep.

    Args:
        root: the folder.
        elsewhere: names of folders that are read to any depth.
    """
    files, folders = _names(root)
    archives = sorted(name for name in files if name.lower().endswith(ARCHIVES))
    deeper = _deeper(root, sorted(set(folders) - set(elsewhere)))
    return Look(archives, deeper, min([*files, *folders], default=""))


def hints(seen: Look) -> list[str]:
    """What is likely wrong, and what to do."""
    found = []
    if seen.archives:
        found.append(f"{len(seen.archives)} archives are not unpacked ({listed(seen.archives, 2)})")
    if seen.deeper:
        above = seen.deeper.split("/")[0]
        found.append(
            f"videos lie a level too deep ({seen.deeper!r}): move what is in {above!r} one level up"
        )
    return found


def _deeper(root: Path, folders: list[str]) -> str:
    """Path of a video that lies in a folder of a folder of `root`."""
    for depth in range(1, DEEPEST + 1):
        below = []
        for folder in folders:
            files, inside = _names(root / folder)
            videos = [name for name in files if is_video(name)]
            if depth > 1 and videos:
                return f"{folder}/{min(videos)}"
            below += [f"{folder}/{name}" for name in sorted(inside)]
        folders = below
    return ""


def _names(folder: Path) -> tuple[list[str], list[str]]:
    """(files, folders) directly inside a folder, hidden ones left out; none if it cannot be read.

    A name with a video's extension is a file: nothing is asked about it.
    """
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    is_file = is_video(entry.name) or not entry.is_dir()
                    (files if is_file else folders).append(entry.name)
    except OSError:
        pass  # this is only for a message; what has to be read was read before
    return files, folders
