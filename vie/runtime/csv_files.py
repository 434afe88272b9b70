"""CSV files whose columns are fixed, and cells that no spreadsheet takes for a formula."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vie.runtime.errors import VieError

# What a spreadsheet would run, also in the wide letters of East Asia; numbers are none.
FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def cell(value: object) -> object:
    """A value for a CSV: text that begins like a formula gets an apostrophe in front."""
    if isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def text_of_cell(found: str) -> str:
    """The text for which `cell` gave this."""
    return found[1:] if found.startswith("'") and FORMULA.match(found) else found


def write_rows(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], *, plain: bool = False
) -> None:
    """Write a header and rows as UTF-8; `plain`: for another program, without `cell`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(row if plain else map(cell, row) for row in rows)


def read_rows(path: Path, header: Sequence[str]) -> list[list[str]]:
    """Rows of a file that `write_rows` wrote with the same header.

    Raises:
        VieError: the file cannot be read, or has other columns.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found, *rows = ([*map(text_of_cell, row)] for row in csv.reader(file))
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
