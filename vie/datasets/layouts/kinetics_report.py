"""What differs between a list of Kinetics and the files of a copy: warnings, errors and advice."""

import logging
from typing import NamedTuple

from vie.datasets.layouts.kinetics_files import (
    REPLACEMENTS,
    Place,
    SplitFiles,
    entries,
    unpadded,
    without_seconds,
)
from vie.datasets.layouts.video_files import NoFilesError, is_video, listed
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
DEEPEST = 3  # levels of folders below a split's that are searched for advice
ID_LENGTH = 11  # of YouTube


class Unused(NamedTuple):
    """Files of a split that are not used: their paths, sorted.

    Attributes:
        unlisted: no list names the video.
        other_seconds: those of `unlisted` whose id is that of a listed video without a file. Other
            seconds are another clip, perhaps of another action.
        duplicates: further files of listed videos.
    """

    unlisted: list[str]
    other_seconds: list[str]
    duplicates: list[str]


def report(files: SplitFiles, places: dict[str, Place | None]) -> None:
    """Log what differs between the list of a split and its files.

    Args:
        files: of the split.
        places: {listed video: its file, if it has one}.

    Raises:
        NoFilesError: no listed video has a file.
    """
    found = [place for place in places.values() if place]
    missing = [video for video, place in places.items() if not place]
    unused = _unused(files, places)
    if not found:
        raise NoFilesError(_nothing_found(files, missing, unused))
    log.info("%s: files of %d of %d listed videos", files.root, len(found), len(places))
    if len(found) < len(missing):
        advice = "; ".join(_advice(_look(files))) or "is the copy complete?"
        few = "%s: ONLY %d of %d listed videos have a file; %s"
        log.warning(few, files.root, len(found), len(places), advice)
    _warn(files, "listed videos have no file and will be rejected", missing)
    if files.replacements:
        taken, of = sum(place.replaced for place in found), len(files.replacements)
        log.info("%s: %d videos are taken from %d replacements", files.root, taken, of)
    if untrimmed := sum(not place.trimmed for place in found):
        log.info(
            "%s: %d files have no start and end in their names: those that are longer than "
            "their clip will be cut",
            *(files.root, untrimmed),
        )
    strayed = [place.path for place in found if place.strayed]
    _warn(files, "videos lie in a folder that is not their class's", strayed)
    _warn(files, "folders are no class of the list", files.unknown)
    empty = sorted(label for label in files.labels if not files.own[label])
    if len(empty) < len(files.labels):  # else the files lie in the split's own folder
        _warn(files, "classes have no folder", empty)
    _warn(files, "videos are named by no list", unused.unlisted)
    what = "of these have other seconds in their names than a listed video without a file"
    _warn(files, what, unused.other_seconds)
    _warn(files, "further files of listed videos are not used", unused.duplicates)


def _warn(files: SplitFiles, what: str, names: list[str]) -> None:
    """Log names, if there are any."""
    if names:
        log.warning("%s: %d %s: %s", files.root, len(names), what, listed(names))


def _unused(files: SplitFiles, places: dict[str, Place | None]) -> Unused:
    names = {n for video in places for n in (video, unpadded(video), without_seconds(video))}
    used = {place.path for place in places.values() if place}
    unlisted, duplicates = [], []
    for folder, here in files.folders.items():
        above = files.path(folder, "")
        for stem, name in here.items():
            path = above + name
            if stem not in names:
                unlisted.append(path)
            elif path not in used and stem not in files.replacements:
                duplicates.append(path)
    ids = {without_seconds(video) for video, place in places.items() if not place}
    unlisted.sort()
    others = [path for path in unlisted if path.rpartition("/")[2][:ID_LENGTH] in ids]
    return Unused(unlisted, others, sorted(duplicates))


def _nothing_found(files: SplitFiles, missing: list[str], unused: Unused) -> str:
    """The error if no listed video has a file."""
    seen, split = _look(files), files.root.name
    own = f"{split}/{name}" if (name := seen.too_deep or seen.anything) else ""
    example = next(iter([*unused.other_seconds, *unused.unlisted]), own)
    likely = _advice(seen)
    if others := unused.other_seconds:
        likely.append(f"{len(others)} have other seconds in their names: {listed(others, 2)}")
    if not likely:
        likely.append("see whether `roots`, `videos` and `annotations` are those of one copy")
    what = f"found is for example {example!r}" if example else "but it is empty"
    return (
        f"{files.root}: none of the {len(missing)} listed videos has a file in it; expected is "
        f"for example '{split}/{missing[0]}.mp4' or '{split}/<class>/"
        f"{missing[0]}.mp4', {what}; {'; '.join(likely)}"
    )


class _Look(NamedTuple):
    """What a split's folder holds besides the files that are read.

    Attributes:
        archives: names of tarballs and the like directly in it.
        too_deep: path in it of a video that lies too deep to be read, or "".
        anything: first name in it, or "".
    """

    archives: list[str]
    too_deep: str
    anything: str


def _look(files: SplitFiles) -> _Look:
    """Search a split's folder, and the folders below it until one has a video too deep."""
    names, folders = _entries(files, "")
    archives = sorted(name for name in names if name.lower().endswith(ARCHIVES))
    # Replacements are read at any depth.
    too_deep = _too_deep(files, sorted(set(folders) - set(REPLACEMENTS)))
    return _Look(archives, too_deep, min([*names, *folders], default=""))


def _advice(seen: _Look) -> list[str]:
    """What is likely wrong, and what to do."""
    found = []
    if seen.archives:
        found.append(f"{len(seen.archives)} archives are not unpacked ({listed(seen.archives, 2)})")
    if seen.too_deep:
        above = seen.too_deep.split("/")[0]
        found.append(
            f"videos lie a level too deep ({seen.too_deep!r}): move what is in {above!r} one "
            "level up"
        )
    return found


def _too_deep(files: SplitFiles, folders: list[str]) -> str:
    """Path of a video in a folder of a folder of the split's, or ""."""
    for depth in range(1, DEEPEST + 1):
        below: list[str] = []
        for folder in folders:
            names, inside = _entries(files, folder)
            videos = [name for name in names if is_video(name)]
            if depth > 1 and videos:
                return f"{folder}/{min(videos)}"
            below += [f"{folder}/{name}" for name in inside]
        folders = below
    return ""


def _entries(files: SplitFiles, folder: str) -> tuple[list[str], list[str]]:
    try:
        return entries(files.root / folder)
    except VieError:
        return [], []  # this is only advice; an unreadable folder that matters was refused before
