"""Any videos in class folders: <class>/<name>.mp4 (or .mkv, .webm, .avi)."""

from collections.abc import Iterable
from pathlib import Path

from vie.data.layouts.files import folders_in, plain_name, videos_in
from vie.data.manifest import Video
from vie.data.members import TEST, TRAIN, Member, take_groups
from vie.data.randomness import generator
from vie.errors import VieError

TEST_SHARE = 0.3  # of each class, as in HMDB51's splits


def read_folders(videos: Path, annotations: Path, split: str) -> list[Video]:
    """Every video of every class folder.

    Args:
        videos: folder with one folder per class, or, for the splits "train" and "val", with the
            folders train and val that hold these.
        annotations: not looked at; the folders say everything.
        split: "all", "train" or "val".

    Raises:
        VieError: a folder is missing or empty, or a name is not one that can be used.
    """
    below = "" if split == "all" else f"{split}/"
    root, found = videos / below, []
    for label in folders_in(root):
        plain_name(label, f"{root}: class")
        files = videos_in(root / label)
        if not files:
            raise VieError(f"{root / label}: this class folder holds no video")
        for stem, file in files.items():
            plain_name(file, f"{root / label}: file")
            found.append(Video(f"{label}/{stem}", f"{below}{label}/{file}", label))
    if not found:
        raise VieError(f"{root}: no such folder of class folders, or an empty one")
    return found


def members_of_folders(videos: Iterable[Video], annotations: Path, number: int) -> list[Member]:
    """Split `number` of the videos: 30 % of each class, drawn at random, are for testing.

    Args:
        videos: of the manifest.
        annotations: not looked at.
        number: of the draw.

    Raises:
        VieError: a class has a single video.
    """
    by_class: dict[str, list[str]] = {}
    for video in videos:
        by_class.setdefault(video.label, []).append(video.video)
    members = []
    for i, (label, names) in enumerate(sorted(by_class.items())):
        if len(names) < 2:
            raise VieError(
                f"class {label!r} has a single video: training and testing need one each"
            )
        groups = {name: name for name in sorted(names)}
        test = take_groups(groups, TEST_SHARE, generator(number, "folders split", instance=i))
        members += [Member(n, label, TEST if n in test else TRAIN, n) for n in groups]
    return members
