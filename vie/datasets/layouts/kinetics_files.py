"""Where the videos of Kinetics lie: the trees that its copies have, read folder by folder.

    <videos>/<split>/<file>                     as the tars of the CVD Foundation unpack
    <videos>/<split>/<class>/<file>             as crawlers and most tools arrange them
    <videos>/replacement/**/<file>              files for those that are corrupt above

Of the name of a class folder only letters and digits count: tools write underscores for blanks
("riding_a_bike"), and drop brackets and apostrophes or make hyphens of them. A video is told by its
name, and no file is opened: each folder, even one of 240,000 videos, is listed once.
"""

import collections
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vie.datasets.layouts.video_files import (
    is_plain,
    is_video,
    listed,
    refuse_pairs,
    scan,
    spelling_key,
    stems,
)
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)

# Names of a split, and of its folder: of the official CSV, of MMAction2, of copies at 256 pixels.
WORDS = {"train": ("train",), "val": ("val", "validate", "validation"), "test": ("test",)}
FOLDERS = ("{}", "videos_{}", "{}_256")
# Names of the folder of replacements: its own, or that of the tar it comes in.
REPLACEMENTS = ("replacement", "replacement_for_corrupted_k400")
FLAT = ""  # stands for the split's own folder among the folders of classes


class Place(NamedTuple):
    """The file of a listed video."""

    path: str  # relative to the folder of videos
    trimmed: bool  # its name has the clip's start and end
    replaced: bool = False  # it is a replacement
    strayed: bool = False  # it lies in a folder that is not its class's


def only_one(folder: Path, names: Iterable[str]) -> Path | None:
    """The path that exists, of several names in a folder; None if none does.

    Names of the same file or folder, such as links, count as one.

    Raises:
        VieError: several exist.
    """
    found = [folder / name for name in names if (folder / name).exists()]
    if others := [path for path in found[1:] if not path.samefile(found[0])]:
        raise VieError(
            f"{folder}: both {found[0].name!r} and {others[0].name!r} are there, and only one of "
            "them is to be read; move the other elsewhere"
        )
    return found[0] if found else None


def split_folder(videos: Path, split: str) -> Path:
    """The folder of a split, under any of its usual names.

    Raises:
        VieError: there is none, or several.
    """
    names = [form.format(word) for word in WORDS[split] for form in FOLDERS]
    root = only_one(videos, names)
    if root is None or not root.is_dir():
        raise VieError(
            f"{videos / split}: no such folder (nor {', '.join(names[1:])}); it should hold the "
            "videos of the split, or one folder per class"
        )
    return root


def stems_of(video: str) -> tuple[str, str, str]:
    """Stems that a clip's file may have: "id_000003_000013", its id here, "id_3_13", "id"."""
    youtube_id, start, end = video.rsplit("_", 2)
    return video, f"{youtube_id}_{int(start)}_{int(end)}", youtube_id


class SplitFiles:
    """All video files of a split, found with one listing per folder.

    Args:
        videos: folder of videos.
        root: the split's folder in it.
        labels: the classes of the split.

    Attributes:
        folders: {folder of a class, or FLAT: {stem: file name}}.
        replacements: {stem: path relative to the folder of videos}.
        own: {label: folders of the class, the best match first}.
        unknown: names of folders that are no class, sorted.

    Raises:
        VieError: a folder cannot be read, the name of a class folder cannot be used, or two files
            are one video.
    """

    def __init__(self, videos: Path, root: Path, labels: set[str]) -> None:
        self.root, self.split, self.labels = root, root.name, labels
        flat, below = entries(root)
        names = self._plain(root, below)
        found = {FLAT: flat}
        found.update({name: entries(root / name)[0] for name in names if name not in REPLACEMENTS})
        self.folders: dict[str, dict[str, str]] = {}
        pairs: list[tuple[str, str]] = []
        for folder, files in found.items():
            self.folders[folder], twice = stems(filter(is_video, files))
            pairs += [(self.path(folder, one), other) for one, other in twice]
        refuse_pairs(videos, pairs)
        inside = [root / name for name in names if name in REPLACEMENTS]
        self.replacements = self._replacements(videos, inside)
        self.own = _own_folders(labels, filter(None, self.folders))
        used = {folder for folders in self.own.values() for folder in folders}
        self.unknown = sorted(set(self.folders) - used - {FLAT})
        self._elsewhere = {
            stem: folder for folder in reversed(self.folders) for stem in self.folders[folder]
        }

    def find(self, video: str, label: str) -> Place | None:
        """The file of an annotated clip of a class, or None.

        A replacement is preferred, then a file with the clip's start and end in its name (with six
        digits, then without leading zeros), then a file with the bare id. Of each kind, a file in
        the folder of the class is preferred, then one in the split's own folder. A file with the
        bare id in the folder of another class may be another clip, and is not taken.
        """
        names = stems_of(video)
        for stem in names:
            if stem in self.replacements:
                return Place(self.replacements[stem], stem != names[-1], replaced=True)
        for stem in names:
            trimmed = stem != names[-1]
            for folder in (*self.own[label], FLAT):
                if stem in self.folders[folder]:
                    return Place(self.path(folder, self.folders[folder][stem]), trimmed)
            elsewhere = self._elsewhere.get(stem)
            if elsewhere is not None and (trimmed or elsewhere in self.unknown):
                path = self.path(elsewhere, self.folders[elsewhere][stem])
                return Place(path, trimmed, strayed=True)
        return None

    def expected(self, video: str, label: str) -> str:
        """Path that the missing file of a clip should have, relative to the folder of videos."""
        flat = self.folders[FLAT] and not any(self.own.values())
        folder = FLAT if flat else next(iter(self.own[label]), label)
        return self.path(folder, f"{video}.mp4")

    def path(self, folder: str, name: str) -> str:
        """Path of a file, relative to the folder of videos."""
        return f"{self.split}/{folder}/{name}" if folder else f"{self.split}/{name}"

    def _plain(self, folder: Path, names: list[str]) -> list[str]:
        """Those names of folders that can be used; the log has the others, if they are no class."""
        odd = [name for name in names if not is_plain(name)]
        classes = set(map(spelling_key, self.labels))
        if wrong := [name for name in odd if spelling_key(name) in classes]:
            raise VieError(
                f"{folder}: {len(wrong)} folders of classes have blanks around their names or "
                f"signs that cannot be printed, which is not a plain name: {listed(wrong)}; rename "
                "them"
            )
        if odd:
            what = "%s: %d folders have no plain name and are left out: %s"
            log.warning(what, folder, len(odd), listed(odd))
        return [name for name in names if is_plain(name)]

    def _replacements(self, videos: Path, inside: list[Path]) -> dict[str, str]:
        """{stem: path relative to the folder of videos} of all replacements, links included."""
        waiting = [*inside, *(videos / name for name in REPLACEMENTS if (videos / name).is_dir())]
        seen = {videos.resolve(), self.root.resolve()}  # a link may lead up, or to one seen
        paths: list[str] = []
        while waiting:
            folder = waiting.pop()
            if (real := folder.resolve()) in seen:
                continue
            seen.add(real)
            names, below = entries(folder)
            relative = folder.relative_to(videos).as_posix()
            paths += [f"{relative}/{name}" for name in filter(is_video, names)]
            waiting += [folder / name for name in self._plain(folder, below)]
        found, pairs = stems(paths)
        refuse_pairs(videos, pairs, "replace one video")
        return found


def _own_folders(labels: Iterable[str], folders: Iterable[str]) -> dict[str, list[str]]:
    """{class: its folders}, those that are spelt like it first."""
    counts = collections.Counter(map(spelling_key, labels))
    by_key: dict[str, list[str]] = {}
    for folder in folders:
        by_key.setdefault(spelling_key(folder), []).append(folder)
    own = {}
    for label in labels:
        key, exact = spelling_key(label), [label, label.replace(" ", "_")]
        found = sorted(by_key.get(key, []))
        like = [folder for folder in exact if folder in found]
        # Classes that share their letters, "C" and "C++", have no other folders.
        others = [] if counts[key] > 1 else [folder for folder in found if folder not in exact]
        own[label] = [*dict.fromkeys(like), *others]
    return own


def entries(folder: Path) -> tuple[list[str], list[str]]:
    """(files, folders sorted by name) directly inside a folder, without hidden ones.

    A name with a video's extension counts as a file. The file system is asked about other names
    only: some copies consist of links, and each question about a link costs a system call.

    Raises:
        VieError: it cannot be read.
    """
    files: list[str] = []
    folders: list[str] = []
    with scan(folder) as found:
        for entry in found:
            if not entry.name.startswith("."):
                is_file = is_video(entry.name) or not entry.is_dir()
                (files if is_file else folders).append(entry.name)
    return files, sorted(folders)
