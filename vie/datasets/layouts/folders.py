"""Any videos in class folders: <class>/<name>.mp4, or another extension of `EXTENSIONS`."""

import logging
from collections.abc import Iterable
from pathlib import Path

from vie.datasets.layouts.video_files import (
    EXTENSIONS,
    folders_in,
    listed,
    names_in,
    plain_name,
    videos_in,
)
from vie.datasets.split_assignment import TEST, TRAIN, SplitRow
from vie.datasets.video import Video
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
TEST_SHARE = 0.3  # of each class, as in HMDB51's splits


def read_folders(videos: Path, annotations: Path, split: str) -> list[Video]:
    """Every video of every class folder.

    Args:
        videos: folder of the class folders. For the splits "train" and "val", a folder with the
            folders train and val, which hold the class folders.
        annotations: not used.
        split: "all", "train" or "val".

    Raises:
        VieError: a folder is missing or empty, or a name cannot be used.
    """
    below = "" if split == "all" else f"{split}/"
    root = videos / below
    found: list[Video] = []
    others: list[str] = []
    for label in folders_in(root):
        plain_name(label, f"{root}: class")
        files = videos_in(root / label)
        read = set(files.values())
        others += [f"{label}/{n}" for n in names_in(root / label) if n not in read and n[0] != "."]
        if not files:
            raise VieError(f"{root / label}: this class folder holds no video")
        for stem, file in files.items():
            plain_name(file, f"{root / label}: file")
            path = f"{below}{label}/{file}"
            found.append(Video(f"{label}/{stem}", path, label, file_found=True))
    if others:
        log.warning(
            "%s: %d files or folders are no videos (%s) and are left out: %s",
            *(root, len(others), ", ".join(EXTENSIONS), listed(sorted(others))),
        )
    if not found:
        raise VieError(f"{root}: no such folder of class folders, or an empty one")
    return found


def assign_folders(videos: Iterable[Video], annotations: Path, number: int) -> list[SplitRow]:
    """Split `number`: a random 30 % of the videos of each class are for testing.

    Args:
        videos: of the manifest.
        annotations: not used.
        number: of the split; each number draws anew.

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
