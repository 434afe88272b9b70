"""Files that say which class each image has.

    ILSVRC2012_validation_ground_truth.txt   ImageNet's devkit: numbers, named by meta.mat beside it
    LOC_val_solution.csv                     Kaggle's labels of ImageNet's val
    *.csv                                    columns file, label and, if wanted, split
    *.txt                                    lines "<file> <label>", or, of val, "<label>" alone in
                                             the order of the sorted file names

A file of a list is a path below the folder of images or below that of its split. If a list is
called neither train nor val and names files in train/, it is a list of both splits.
"""

import csv
import io
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

from vie.datasets.file_names import listed
from vie.datasets.layouts.video_files import plain_name, text_of
from vie.runtime.errors import VieError

GROUND_TRUTH, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
KAGGLE = "LOC_val_solution.csv"
CONTENT = (
    "the folder of ImageNet's devkit, Kaggle's LOC_val_solution.csv, a CSV with the columns file "
    "and label, or a text file with the label of one image a line, in the order of file names"
)
SPLITS = ("train", "val")
NUMBERED = re.compile(r"ILSVRC2012_val_(\d{8})\.\w+")  # images of ImageNet's val
Row = tuple[str, str]  # (path below the folder of images, label)


def names_train(path: Path) -> bool:
    """Whether a list names images to train on, as far as its text says."""
    if not path.is_file():
        return False
    if path.stem in SPLITS:
        return path.stem == "train"
    with path.open("rb") as file:
        if b"split" in file.readline(1000).lower().strip().split(b","):
            return True
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return text.find(b"train/") >= 0


def names_files(path: Path) -> bool:
    """Whether a file of labels names images, and not only labels in an order."""
    if path.name in (GROUND_TRUTH, KAGGLE):
        return False
    if path.suffix.lower() == ".csv":
        return True
    with path.open("rb") as file:
        return len(file.readline(10_000).split()) > 1


def listed_rows(path: Path, videos: Path, split: str) -> list[Row]:
    """The images of a split in a list, in its order.

    Raises:
        VieError: names the file, the line and what is wrong there.
    """
    lines = _csv_lines(path) if path.suffix.lower() == ".csv" else _text_lines(path)
    own = path.stem if path.stem in SPLITS else "" if names_train(path) else "val"
    whole, front, labels = f"{videos}/", f"{split}/", dict[str, str]()
    rows: list[Row] = []
    for number, file, label, of in lines:
        name = file.removeprefix(whole).removeprefix("./")
        if not of:
            first = name.partition("/")[0]
            of = first if first in SPLITS else own
        if of != split:
            if of in (*SPLITS, "test"):
                continue
            raise VieError(
                f"{path}, line {number}: {file!r} is in neither train/ nor val/, and the line has "
                "no split train or val"
            )
        if not name.startswith(front):
            name = front + name
        if (".." in name and ".." in name.split("/")) or "\0" in name or "//" in name:
            raise VieError(f"{path}, line {number}: {file!r} is not a path below {videos}")
        if label not in labels:
            labels[label] = plain_name(label, f"{path}, line {number}: label")
        rows.append((name, labels[label]))
    if not rows:
        raise VieError(f"{path}: names no image of the split {split!r}")
    return rows


def _csv_lines(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """(Line, file, label, split or "") of a CSV."""
    reader = csv.reader(io.StringIO(text_of(path)), strict=True)
    try:
        header = next(reader, [])
        if {header.count(name) for name in ("file", "label")} != {1} or header.count("split") > 1:
            raise VieError(
                f"{path}, line 1: a list of images has the columns file and label once, and may "
                f"have split; the line is {','.join(header)!r}"
            )
        file, label = header.index("file"), header.index("label")
        of = header.index("split") if "split" in header else None
        for row in filter(None, reader):
            if len(row) != len(header):
                raise VieError(
                    f"{path}, line {reader.line_num}: {len(row)} values for {len(header)} columns"
                )
            yield reader.line_num, row[file], row[label], "" if of is None else row[of]
    except csv.Error as error:
        raise VieError(f"{path}: cannot be read as UTF-8 CSV: {error}") from error


def _text_lines(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """(Line, file, label, "") of a text file."""
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        if parts := line.rsplit(maxsplit=1):
            if len(parts) != 2:
                raise VieError(f"{path}, line {number}: {line!r} should be a file and its label")
            yield number, parts[0], parts[1], ""


def labels_of_names(path: Path, names: list[str], split: str) -> list[Row]:
    """Images of a flat split with the labels of a file that says them in an order or by name.

    Args:
        path: a file for which `names_files` is false.
        names: of the images, sorted.
        split: their folder.

    Raises:
        VieError: an image has no label there, or the file cannot be read.
    """
    if path.name == KAGGLE:
        labels = _kaggle(path)
        keys = [os.path.splitext(name)[0] for name in names]
    else:
        lines = [line.strip() for line in text_of(path).split("\n") if line.strip()]
        if path.name == GROUND_TRUTH:
            lines = _wnids(path, lines)
        elif numeric := [line for line in lines if line.isdecimal()]:
            raise VieError(
                f"{path}: {numeric[0]!r} is a number, and which class it is depends on the list "
                f"that it is of: call the devkit's list {GROUND_TRUTH} with {META} beside it, or "
                "write the names of classes"
            )
        numbers = [int(found[1]) for name in names if (found := NUMBERED.fullmatch(name))]
        if len(lines) != len(names) and len(numbers) != len(names):
            raise VieError(
                f"{path}: {len(lines)} labels for {len(names)} images, so it is not known whose "
                "they are"
            )
        labels = {str(i): label for i, label in enumerate(lines, start=1)}
        keys = [*map(str, numbers if len(numbers) == len(names) else range(1, len(names) + 1))]
    if without := [name for name, key in zip(names, keys, strict=True) if key not in labels]:
        raise VieError(f"{path}: has no label of {len(without)} images: {listed(without)}")
    for label in set(labels.values()):
        plain_name(label, f"{path}: label")
    return [(f"{split}/{name}", labels[key]) for name, key in zip(names, keys, strict=True)]


def _kaggle(path: Path) -> dict[str, str]:
    """{image without extension: label} of lines "<image>,<label> <box> <label> <box> ..."."""
    labels: dict[str, str] = {}
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        image, comma, boxes = line.partition(",")
        if not comma or not boxes.split():
            raise VieError(f"{path}, line {number}: {line!r} should be an image and its boxes")
        label = boxes.split()[0]
        if labels.setdefault(image, label) != label:
            raise VieError(f"{path}, line {number}: {image!r} was {labels[image]!r} before")
    return labels


def _wnids(path: Path, numbers: list[str]) -> list[str]:
    """Labels of the numbers of ImageNet's devkit, which its meta.mat names."""
    from scipy.io import loadmat  # takes a while to import

    meta = path.with_name(META)
    try:
        synsets = loadmat(meta, squeeze_me=True)["synsets"]
        found = zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True)
        wnids = {str(int(number)): str(wnid) for number, wnid in found}
    except Exception as error:  # a damaged file makes it raise anything
        raise VieError(
            f"{meta}: cannot be read as {META} of ImageNet's devkit, which names the classes of "
            f"{path.name}: {error}"
        ) from error
    if unknown := [number for number in numbers if number not in wnids]:
        raise VieError(f"{path}: {meta} does not have the class {unknown[0]!r}")
    return [wnids[number] for number in numbers]
