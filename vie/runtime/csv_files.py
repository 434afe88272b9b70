"""CSV files whose columns are fixed, and cells that no spreadsheet takes for a formula.

Beside a sealed one lies its digest, `<name>.sha256`, as `sha256sum` writes and reads it: damage is
noticed when later jobs read the file.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vie.runtime.errors import VieError, made_anew
from vie.runtime.files import atomic_write

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


def write_sealed(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a file, whole, and its digest beside it."""
    with atomic_write(path) as temporary, atomic_write(_seal_of(path)) as seal:
        write_rows(temporary, header, rows)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        seal.write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def read_rows(path: Path, header: Sequence[str]) -> list[list[str]]:
    """Rows of a file that `write_rows` or `write_sealed` wrote with the same header.

    Raises:
        VieError: the file cannot be read, has other columns, or is damaged.
    """
    try:
        content = path.read_bytes()
        lines = csv.reader(io.StringIO(content.decode(), newline=""))
        found, *rows = ([*map(text_of_cell, row)] for row in lines)
    except OSError as error:
        raise VieError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise VieError(
            f"{path}: cannot be read as UTF-8 CSV: {error}; {made_anew(path)}"
        ) from error
    except ValueError:  # not even a header
        found, rows = [], []
    if found != list(header) or any(len(row) != len(header) for row in rows):
        raise VieError(f"{path}: columns must be {','.join(header)}; {made_anew(path)}")
    if (seal := _seal_of(path)).exists():
        wanted = f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"
        if seal.read_bytes() != wanted.encode():
            raise VieError(
                f"{path}: its digest is not that in {seal.name}: it is damaged; {made_anew(path)}"
            )
    return rows


def seconds_in(benchmark: str | Path) -> float | None:
    """That the job of a file of Snakemake's `benchmark` took the last time; None without a file."""
    if not Path(benchmark).is_file():
        return None
    with Path(benchmark).open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return float(rows[-1]["s"]) if rows else None
