"""CSV files whose columns are fixed, and cells that no spreadsheet takes for a formula.

The last line of a sealed one is `# sha256 ` and a digest of all lines before it: damage is noticed
when later jobs read it.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vie.runtime.errors import VieError, made_anew

SEAL = "# sha256 "
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
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    plain: bool = False,
    sealed: bool = False,
) -> None:
    """Write a header and rows as UTF-8; `plain`: for another program, without `cell`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(row if plain else map(cell, row) for row in rows)
    if sealed:
        content = path.read_bytes()
        path.write_bytes(content + _seal(content))


def _seal(content: bytes) -> bytes:
    return f"{SEAL}{hashlib.sha256(content).hexdigest()[:16]}\n".encode()


def read_rows(path: Path, header: Sequence[str], *, sealed: bool = False) -> list[list[str]]:
    """Rows of a file that `write_rows` wrote with the same header and seal.

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
    if sealed and rows and rows[-1] and rows[-1][0].startswith(SEAL):
        rows.pop()
    if found != list(header) or any(len(row) != len(header) for row in rows):
        raise VieError(f"{path}: columns must be {','.join(header)}; {made_anew(path)}")
    if sealed and not content.endswith(_seal(content[: content.rfind(SEAL.encode())])):
        raise VieError(f"{path}: its checksum is wrong or gone: it is damaged; {made_anew(path)}")
    return rows
