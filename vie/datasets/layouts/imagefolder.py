"""Images in class folders, as torchvision's ImageFolder and copies of ImageNet have them.

    <videos>/train/<class>/**/<image>
    <videos>/val/<class>/**/<image>, or flat, <videos>/val/<image>, with labels elsewhere

Annotations are needed for a flat val alone. They may also list all images, so that no folder need
be searched (`image_labels` has the files). An image is known by its path below the folder of its
split. Whether it can be read is only looked at when it is: anything with the name of an image
counts as one.
"""

import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from vie.datasets.layouts.image_labels import (
    CONTENT,
    GROUND_TRUTH,
    KAGGLE,
    SPLITS,
    Row,
    labels_of_names,
    listed_rows,
    names_files,
    names_train,
)
from vie.datasets.layouts.video_files import (
    NoFilesError,
    listed,
    plain_name,
    scan,
    short_id,
)
from vie.datasets.video import Video
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
DEEPEST = 16  # folders in folders of a class


def annotation_of_images(videos: Path, annotations: Path, split: str) -> Path:
    """What says which images a split has: a list, a file of labels, or the split's folder.

    ImageNet's own files of labels often lie beside images that are in class folders already: then
    they are not needed.
    """
    folder = videos / split
    if annotations.is_dir():
        own = [annotations / f"{split}{end}" for end in (".csv", ".txt")]
        usual = [annotations / name for name in (GROUND_TRUTH, f"data/{GROUND_TRUTH}", KAGGLE)]
    elif annotations.name in (GROUND_TRUTH, KAGGLE):
        own, usual = [], [annotations]
    else:
        own = [annotations] if split == "val" or names_train(annotations) else []
        usual = []
    if found := [path for path in own if path.is_file()]:
        return found[0]
    found = [path for path in usual if split == "val" and path.is_file()]
    return found[0] if found and not _has_folders(folder) else folder


def read_images(videos: Path, annotations: Path, split: str) -> list[Video]:
    """Images of a split, in no particular order.

    Args:
        videos: folder of images.
        annotations: what `annotation_of_images` returns.
        split: train or val.

    Raises:
        NoFilesError: there is no image.
        VieError: names the file, the line and what is wrong there.
    """
    if split not in SPLITS:
        raise VieError(f"split {split!r} is unknown; known: {', '.join(SPLITS)}")
    root, there = videos / split, None
    if annotations == root:
        rows: Iterable[Row] = _walk(root, split)
    elif names_files(annotations):
        rows = listed_rows(annotations, videos, split)
        there = _present(videos, {path.rpartition("/")[0] for path, _ in rows})
        gone = [path for path, _ in rows if path not in there]
        if gone:
            what = "%s: %d of %d listed images have no file and will be rejected: %s"
            log.warning(what, videos, len(gone), len(rows), listed(gone))
    else:
        rows = labels_of_names(annotations, _images_in(root), split)
    found, start = list[Video](), len(split) + 1
    for path, label in rows:
        below = path[start:]
        found.append(
            Video(short_id(below, below), path, label, 0, 0, there is None or path in there)
        )
    return found


def digest_of_images(folder: Path) -> str:
    """A digest that changes with the images of a split, without a look at each: names and times of
    its class folders, as a folder's time changes when a name in it appears or goes."""
    with scan(folder) as found:
        folders = sorted((one.name, one.stat().st_mtime_ns) for one in found if one.is_dir())
    whole = repr((folder.stat().st_mtime_ns, folders))
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _walk(root: Path, split: str) -> list[Row]:
    """All images of all class folders of a split."""
    rows: list[Row] = []
    others: list[str] = []
    empty: list[str] = []
    with scan(root) as found:
        entries = sorted((entry.name, entry.is_dir()) for entry in found)
    for label, is_folder in entries:
        if not is_folder or label.startswith("."):
            others.append(label)
            continue
        plain_name(label, f"{root}: class")
        paths = _images_below(root, label, others)
        rows += [(f"{split}/{path}", label) for path in paths]
        if not paths:
            empty.append(label)
    _warn(root, "are no images, or have names that are not UTF-8, and are left out", others)
    _warn(root, "class folders hold no image", empty)
    if not rows:
        loose = any(_is_image(name) for name in others)
        raise NoFilesError(
            f"{root}: its images lie in no class folders, so their labels are not known: name a "
            f"file of labels in the dataset's `annotations`, which may be {CONTENT}"
            if loose
            else f"{root}: no image in its class folders; images are files with the extensions "
            f"{', '.join(EXTENSIONS)}"
        )
    return rows


def _images_below(root: Path, label: str, others: list[str]) -> list[str]:
    """Paths of the images of a class below the split's folder; adds what is none to `others`."""
    images: list[str] = []
    waiting = [label]
    while waiting:
        folder = waiting.pop()
        with scan(root / folder) as found:
            for entry in found:
                path = f"{folder}/{entry.name}"
                if not _is_utf8(path):
                    others.append(path)
                elif _is_image(entry.name):
                    images.append(path)
                elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    if path.count("/") > DEEPEST:
                        raise VieError(f"{root / path}: more than {DEEPEST} folders in a class")
                    waiting.append(path)
                else:
                    others.append(path)
    return images


def _images_in(root: Path) -> list[str]:
    """Names of the images directly in a folder, sorted."""
    with scan(root) as found:
        names = sorted(entry.name for entry in found)
    images = [name for name in names if _is_image(name) and _is_utf8(name)]
    others = sorted(set(names) - set(images))
    _warn(root, "are no images, or have names that are not UTF-8, and are left out", others)
    if not images:
        raise NoFilesError(f"{root}: no image there, nor a class folder")
    return images


def _present(videos: Path, folders: set[str]) -> set[str]:
    """Paths of all files in some folders; a folder that is not there has none."""
    present: set[str] = set()
    for folder in folders:
        if os.path.isdir(videos / folder):
            with scan(videos / folder) as found:
                present.update(f"{folder}/{entry.name}" for entry in found)
    return present


def _has_folders(root: Path) -> bool:
    if not root.is_dir():
        return False
    with scan(root) as found:
        return any(entry.is_dir() and not entry.name.startswith(".") for entry in found)


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def _is_utf8(name: str) -> bool:
    return name.isascii() or name.isprintable() or not any("\ud800" <= a < "\ue000" for a in name)


def _warn(root: Path, what: str, names: list[str]) -> None:
    if names:
        log.warning("%s: %d %s: %s", root, len(names), what, listed(sorted(names)))
