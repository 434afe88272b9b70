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
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vie.datasets.layouts.video_files import (
    ADVICE,
    is_plain,
    is_video,
    listed,
    refused_pairs,
    spelling_key,
    stems,
)
from vie.datasets.video import Video
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)

# Names of a split, and of its folder: of the official CSV, of MMAction2, of copies at 256 pixels.
WORDS = {"train": ("train",), "val": ("val", "validate", "validation"), "test": ("test",)}
FOLDERS = ("{}", "videos_{}", "{}_256")
# Names of the folder of replacements: its own, or that of the tar it comes in.
REPLACEMENTS = ("replacement", "replacement_for_corrupted_k400")
FLAT = ""  # stands for the split's own folder among the folders of classes


def refuse_missing(videos: Path, found: Iterable[Video]) -> None:
    """Whether all listed videos have a file.

    Args:
        videos: folder of videos.
        found: the listed videos.

    Raises:
        VieError: names videos that have none.
    """
    names: dict[str, set[str]] = {}
    lost = []
    for video in found:
        folder, _, name = video.path.rpartition("/")
        if folder not in names:
            exists = (videos / folder).is_dir()
            names[folder] = set(_listing(videos / folder)[0]) if exists else set()
        if name not in names[folder]:
            lost.append(video.path)
    if lost:
        raise VieError(f"{videos}: {len(lost)} listed videos are missing: {listed(lost)}; {ADVICE}")


class Place(NamedTuple):
    """The file of a listed video.

    Attributes:
        path: relative to the folder of videos.
        trimmed: whether its name has the clip's start and end.
        replaced: whether it is a replacement.
        strayed: whether it lies in a folder that is not its class's.
    """

    path: str
    trimmed: bool
    replaced: bool = False
    strayed: bool = False


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


def unpadded(video: str) -> str:
    """Another name for the file of a clip: "id_3_13" for "id_000003_000013"."""
    youtube_id, start, end = video.rsplit("_", 2)
    return f"{youtube_id}_{int(start)}_{int(end)}"


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

    def __init__(self, videos: Path, root: Path, labels: Iterable[str]) -> None:
        self.root, self.split = root, root.name
        self.labels = set(labels)
        self._pairs: list[tuple[str, str]] = []
        self.folders, inside = self._folders()
        self.replacements = self._replacements(videos, inside)
        if self._pairs:
            raise VieError(f"{videos}: {refused_pairs(self._pairs, 'are one video')}")
        counts = collections.Counter(map(spelling_key, self.labels))
        self._shared = {name for name, count in counts.items() if count > 1}
        self._by_key: dict[str, list[str]] = {}
        for folder in filter(None, self.folders):
            self._by_key.setdefault(spelling_key(folder), []).append(folder)
        self.own = {label: self._matching(label) for label in self.labels}
        used = {folder for folders in self.own.values() for folder in folders}
        self.unknown = sorted(set(self.folders) - used - {FLAT})
        self._elsewhere = {
            stem: folder for folder in reversed(self.folders) for stem in self.folders[folder]
        }

    def find(self, youtube_id: str, video: str, label: str) -> Place | None:
        """The file of an annotated clip, or None.

        A replacement is preferred, then a file with the clip's start and end in its name (with six
        digits, then without leading zeros), then a file with the bare id. Of each kind, a file in
        the folder of the class is preferred, then one in the split's own folder. A file with the
        bare id in the folder of another class may be another clip, and is not taken.

        Args:
            youtube_id, video: names of the file without and with the clip's start and end.
            label: its class.
        """
        names = (video, unpadded(video), youtube_id)
        for stem in names:
            if stem in self.replacements:
                return Place(self.replacements[stem], stem != youtube_id, replaced=True)
        for stem in names:
            trimmed = stem != youtube_id
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

    def _matching(self, label: str) -> list[str]:
        """Folders of a class, those that are spelt like it first."""
        exact = (label, label.replace(" ", "_"))
        found = self._by_key.get(spelling_key(label), [])
        if spelling_key(label) in self._shared:  # "C" and "C++"
            found = [folder for folder in found if folder in exact]
        order = {name: place for place, name in enumerate(exact)}
        return sorted(found, key=lambda folder: (order.get(folder, len(exact)), folder))

    def _folders(self) -> tuple[dict[str, dict[str, str]], list[Path]]:
        """({folder: {stem: file name}}, folders of replacements) in the split's folder."""
        flat, below = _listing(self.root)
        found, inside = {FLAT: self._stems(flat, FLAT)}, []
        for name in self._plain(self.root, below):
            if name in REPLACEMENTS:
                inside.append(self.root / name)
                continue
            found[name] = self._stems(_listing(self.root / name)[0], name)
        return found, inside

    def _plain(self, folder: Path, names: list[str]) -> list[str]:
        """Those of `names`, folders in `folder`, that can be used; the log names the others.

        Raises:
            VieError: one that cannot be used has the letters and digits of a class.
        """
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

    def _stems(self, names: list[str], folder: str) -> dict[str, str]:
        """{stem: file name} of a folder; notes pairs of files that are one video."""
        files, pairs = stems(names)
        self._pairs += [(self.path(folder, one), other) for one, other in pairs]
        return files

    def _replacements(self, videos: Path, inside: list[Path]) -> dict[str, str]:
        """{stem: path relative to the folder of videos} of all replacements.

        Links to folders are followed, but no folder is read twice.
        """
        waiting = [*inside, *(videos / name for name in REPLACEMENTS if (videos / name).is_dir())]
        seen = {_inode(videos), _inode(self.root)}  # a link may lead up
        found: dict[str, str] = {}
        pairs: list[tuple[str, str]] = []
        while waiting:
            folder = waiting.pop()
            if (inode := _inode(folder)) in seen:
                continue
            seen.add(inode)
            names, below = _listing(folder)
            for name in sorted(names):
                path = (folder / name).relative_to(videos).as_posix()
                first = found.setdefault(os.path.splitext(name)[0], path)
                if first != path:
                    pairs.append((first, path))
            waiting += [folder / name for name in self._plain(folder, below)]
        if pairs:
            raise VieError(f"{videos}: {refused_pairs(pairs, 'replace one video')}")
        return found


def without_seconds(video: str) -> str:
    """The id of a clip without its start and end: the YouTube id."""
    return video.rsplit("_", 2)[0]


def _inode(folder: Path) -> tuple[int, int]:
    """Device and inode of a folder, which all links to it share.

    Raises:
        VieError: it cannot be read.
    """
    try:
        status = folder.stat()
    except OSError as error:
        raise VieError(f"{folder}: cannot be read as a folder: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """(video files, folders) directly inside a folder.

    Raises:
        VieError: it cannot be read.
    """
    files, folders = entries(folder)
    return list(filter(is_video, files)), folders


def entries(folder: Path) -> tuple[list[str], list[str]]:
    """(files, folders sorted by name) directly inside a folder, without hidden ones.

    A name with a video's extension counts as a file. The file system is asked about other names
    only: some copies consist of links, and each question about a link costs a system call.

    Raises:
        VieError: it cannot be read.
    """
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if not entry.name.startswith("."):
                    is_file = is_video(entry.name) or not entry.is_dir()
                    (files if is_file else folders).append(entry.name)
    except OSError as error:
        raise VieError(f"{folder}: cannot be read as a folder: {error.strerror}") from error
    return files, sorted(folders)
