"""CSV files whose columns are fixed."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from vie.runtime.errors import VieError


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and rows as UTF-8."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_rows(path: Path, header: Sequence[str]) -> list[list[str]]:
    """Rows of a file that `write_rows` wrote with the same header.

    Raises:
        VieError: the file cannot be read, or has other columns.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found, *rows = csv.reader(file)
    except OSError as error:
        raise VieError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise VieError(f"{path}: cannot be read as UTF-8 CSV: {error}") from error
    except ValueError:  # not even a header
        found, rows = [], []
    if found != list(header) or any(len(row) != len(header) for row in rows):
        raise VieError(
            f"{path}: columns must be {','.join(header)}; delete the file to have it made again"
        )
    return rows
