"""Where the listed files of UCF101 and HMDB51 lie: the trees that their copies have.

    <videos>/<Class>/<file>              as distributed
    <videos>/<file>                      all unpacked into one folder
    <videos>/<any>/<Class>/<file>        a folder deeper, as UCF-101/UCF-101/; <any>/<file> too
    <videos>/<Class>/<Class>/<file>      each class unpacked into a folder of its own

Of the name of a class folder only letters and digits count. A file may have another extension of a
video than its list says, as re-encoded copies have.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from vie.datasets.file_names import as_text, by_kind, listed, quoted
from vie.datasets.layouts.video_files import (
    ADVICE,
    EXTENSIONS,
    NoFilesError,
    archives_in,
    entries,
    spelling_key,
)
from vie.datasets.video import Video
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
DEEPEST = 3  # folders in folders that are searched
FLAT = ""  # the folder of videos itself among its folders


class Tree(NamedTuple):
    """What lies in a folder of videos."""

    folders: dict[str, dict[str, str]]  # {folder below it, or FLAT: {stem: file name}}
    others: list[str]  # paths of files that are no videos
    lost: list[str]  # and of links that lead nowhere


def find_listed(root: Path, videos: list[Video]) -> list[Video]:
    """Listed videos with the paths of their files, where these are found.

    Ids of the videos are <class>/<stem of the file>. A file in the folder of its class is
    preferred. One in a folder that is no class is taken if no other class has a file of this name.
    The log counts and names files that are not used.

    Raises:
        VieError: a folder cannot be read.
    """
    if not root.is_dir():
        return videos
    tree = _read(root)
    own, shared = _own_folders(tree, videos), _shared_folders(tree, videos)
    classes_of = Counter(video.video.partition("/")[2] for video in videos)
    found = []
    for video in videos:
        stem = video.video.partition("/")[2]
        folders = [*own[video.label], *(shared if classes_of[stem] == 1 else ())]
        here = next((folder for folder in folders if stem in tree.folders[folder]), None)
        if here is not None:
            path = _path(here, tree.folders[here][stem])
            video = video._replace(path=path, file_found=True)
        found.append(video)
    if unused := _unused(tree, found):
        log.warning("%s: no list names %d videos: %s", root, len(unused), listed(unused))
    if tree.lost:
        what = "%s: %d links lead nowhere or in a circle: %s"
        log.warning(what, root, len(tree.lost), listed(tree.lost))
    if tree.others:
        what = "%s: %d files that are no videos are left out: %s"
        log.warning(what, root, len(tree.others), by_kind(tree.others))
    return found


def refuse_incomplete(root: Path, videos: Iterable[Video]) -> None:
    """Whether all videos that `find_listed` returned have a file, and no folder has other videos.

    Raises:
        NoFilesError: no listed video has a file.
        VieError: names what is missing, or folders of other videos.
    """
    videos, tree = list(videos), _read(root)
    lost = [video for video in videos if not video.file_found]
    if len(lost) == len(videos):
        raise NoFilesError(_nothing_found(root, tree, videos))
    labels, own = {video.label for video in videos}, _own_folders(tree, videos)
    there = {video.label for video in videos if video.file_found}
    if absent := sorted(label for label in labels - there if not own[label]):
        raise VieError(
            f"{root}: {len(absent)} of {len(labels)} classes have no folder: {listed(absent)}; "
            f"{ADVICE}"
        )
    used = {os.path.dirname(video.path) for video in videos if video.file_found}
    used |= {folder for folders in own.values() for folder in folders}
    above = {FLAT, *used, *(str(p) for one in used for p in Path(one).parents)}
    odd = {folder for folder, stems in tree.folders.items() if stems and folder not in above}
    if unknown := sorted(map(as_text, odd)):
        raise VieError(
            f"{root}: {len(unknown)} folders are no class of the annotations: {listed(unknown)}; "
            "move them elsewhere, or check that videos and annotations are of the same dataset"
        )
    if lost:
        paths = [video.path for video in lost]
        spelt = {path.casefold(): path for path in _unused(tree, videos)}
        other = [spelt[path.casefold()] for path in paths if path.casefold() in spelt]
        case = f" (with other capital letters there is {listed(other)})" if other else ""
        raise VieError(
            f"{root}: {len(lost)} listed videos are missing: {listed(paths)}{case}; {ADVICE}"
        )


def _read(root: Path) -> Tree:
    """All folders of a folder of videos; hidden ones are left out."""
    tree = Tree({}, [], [])
    waiting = [FLAT]
    for folder in waiting:
        found = entries(root / folder, EXTENSIONS)
        tree.others.extend(_path(folder, name) for name in found.others)
        tree.lost.extend(_path(folder, name) for name in found.lost)
        stems = tree.folders[folder] = {}
        # Of several files of a stem, the one that the lists name.
        for name in sorted(found.videos, key=lambda name: not name.endswith(".avi")):
            stems.setdefault(as_text(os.path.splitext(name)[0]), name)
        if folder.count("/") < DEEPEST - 1:
            waiting += [f"{folder}/{name}" if folder else name for name in found.folders]
    return tree


def _path(folder: str, name: str) -> str:
    return as_text(f"{folder}/{name}" if folder else name)


def _key(folder: str) -> str:
    return spelling_key(os.path.basename(folder))


def _own_folders(tree: Tree, videos: Iterable[Video]) -> dict[str, list[str]]:
    """{class: its folders}, those that are spelt like it first, then those that lie high up."""
    by_key: dict[str, list[str]] = {}
    for folder in tree.folders:
        by_key.setdefault(_key(folder), []).append(folder)
    labels = {video.label for video in videos}

    def order(label: str) -> Callable[[str], tuple[bool, int, str]]:
        return lambda folder: (os.path.basename(folder) != label, folder.count("/"), folder)

    return {
        label: sorted(by_key.get(spelling_key(label), []), key=order(label)) for label in labels
    }


def _shared_folders(tree: Tree, videos: Iterable[Video]) -> list[str]:
    """Folders that are of no class: files of all classes may lie in them."""
    classes = {spelling_key(label) for label in {video.label for video in videos}}
    return [folder for folder in tree.folders if _key(folder) not in classes]


def _unused(tree: Tree, videos: Iterable[Video]) -> list[str]:
    """Paths of videos that are not those of listed ones, sorted."""
    used = {video.path for video in videos if video.file_found}
    every = (_path(f, name) for f, stems in tree.folders.items() for name in stems.values())
    return sorted(set(every) - used)


def _nothing_found(root: Path, tree: Tree, videos: list[Video]) -> str:
    """The error if no listed video has a file."""
    expected = videos[0].path
    flat = expected.rpartition("/")[2]
    unused = _unused(tree, [])
    found = [f"{len(unused)} videos of other names: {listed(unused)}"] if unused else []
    found += [f"other files: {by_kind(tree.others)}"] if tree.others else []
    found += [f"links that lead nowhere: {listed(tree.lost)}"] if tree.lost else []
    folders = list(map(as_text, filter(None, tree.folders)))
    found += [f"the folders {listed(folders)}"] if folders else []
    advice = archives_in(tree.others) or "see whether videos and annotations are of one dataset"
    return (
        f"{root}: none of the {len(videos)} listed videos has a file in it; expected is for "
        f"example {quoted(expected)}, or {quoted(flat)} for all classes in one folder; found are "
        f"{'; '.join(found) or 'no files'}; {advice}"
    )
