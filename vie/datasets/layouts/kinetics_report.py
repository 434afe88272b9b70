"""What differs between a list of Kinetics and the files of a copy: warnings, errors and advice."""

import logging
import re

from vie.datasets.file_names import as_text, by_kind, listed, quoted
from vie.datasets.layouts.kinetics_files import (
    REPLACEMENTS,
    Place,
    SplitFiles,
    joined_stem,
    stems_of,
)
from vie.datasets.layouts.video_files import (
    EXTENSIONS,
    Entries,
    NoFilesError,
    archives_in,
    entries,
)
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)

FEW = 0.02  # of the listed videos; so many without a file are no reason to worry
DEEPEST = 3  # levels of folders below a split's that are searched for advice
# An id of YouTube, and in the name of another clip its seconds.
WITH_ID = re.compile(r"([\w-]{11})(_\d)?", re.ASCII)


def report(files: SplitFiles, places: dict[str, Place | None]) -> None:
    """Log what differs between the list of a split and its files; `places` has those of each video.

    Raises:
        NoFilesError: no listed video has a file.
    """
    found = [place for place in places.values() if place]
    missing = [video for video, place in places.items() if not place]
    unlisted, duplicates = _unused(files, places)
    ids = {stems_of(video)[1] for video in missing}
    begins = {path: WITH_ID.match(path.rpartition("/")[2]) for path in unlisted}
    likely = {path: one[2] for path, one in begins.items() if one and one[1] in ids}
    # Other seconds are another clip, perhaps of another action.
    others = [path for path, seconds in likely.items() if seconds]
    odd = [path for path, seconds in likely.items() if not seconds]
    if not found:
        raise NoFilesError(_nothing_found(files, missing, others, odd, unlisted))
    log.info("%s: files of %d of %d listed videos", files.root, len(found), len(places))
    if len(found) < len(missing):
        advice = "; ".join(_look(files)[0]) or "is the copy complete?"
        few = "%s: ONLY %d of %d listed videos have a file; %s"
        log.warning(few, files.root, len(found), len(places), advice)
    # Every copy lacks a few; rejected.csv names them.
    level = logging.INFO if len(missing) <= FEW * len(places) else logging.WARNING
    _say(files, "listed videos have no file and will be rejected", missing, level)
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
    _say(files, "videos lie in a folder that is not their class's", strayed)
    _say(files, "folders are no class of the list", files.unknown)
    empty = sorted(label for label in files.labels if not files.own[label])
    if len(empty) < len(files.labels):  # else the files lie in the split's own folder
        _say(files, "classes have no folder", empty)
    _say(files, "videos are named by no list", unlisted)
    what = "of these have other seconds in their names than a listed video without a file"
    _say(files, what, others)
    what = "of these have names that are not read, with the id of a listed video without a file"
    _say(files, what, odd)
    _say(files, "further files of listed videos are not used", duplicates)
    _say(files, "links lead nowhere or in a circle", files.lost)
    if files.others:
        what = "%s: %d files that are no videos are left out: %s"
        log.warning(what, files.root, len(files.others), by_kind(files.others))


def _say(files: SplitFiles, what: str, names: list[str], level: int = logging.WARNING) -> None:
    """Log names, if there are any."""
    if names:
        log.log(level, "%s: %d %s: %s", files.root, len(names), what, listed(names))


def _unused(files: SplitFiles, places: dict[str, Place | None]) -> tuple[list[str], list[str]]:
    """Paths of files whose videos no list names, and of further files of listed videos, sorted."""
    used = {place.path for place in places.values() if place}
    left = {
        path: stem
        for folder, here in files.folders.items()
        for stem, name in here.items()
        if (path := files.path(folder, name)) not in used
    }
    if not left:
        return [], []
    names = {stem for video in places for stem in (*stems_of(video)[0], stems_of(video)[1])}
    unlisted, duplicates = [], []
    for path, stem in left.items():
        if stem not in names and joined_stem(stem) not in names:
            unlisted.append(path)
        elif stem not in files.replacements:
            duplicates.append(path)
    return sorted(unlisted), sorted(duplicates)


def _nothing_found(
    files: SplitFiles,
    missing: list[str],
    others: list[str],
    odd: list[str],
    unlisted: list[str],
) -> str:
    """The error if no listed video has a file."""
    (likely, seen), split = _look(files), files.root.name
    example = next(iter([*others, *odd, *unlisted]), f"{split}/{seen}" if seen else "")
    if others:
        likely.append(f"{len(others)} have other seconds in their names: {listed(others, 2)}")
    if odd:
        likely.append(f"{len(odd)} have a listed id in names that are not read: {listed(odd, 2)}")
    if files.others:
        likely.append(f"files that are no videos: {by_kind(files.others)}")
    if files.lost:
        likely.append(f"links lead nowhere or in a circle: {listed(files.lost)}")
    if not likely:
        likely.append("see whether `roots`, `videos` and `annotations` are those of one copy")
    what = f"found is for example {quoted(example)}" if example else "but it is empty"
    return (
        f"{files.root}: none of the {len(missing)} listed videos has a file in it; expected is "
        f"for example '{split}/{missing[0]}.mp4' or '{split}/<class>/"
        f"{missing[0]}.mp4', {what}; {'; '.join(likely)}"
    )


def _look(files: SplitFiles) -> tuple[list[str], str]:
    """(What is likely wrong and what to do, the path in a split's folder of something to show)."""
    top = _entries(files, "")
    advice = [archives] if (archives := archives_in(files.others)) else []
    # Replacements are read at any depth.
    too_deep = _too_deep(files, sorted(set(top.folders) - set(REPLACEMENTS)))
    if too_deep:
        above = too_deep.split("/")[0]
        advice.append(
            f"videos lie a level too deep ({too_deep!r}): move what is in {above!r} one level up"
        )
    names = [*top.videos, *top.folders, *top.others, *top.lost]
    return advice, too_deep or min(filter(_is_shown, names), default="")


def _too_deep(files: SplitFiles, folders: list[str]) -> str:
    """Path of a video in a folder of a folder of the split's, or ""."""
    for depth in range(1, DEEPEST + 1):
        below: list[str] = []
        for folder in folders:
            inside = _entries(files, folder)
            if depth > 1 and inside.videos:
                return as_text(f"{folder}/{inside.videos[0]}")
            below += [f"{folder}/{name}" for name in inside.folders]
        folders = below
    return ""


def _is_shown(name: str) -> bool:
    return not name.startswith(".")


def _entries(files: SplitFiles, folder: str) -> Entries:
    try:
        return entries(files.root / folder, EXTENSIONS, links=False)
    except VieError:  # this is only advice; an unreadable folder that matters was refused before
        return Entries([], [], [], [])
