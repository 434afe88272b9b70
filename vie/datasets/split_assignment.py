"""Which videos of a dataset are for training, for validation and for testing."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vie.runtime.csv_files import read_rows, write_sealed
from vie.runtime.errors import VieError, made_anew

TRAIN, TEST, HELD_OUT = "train", "test", "held_out"
SUBSETS = (TRAIN, HELD_OUT, TEST)


class SplitRow(NamedTuple):
    """A video of a split."""

    video: str  # id
    label: str  # name of the class
    subset: str  # one of `SUBSETS`
    group: str  # name of the recording that the video was cut from


def write_split_assignment(rows: Iterable[SplitRow], path: Path) -> None:
    """Write a CSV with the columns video, label, subset, group."""
    write_sealed(path, SplitRow._fields, rows)


def read_split_assignment(path: Path) -> list[SplitRow]:
    """Read what `write_split_assignment` wrote.

    Raises:
        VieError: the file cannot be read, has other columns, or names an unknown subset.
    """
    rows = [SplitRow(*row) for row in read_rows(path, SplitRow._fields)]
    if unknown := sorted({row.subset for row in rows} - set(SUBSETS)):
        raise VieError(
            f"{path}: subset {unknown[0]!r} is none of {', '.join(SUBSETS)}; {made_anew(path)}"
        )
    return rows
