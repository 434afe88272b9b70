"""Where the videos of Kinetics lie: the trees that its copies have, read folder by folder.

    <videos>/<split>/<file>                     as the tars of the CVD Foundation unpack
    <videos>/<split>/<class>/<file>             as crawlers and most tools arrange them
    <videos>/replacement/**/<file>              files for those that are corrupt above

Of the name of a class folder only letters and digits count: tools write underscores for blanks
("riding_a_bike"), and drop brackets and apostrophes or make hyphens of them. A video is told by its
name, and no file is opened: each folder, even one of 240,000 videos, is listed once.

youtube-dl leaves names that say more than the id: `<id>.mp4.mkv` and `<id>.webm.mp4` where it
joined picture and sound, `<id>.f137.mp4` where it could not, `<title> [<id>].mp4` or
`<title>-<id>.mp4` where nobody gave a name. They are read as `<id>`.
"""

import collections
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vie.datasets.file_names import as_text
from vie.datasets.layouts.video_files import (
    EXTENSIONS,
    entries,
    found_in,
    refuse_pairs,
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
# What youtube-dl adds to an id: extensions of what it joined, and a format of YouTube.
JOINED = re.compile(rf"({'|'.join(map(re.escape, EXTENSIONS))}|\.f\d+(-\w+)?)$", re.IGNORECASE)
# Formats that are sound alone.
SOUND = re.compile(r"\.f(139|14[01]|17[12]|23[34]|249|25[0168]|32[578]|338|380|599|600)(-\w+)?$")
TITLED = re.compile(r".(?:\[([\w-]{11})\]|-([\w-]{11}))$", re.ASCII)  # a title, then the id


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
            f"videos of the split, or one folder per class; {found_in(videos)}"
        )
    return root


def stems_of(video: str) -> tuple[list[str], str]:
    """Stems that the file of a clip may have, the best first: (those that say its seconds, its id).

    "id_000003_000013", "id_3_13", "id_000003", "id_3"; the last ones are those of the authors.
    """
    youtube_id, start, end = video.rsplit("_", 2)
    first, last = int(start), int(end)
    only_start = [f"{youtube_id}_{start}", f"{youtube_id}_{first}"]
    return [video, f"{youtube_id}_{first}_{last}", *only_start], youtube_id


def joined_stem(stem: str) -> str:
    """The stem without the extensions and formats that youtube-dl adds; of sound alone ""."""
    if "." not in stem:
        return stem
    if SOUND.search(stem):
        return ""
    while found := JOINED.search(stem):
        stem = stem[: found.start()]
    return stem


class SplitFiles:
    """All video files of a split, found with one listing per folder.

    Args:
        videos: folder of videos.
        root: the split's folder in it.
        labels: the classes of the split.
        clips: all of them, of which some may share a name that says the start alone.

    Attributes:
        folders: {folder of a class, or FLAT: {stem: file name}}.
        joined: the same by the id in names of youtube-dl, where no file has just this stem.
        replacements: {stem: path relative to the folder of videos}.
        own: {label: folders of the class, the best match first}.
        unknown: names of folders that are no class, sorted.
        others: paths of files that are no videos, relative to the split's folder.
        lost: the same of links that lead nowhere or in a circle, and are not called as a video.

    Raises:
        VieError: a folder cannot be read, or two files are one video.
    """

    def __init__(
        self, videos: Path, root: Path, labels: set[str], clips: Iterable[Video] = ()
    ) -> None:
        self.root, self.split, self.labels = root, root.name, labels
        self.folders: dict[str, dict[str, str]] = {}
        self.joined: dict[str, dict[str, str]] = {}
        self.others: list[str] = []
        self.lost: list[str] = []
        pairs: list[tuple[str, str]] = []
        inside = []
        waiting = [FLAT]
        for folder in waiting:
            if folder in REPLACEMENTS:
                inside.append(root / folder)
                continue
            found = entries(root / folder, EXTENSIONS, links=False)
            if folder == FLAT:
                waiting += found.folders
            above = f"{folder}/" if folder else ""
            self.others += [above + name for name in found.others]
            self.lost += [above + name for name in found.lost]
            self.folders[folder], twice = stems(found.videos)
            self.joined[folder], more = _joined(self.folders[folder])
            pairs += [(self.path(folder, one), as_text(other)) for one, other in twice + more]
        refuse_pairs(videos, pairs)
        self.replacements = self._replacements(videos, inside)
        self.own = _own_folders(labels, filter(None, self.folders))
        used = {folder for folders in self.own.values() for folder in folders}
        self.unknown = sorted(set(self.folders) - used - {FLAT})
        self._elsewhere: dict[str, str] = {}
        for folder in self.folders:
            for stem in (*self.folders[folder], *self.joined[folder]):
                self._elsewhere.setdefault(stem, folder)
        starts = collections.Counter(clip.video.rpartition("_")[0] for clip in clips)
        self._unsure = {stem for stem, count in starts.items() if count > 1}
        self._unsure |= {stems_of(clip.video)[1] for clip in clips}

    def find(self, video: str, label: str) -> Place | None:
        """The file of an annotated clip of a class, or None.

        A replacement is preferred, then a file with the clip's start and end in its name (with six
        digits, then without leading zeros), with the start alone, with the bare id. Of each kind, a
        file in the folder of the class is preferred, then one in the split's own folder. A file
        with the bare id in the folder of another class may be another clip, and is not taken. Nor
        is one with a start that several clips of the id have, or whose name is another id.
        """
        trimmed, bare = stems_of(video)
        if self._unsure.intersection(trimmed[2:]):
            trimmed = trimmed[:2]
        names = [*trimmed, bare]
        for stem in names:
            if stem in self.replacements:
                return Place(self.replacements[stem], stem != bare, replaced=True)
        for stem in names:
            for folder in (*self.own[label], FLAT):
                if name := self._name(folder, stem):
                    return Place(self.path(folder, name), stem != bare)
            elsewhere = self._elsewhere.get(stem)
            if elsewhere is not None and (stem != bare or elsewhere in self.unknown):
                path = self.path(elsewhere, self._name(elsewhere, stem))
                return Place(path, stem != bare, strayed=True)
        return None

    def _name(self, folder: str, stem: str) -> str:
        """The file of a stem, "" if there is none."""
        return self.folders[folder].get(stem) or self.joined[folder].get(stem, "")

    def expected(self, video: str, label: str) -> str:
        """Path that the missing file of a clip should have, relative to the folder of videos."""
        flat = self.folders[FLAT] and not any(self.own.values())
        folder = FLAT if flat else next(iter(self.own[label]), label)
        return self.path(folder, f"{video}.mp4")

    def path(self, folder: str, name: str) -> str:
        """Path of a file, relative to the folder of videos, as text that can be stored."""
        return as_text(f"{self.split}/{folder}/{name}" if folder else f"{self.split}/{name}")

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
            there = entries(folder, EXTENSIONS, links=False)
            relative = as_text(folder.relative_to(videos).as_posix())
            paths += [f"{relative}/{as_text(name)}" for name in there.videos]
            waiting += [folder / name for name in there.folders]
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


def _joined(files: dict[str, str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """({id, perhaps with seconds, that a file stands for: its name}, pairs that are one video)."""
    found: dict[str, str] = {}
    titles: dict[str, str] = {}
    pairs = []
    for stem, name in files.items():
        other = joined_stem(stem)
        # The quick look comes first: few of 240,000 names are titles.
        if (other[-1:] == "]" or other[-12:-11] == "-") and (title := TITLED.search(other)):
            titles.setdefault(title[1] or title[2], name)
        if other and other not in files and found.setdefault(other, name) != name:
            pairs.append((found[other], name))
    more = {stem: name for stem, name in titles.items() if stem not in files}
    return more | found, pairs
