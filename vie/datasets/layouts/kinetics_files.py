"""Where the videos of Kinetics lie: the trees that its copies have, read folder by folder.

    <videos>/<split>/<file>                     as the tars of the CVD Foundation unpack
    <videos>/<split>/<class>/<file>             as crawlers and most tools arrange them
    <videos>/replacement/**/<file>              files for those that are corrupt above

A folder's name may differ from its class in all but letters and digits: tools write underscores for
blanks ("riding_a_bike"), and leave out brackets and apostrophes or make hyphens of them. Whether an
entry of a folder is a video is told by its name, so no file is looked at: 240,000 of them are one
listing.
"""

import collections
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vie.datasets.layouts.kinetics_advice import hints, look
from vie.datasets.layouts.video_files import (
    ADVICE,
    NoFilesError,
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

# What copies call a split, and its folder: as the official CSV, as MMAction2, as copies at 256
# pixels.
WORDS = {"train": ("train",), "val": ("val", "validate", "validation"), "test": ("test",)}
FOLDERS = ("{}", "videos_{}", "{}_256")
# Their own folder, or that of the tar, wherever it was unpacked.
REPLACEMENTS = ("replacement", "replacement_for_corrupted_k400")
FLAT = ""  # as a name of a folder: the split's own
ID_LENGTH = 11  # of YouTube


def refuse_missing(videos: Path, found: Iterable[Video]) -> None:
    """Whether all listed videos have a file.

    Args:
        videos: folder of videos.
        found: the listed ones.

    Raises:
        VieError: names those that have none.
    """
    names: dict[str, set[str]] = {}
    lost = []
    for video in found:
        folder, _, name = video.path.rpartition("/")
        if folder not in names:
            is_there = (videos / folder).is_dir()
            names[folder] = set(_listing(videos / folder)[0]) if is_there else set()
        if name not in names[folder]:
            lost.append(video.path)
    if lost:
        raise VieError(f"{videos}: {len(lost)} listed videos are missing: {listed(lost)}; {ADVICE}")


class Place(NamedTuple):
    """A file that was found: its path relative to the folder of videos, and why it is that one.

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
    """The one of several names that a folder has, or None.

    Names that lead to the same file or folder are one.

    Raises:
        VieError: it has several.
    """
    there = [folder / name for name in names if (folder / name).exists()]
    if apart := [path for path in there[1:] if not path.samefile(there[0])]:
        raise VieError(
            f"{folder}: both {there[0].name!r} and {apart[0].name!r} are there, and which one to "
            "read is not for this program to guess; move one elsewhere"
        )
    return there[0] if there else None


def split_folder(videos: Path, split: str) -> Path:
    """The folder of a split, whatever a copy calls it.

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

    Raises:
        VieError: a folder cannot be read, that of a class has no plain name, or two files are one
            video.
    """

    def __init__(self, videos: Path, root: Path, labels: Iterable[str]) -> None:
        self.split, self.root = root.name, root
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
        self._own = {label: self._folders_of(label) for label in self.labels}
        used = {folder for folders in self._own.values() for folder in folders}
        self.unknown = sorted(set(self.folders) - used - {FLAT})  # folders that are no class
        self._elsewhere = {
            stem: folder for folder in reversed(self.folders) for stem in self.folders[folder]
        }

    def find(self, youtube_id: str, video: str, label: str) -> Place | None:
        """The file of an annotated clip, or None.

        A replacement comes first, then a file with the clip's start and end in its name (in six
        digits, then without leading zeros), then one with the bare id. Of like ones, that in the
        folder of the class comes first, then that in the split's own. A bare id in the folder of
        another class may be another clip: it is not taken.

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
            for folder in (*self._own[label], FLAT):
                if stem in self.folders[folder]:
                    return Place(self._path(folder, self.folders[folder][stem]), trimmed)
            folder = self._elsewhere.get(stem)
            if folder is not None and (trimmed or folder in self.unknown):
                path = self._path(folder, self.folders[folder][stem])
                return Place(path, trimmed, strayed=True)
        return None

    def expected(self, video: str, label: str) -> str:
        """Where the file of a clip that is not there would lie."""
        flat = self.folders[FLAT] and not any(self._own.values())
        folder = FLAT if flat else next(iter(self._own[label]), label)
        return self._path(folder, f"{video}.mp4")

    def report(self, places: dict[str, Place | None]) -> None:
        """Say in the log what differs between the list and the disk.

        Args:
            places: {video: where its file lies, if anywhere}.

        Raises:
            NoFilesError: no video has a file.
        """
        found = [place for place in places.values() if place]
        trimmed = sum(place.trimmed for place in found)
        taken = [place for place in found if place.replaced]
        missing = [video for video, place in places.items() if not place]
        extra, again = self._left_over(places)
        others = self._other_seconds(extra, missing)
        if not found:
            raise NoFilesError(self._nothing_found(missing, extra, others))
        log.info("%s: files of %d of %d listed videos", self.root, len(found), len(places))
        if len(found) < len(missing):
            advice = "; ".join(hints(look(self.root, REPLACEMENTS))) or "is the copy complete?"
            few = "%s: ONLY %d of %d listed videos have a file; %s"
            log.warning(few, self.root, len(found), len(places), advice)
        if missing:
            self._warn("listed videos have no file and will be rejected", missing)
        if self.replacements:
            of = len(self.replacements)
            log.info("%s: %d videos are taken from %d replacements", self.root, len(taken), of)
        if trimmed < len(found):
            log.info(
                "%s: %d files have no start and end in their names: those that are longer than "
                "their clip will be cut",
                *(self.root, len(found) - trimmed),
            )
        if strayed := [place.path for place in found if place.strayed]:
            self._warn("videos lie in a folder that is not their class's", strayed)
        if self.unknown:
            self._warn("folders are no class of the list", self.unknown)
        empty = sorted(label for label in self.labels if not self._own[label])
        if 0 < len(empty) < len(self.labels):  # all: the files lie in the split's own folder
            self._warn("classes have no folder", empty)
        if extra:
            self._warn("videos are named by no list", extra)
        if others:
            what = "of these have other seconds in their names than a listed video without a file"
            self._warn(what, others)
        if again:
            self._warn("further files of listed videos are not used", again)

    def _left_over(self, places: dict[str, Place | None]) -> tuple[list[str], list[str]]:
        """Paths of the files (that no list names, that are of a listed video and not its file)."""
        names = {name for video in places for name in (video, unpadded(video), _id_of(video))}
        used = {place.path for place in places.values() if place}
        extra, again = [], []
        for folder, files in self.folders.items():
            above = self._path(folder, "")
            for stem, name in files.items():
                path = above + name
                if stem not in names:
                    extra.append(path)
                elif path not in used and stem not in self.replacements:
                    again.append(path)
        return sorted(extra), sorted(again)

    def _other_seconds(self, extra: list[str], missing: list[str]) -> list[str]:
        """Those files that no list names which begin with the id of a video without a file.

        They are not used: other seconds are another clip, perhaps of another action.
        """
        ids = {_id_of(video) for video in missing}
        return [path for path in extra if path.rpartition("/")[2][:ID_LENGTH] in ids]

    def _nothing_found(self, missing: list[str], extra: list[str], others: list[str]) -> str:
        """What the error says if no listed video has a file."""
        seen = look(self.root, REPLACEMENTS)
        own = f"{self.split}/{name}" if (name := seen.deeper or seen.anything) else ""
        there = next(iter([*others, *extra]), own)
        likely = hints(seen)
        if others:
            likely.append(f"{len(others)} have other seconds in their names: {listed(others, 2)}")
        if not likely:
            likely.append("see whether `roots`, `videos` and `annotations` are those of one copy")
        what = f"found is for example {there!r}" if there else "but it is empty"
        return (
            f"{self.root}: none of the {len(missing)} listed videos has a file in it; expected is "
            f"for example '{self.split}/{missing[0]}.mp4' or '{self.split}/<class>/"
            f"{missing[0]}.mp4', {what}; {'; '.join(likely)}"
        )

    def _warn(self, what: str, names: list[str]) -> None:
        log.warning("%s: %d %s: %s", self.root, len(names), what, listed(names))

    def _path(self, folder: str, name: str) -> str:
        return f"{self.split}/{folder}/{name}" if folder else f"{self.split}/{name}"

    def _folders_of(self, label: str) -> list[str]:
        """Folders of a class, the one that is spelt like it first."""
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
        """Those of a folder's folders whose names are plain; the log names the others.

        Raises:
            VieError: others are folders of classes by their letters and digits.
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
        """{stem: file name} of a folder in the split's; files of one video are noted."""
        files, pairs = stems(names)
        self._pairs += [(self._path(folder, one), other) for one, other in pairs]
        return files

    def _replacements(self, videos: Path, inside: list[Path]) -> dict[str, str]:
        """{stem: path relative to the folder of videos} of all replacements.

        Links to folders are followed, but no folder is read twice.
        """
        waiting = [*inside, *(videos / name for name in REPLACEMENTS if (videos / name).is_dir())]
        seen = {_identity(videos), _identity(self.root)}  # a link may lead up
        found: dict[str, str] = {}
        pairs: list[tuple[str, str]] = []
        while waiting:
            folder = waiting.pop()
            if (identity := _identity(folder)) in seen:
                continue
            seen.add(identity)
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


def _id_of(video: str) -> str:
    """Without start and end."""
    return video.rsplit("_", 2)[0]


def _identity(folder: Path) -> tuple[int, int]:
    """What all links to a folder have in common.

    Raises:
        VieError: it cannot be read.
    """
    try:
        status = folder.stat()
    except OSError as error:
        raise VieError(f"{folder}: cannot be read as a folder: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """(video files, other folders) directly inside a folder; hidden ones are left out.

    A name with a video's extension is a video, so that nothing has to be asked about the file: not
    even links, as some copies are made of, cost a call each.

    Raises:
        VieError: it cannot be read.
    """
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_video(entry.name):
                    files.append(entry.name)
                elif not entry.name.startswith(".") and entry.is_dir():
                    folders.append(entry.name)
    except OSError as error:
        raise VieError(f"{folder}: cannot be read as a folder: {error.strerror}") from error
    return files, sorted(folders)
