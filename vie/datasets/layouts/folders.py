"""Any videos in class folders: <class>/<name>.mp4, or another extension of `EXTENSIONS`."""

import logging
from collections.abc import Iterable
from pathlib import Path

from vie.datasets.file_names import as_text, by_kind, listed
from vie.datasets.layouts.video_files import (
    EXTENSIONS,
    Entries,
    NoFilesError,
    entries,
    refuse_pairs,
    short_id,
    stems,
)
from vie.datasets.split_assignment import TEST, TRAIN, SplitRow
from vie.datasets.video import Video
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
TEST_SHARE = 0.3  # of each class, as in HMDB51's splits


def read_folders(videos: Path, annotations: Path, split: str) -> list[Video]:
    """Every video of every class folder; the log counts and names what else there is.

    For the splits "train" and "val" the class folders lie in folders of these names. Names may be
    anything (`vie.datasets.file_names`). Hidden files are left out: some systems leave a file
    ._name beside every file. A link or folder that is called as a video is rejected later.

    Raises:
        NoFilesError: there is no video in a class folder.
        VieError: some class folders hold no video, or two files are one video.
    """
    below = "" if split == "all" else f"{split}/"
    root = videos / below
    top = entries(root, EXTENSIONS)
    classes, unread = _classes(root, top)
    found: list[Video] = []
    pairs: list[tuple[str, str]] = []
    for folder, inside in classes.items():
        label = as_text(folder)
        lost = set(map(as_text, filter(_is_video, inside.lost)))
        files, twice = stems(map(as_text, _videos(inside)))
        pairs += [(f"{label}/{one}", other) for one, other in twice]
        for stem, file in files.items():
            path = f"{below}{label}/{file}"
            name = short_id(f"{label}/{stem}", path)
            found.append(Video(name, path, label, file_found=file not in lost))
    refuse_pairs(root, pairs)
    _say_what_is_left_out(root, top, classes, unread)
    if not found:
        raise NoFilesError(f"{root}: {_nothing(root, top, classes)}")
    if empty := [label for label, inside in classes.items() if not _videos(inside)]:
        raise VieError(
            f"{root}: {len(empty)} class folders hold no video: {listed(empty)}"
            f"{_deeper(root, empty)}; move them elsewhere, or put videos into them"
        )
    return found


def _videos(inside: Entries) -> list[str]:
    """What is called as a video; links that lead nowhere and folders are rejected later."""
    return [*inside.videos, *filter(_is_video, (*inside.lost, *inside.folders))]


def _is_video(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _classes(root: Path, top: Entries) -> tuple[dict[str, Entries], list[str]]:
    """({class folder: what lies in it}, why others cannot be read)."""
    classes, unread, here = {}, [], root.resolve()
    for folder in top.folders:
        if here.is_relative_to((root / folder).resolve()):
            unread.append(f"{root / folder} is a link to where it lies, or above")
            continue
        try:
            classes[folder] = entries(root / folder, EXTENSIONS)
        except VieError as error:
            unread.append(str(error))
    return classes, unread


def _say_what_is_left_out(
    root: Path, top: Entries, classes: dict[str, Entries], unread: list[str]
) -> None:
    def warn(what: str, names: list[str]) -> None:
        if names:
            log.warning("%s: %d %s: %s", root, len(names), what, listed(names))

    inside = [(f"{label}/", of) for label, of in classes.items()]
    warn("videos lie beside the class folders and are left out", top.videos)
    folders = [above + name for above, of in inside for name in of.folders if not _is_video(name)]
    warn("folders in class folders are left out", folders)
    every = [("", top), *inside]
    links = [above + name for above, of in every for name in of.lost]
    warn("links lead nowhere or in a circle", links)
    if others := [above + name for above, of in every for name in of.others]:
        what = "%s: files of other kinds are left out (videos are %s): %s"
        log.warning(what, root, ", ".join(EXTENSIONS), by_kind(others))
    for text in unread:
        log.warning("a class folder is left out: %s", text)


def _nothing(root: Path, top: Entries, classes: dict[str, Entries]) -> str:
    """Why there is no video."""
    if top.videos:
        return (
            f"{len(top.videos)} videos lie directly in it, in no class folder: "
            f"{listed(top.videos)}; move each into a folder that is called as its class, or set "
            "the dataset's layout to flat, which needs no classes"
        )
    others = [*top.others, *(f"{c}/{name}" for c, of in classes.items() for name in of.others)]
    there = f" (in {listed(classes)})" if classes else ""
    what = f"; there are other files: {by_kind(others)}" if others else ""
    return (
        f"no video in class folders <class>/<name>.mp4{there}{_deeper(root, classes)}{what}. Files "
        f"are videos by their extension: {', '.join(EXTENSIONS)}"
    )


def _deeper(root: Path, labels: Iterable[str]) -> str:
    """Where videos lie a level too deep, for a message."""
    for label in labels:
        for path in sorted((root / label).glob("*/*")):
            if path.suffix.lower() in EXTENSIONS:
                below = path.relative_to(root)
                return f"; videos lie a level too deep ({listed([str(below)])})"
    return ""


def assign_folders(videos: Iterable[Video], annotations: Path, number: int) -> list[SplitRow]:
    """A random 30 % of the videos of each class are for testing; each number draws anew.

    Raises:
        VieError: a class has a single video.
    """
    from vie.runtime.randomness import generator  # imports numpy, which the rules do without

    by_class: dict[str, list[str]] = {}
    for video in videos:
        by_class.setdefault(video.label, []).append(video.video)
    rows = []
    for i, (label, names) in enumerate(sorted(by_class.items())):
        if len(names) < 2:
            raise VieError(
                f"class {label!r} has a single video: training and testing need one each"
            )
        count = min(max(1, round(TEST_SHARE * len(names))), len(names) - 1)
        rng = generator(number, "folders split", instance=i)
        test = set(rng.choice(sorted(names), count, replace=False).tolist())
        rows += [SplitRow(n, label, TEST if n in test else TRAIN, n) for n in sorted(names)]
    return rows
