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

from vie.datasets.file_names import as_text, by_kind, listed
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
    Entries,
    NoFilesError,
    entries,
    is_folder,
    names_in,
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
        folders = sorted((one.name, one.stat().st_mtime_ns) for one in found if is_folder(one))
    whole = repr((folder.stat().st_mtime_ns, folders))
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _walk(root: Path, split: str) -> list[Row]:
    """All images of all class folders of a split."""
    rows: list[Row] = []
    empty: list[str] = []
    top = entries(root, EXTENSIONS)
    others = [*top.videos, *top.others, *top.lost]
    for folder in top.folders:
        paths = list(map(as_text, _images_below(root, folder, others)))
        rows += [(f"{split}/{path}", as_text(folder)) for path in paths]
        if not paths:
            empty.append(folder)
    _say_what_is_left_out(root, others)
    if empty:
        log.warning("%s: %d class folders hold no image: %s", root, len(empty), listed(empty))
    if not rows:
        raise NoFilesError(
            f"{root}: its images lie in no class folders, so their labels are not known: name a "
            f"file of labels in the dataset's `annotations`, which may be {CONTENT}"
            if top.videos
            else f"{root}: no image in its class folders"
            f"{f' ({by_kind(others)})' if others else ''}; images are files with the extensions "
            f"{', '.join(EXTENSIONS)}"
        )
    return rows


def _images_below(root: Path, label: str, others: list[str]) -> list[str]:
    """Paths of the images of a class below the split's folder; adds what is none to `others`.

    Links to folders are not followed, but that of the class. A folder that cannot be read is left
    out.
    """
    images: list[str] = []
    waiting = [label]
    while waiting:
        folder = waiting.pop()
        try:
            inside = entries(root / folder, EXTENSIONS, links=False)
        except VieError as error:
            log.warning("a folder is left out: %s", error)
            continue
        inside = Entries(*([f"{folder}/{name}" for name in names] for names in inside))
        images += inside.videos
        others += (*inside.others, *inside.lost)
        for path in inside.folders:
            if os.path.islink(root / path):
                others.append(path)
            elif path.count("/") > DEEPEST:
                raise VieError(f"{root / path}: more than {DEEPEST} folders in a class")
            else:
                waiting.append(path)
    return images


def _images_in(root: Path) -> list[str]:
    """Names of the images directly in a folder, sorted."""
    found = names_in(root)
    names = sorted(as_text(name) for name in found if _is_image(name))
    _say_what_is_left_out(root, [name for name in found if not _is_image(name)])
    if not names:
        raise NoFilesError(f"{root}: no image there, nor a class folder")
    return names


def _present(videos: Path, folders: set[str]) -> set[str]:
    """Paths of all files in some folders; a folder that is not there has none."""
    present: set[str] = set()
    for folder in folders:
        if os.path.isdir(videos / folder):
            with scan(videos / folder) as found:
                present.update(f"{folder}/{as_text(entry.name)}" for entry in found)
    return present


def _has_folders(root: Path) -> bool:
    if not root.is_dir():
        return False
    with scan(root) as found:
        return any(is_folder(entry) and not entry.name.startswith(".") for entry in found)


def _is_image(path: str) -> bool:
    return path.lower().endswith(EXTENSIONS) and not os.path.basename(path).startswith(".")


def _say_what_is_left_out(root: Path, others: list[str]) -> None:
    if others:
        what = "%s: %d files that are no images are left out: %s"
        log.warning(what, root, len(others), by_kind(others))
