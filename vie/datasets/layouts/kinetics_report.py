"""What differs between a list of Kinetics and the files of a copy: warnings, errors and advice."""

import logging

from vie.datasets.layouts.kinetics_files import REPLACEMENTS, Place, SplitFiles, entries, stems_of
from vie.datasets.layouts.video_files import NoFilesError, is_video, listed
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
DEEPEST = 3  # levels of folders below a split's that are searched for advice
ID_LENGTH = 11  # of YouTube


def report(files: SplitFiles, places: dict[str, Place | None]) -> None:
    """Log what differs between the list of a split and its files; `places` has those of each video.

    Raises:
        NoFilesError: no listed video has a file.
    """
    found = [place for place in places.values() if place]
    missing = [video for video, place in places.items() if not place]
    unlisted, duplicates = _unused(files, places)
    # Other seconds are another clip, perhaps of another action.
    ids = {stems_of(video)[-1] for video in missing}
    others = [path for path in unlisted if path.rpartition("/")[2][:ID_LENGTH] in ids]
    if not found:
        raise NoFilesError(_nothing_found(files, missing, others, unlisted))
    log.info("%s: files of %d of %d listed videos", files.root, len(found), len(places))
    if len(found) < len(missing):
        advice = "; ".join(_look(files)[0]) or "is the copy complete?"
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
    _warn(files, "videos are named by no list", unlisted)
    what = "of these have other seconds in their names than a listed video without a file"
    _warn(files, what, others)
    _warn(files, "further files of listed videos are not used", duplicates)


def _warn(files: SplitFiles, what: str, names: list[str]) -> None:
    """Log names, if there are any."""
    if names:
        log.warning("%s: %d %s: %s", files.root, len(names), what, listed(names))


def _unused(files: SplitFiles, places: dict[str, Place | None]) -> tuple[list[str], list[str]]:
    """Paths of files whose videos no list names, and of further files of listed videos, sorted."""
    names = {stem for video in places for stem in stems_of(video)}
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
    return sorted(unlisted), sorted(duplicates)


def _nothing_found(
    files: SplitFiles, missing: list[str], others: list[str], unlisted: list[str]
) -> str:
    """The error if no listed video has a file."""
    (likely, seen), split = _look(files), files.root.name
    example = next(iter([*others, *unlisted]), f"{split}/{seen}" if seen else "")
    if others:
        likely.append(f"{len(others)} have other seconds in their names: {listed(others, 2)}")
    if not likely:
        likely.append("see whether `roots`, `videos` and `annotations` are those of one copy")
    what = f"found is for example {example!r}" if example else "but it is empty"
    return (
        f"{files.root}: none of the {len(missing)} listed videos has a file in it; expected is "
        f"for example '{split}/{missing[0]}.mp4' or '{split}/<class>/"
        f"{missing[0]}.mp4', {what}; {'; '.join(likely)}"
    )


def _look(files: SplitFiles) -> tuple[list[str], str]:
    """(What is likely wrong and what to do, the path in a split's folder of something to show)."""
    names, folders = _entries(files, "")
    advice = []
    if archives := sorted(name for name in names if name.lower().endswith(ARCHIVES)):
        advice.append(f"{len(archives)} archives are not unpacked ({listed(archives, 2)})")
    # Replacements are read at any depth.
    too_deep = _too_deep(files, sorted(set(folders) - set(REPLACEMENTS)))
    if too_deep:
        above = too_deep.split("/")[0]
        advice.append(
            f"videos lie a level too deep ({too_deep!r}): move what is in {above!r} one level up"
        )
    return advice, too_deep or min([*names, *folders], default="")


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
