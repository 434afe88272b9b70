"""Which videos of a dataset are for training, for validation and for testing."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vie.errors import VieError
from vie.files import whole

TRAIN, TEST, HELD_OUT = "train", "test", "held_out"
PARTS = (TRAIN, HELD_OUT, TEST)


class Member(NamedTuple):
    """A video of a split: id, class name, part, and name of the recording it was cut from."""

    video: str
    label: str
    part: str
    group: str


def write_members(members: Iterable[Member], path: Path) -> None:
    """Write a CSV with columns video, label, part, group."""
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Member._fields)
        writer.writerows(members)


def read_members(path: Path) -> list[Member]:
    """Read what `write_members` wrote.

    Raises:
        VieError: it is not such a file.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    if tuple(header) != Member._fields or any(row[2] not in PARTS for row in rows):
        raise VieError(f"{path}: columns must be {','.join(Member._fields)}")
    return [Member(*row) for row in rows]
