"""Any videos in class folders: <class>/<name>.mp4, or another extension of `EXTENSIONS`."""

import logging
from collections.abc import Iterable
from pathlib import Path

from vie.datasets.layouts.video_files import (
    EXTENSIONS,
    folders_in,
    is_video,
    listed,
    names_in,
    plain_name,
    refuse_pairs,
    stems,
)
from vie.datasets.split_assignment import TEST, TRAIN, SplitRow
from vie.datasets.video import Video
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
TEST_SHARE = 0.3  # of each class, as in HMDB51's splits


def read_folders(videos: Path, annotations: Path, split: str) -> list[Video]:
    """Every video of every class folder.

    For the splits "train" and "val" the class folders lie in folders of these names. Hidden files
    are left out: some systems leave a file ._name beside every file.
    """
    below = "" if split == "all" else f"{split}/"
    root = videos / below
    found: list[Video] = []
    others: list[str] = []
    for label in folders_in(root):
        plain_name(label, f"{root}: class")
        names = sorted(name for name in names_in(root / label) if not name.startswith("."))
        others += [f"{label}/{name}" for name in names if not is_video(name)]
        files, pairs = stems(filter(is_video, names))
        refuse_pairs(root / label, pairs)
        if not files:
            raise VieError(f"{root / label}: this class folder holds no video")
        for stem, file in files.items():
            plain_name(file, f"{root / label}: file")
            path = f"{below}{label}/{file}"
            found.append(Video(f"{label}/{stem}", path, label, file_found=True))
    if others:
        log.warning(
            "%s: %d files or folders are no videos (%s) and are left out: %s",
            *(root, len(others), ", ".join(EXTENSIONS), listed(others)),
        )
    if not found:
        raise VieError(f"{root}: no such folder of class folders, or an empty one")
    return found


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
