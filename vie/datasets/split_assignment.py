"""Which videos of a dataset are for training, for validation and for testing."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write

TRAIN, TEST, HELD_OUT = "train", "test", "held_out"
PARTS = (TRAIN, HELD_OUT, TEST)


class SplitRow(NamedTuple):
    """A video of a split: id, class name, part, and name of the recording it was cut from."""

    video: str
    label: str
    part: str
    group: str


def write_split_assignment(members: Iterable[SplitRow], path: Path) -> None:
    """Write a CSV with columns video, label, part, group."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SplitRow._fields)
        writer.writerows(members)


def read_split_assignment(path: Path) -> list[SplitRow]:
    """Read what `write_split_assignment` wrote.

    Raises:
        VieError: it is not such a file.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    if tuple(header) != SplitRow._fields or any(row[2] not in PARTS for row in rows):
        raise VieError(f"{path}: columns must be {','.join(SplitRow._fields)}")
    return [SplitRow(*row) for row in rows]
