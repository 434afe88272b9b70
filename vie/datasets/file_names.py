"""Names of files as text that can be stored, and the files that such text stands for.

The name of a file may be any bytes. Those that are no UTF-8 and control characters are written
`\\xe9` and `\\x0a`; all else stays as it is. So names fit into tables, CSV files, tars and logs,
and `on_disk` still finds the file.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePath

STRANGE = re.compile("[\x00-\x1f\x7f-\x9f\udc80-\udcff]")
WRITTEN = re.compile(rb"\\x(0[1-9a-f]|1[0-9a-f]|7f|[89a-f][0-9a-f])")
MOST_KINDS = 12  # of files, in a message


def as_text(name: str) -> str:
    """A name or path from the file system as text that can be stored."""
    if name.isprintable():
        return name
    return STRANGE.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in _bytes(found[0])), name)


def on_disk(folder: Path, path: str) -> Path:
    """The file below a folder that `as_text` wrote as `path`; it need not be there."""
    file = folder / path
    if "\\x" not in path or os.path.lexists(file):
        return file
    for part in PurePath(path).parts:
        there = folder / part
        folder = there if os.path.lexists(there) else folder / _name(part)
    return folder


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _name(part: str) -> str:
    """What a part of a path was before it was written as text."""
    coded = WRITTEN.sub(lambda found: bytes([int(found[1], 16)]), _bytes(part))
    return coded.decode("utf-8", "surrogateescape")


def quoted(name: str) -> str:
    """A name in a message."""
    return repr(as_text(name)).replace("\\\\", "\\")


def listed(names: Iterable[str], at_most: int = 5) -> str:
    """The first of many names, and how many more there are."""
    every = list(names)
    shown = ", ".join(map(quoted, every[:at_most]))
    more = len(every) - at_most
    return f"{shown} and {more} more" if more > 0 else shown


def by_kind(names: Iterable[str]) -> str:
    """How many files there are of each kind, which is the extension, and the names of some.

    "3 .txt, 1 hidden: 'a.txt', '.x', 'b.txt', 'c.txt'": the first name is of the largest kind.
    """
    kinds: dict[str, list[str]] = {}
    for name in sorted(names):
        kinds.setdefault(kind_of(name), []).append(name)
    order = sorted(kinds, key=lambda kind: (-len(kinds[kind]), kind))
    counts = [f"{len(kinds[kind])} {kind}" for kind in order[:MOST_KINDS]]
    if len(order) > MOST_KINDS:
        counts.append(f"{len(order) - MOST_KINDS} other kinds")
    firsts = [kinds[kind][0] for kind in order]
    rest = [name for kind in order for name in kinds[kind][1:]]
    return f"{', '.join(counts)}: {listed(firsts + rest)}"


def kind_of(path: str) -> str:
    """The extension of a file in lower case, or that it has none or is hidden."""
    name = os.path.basename(path)
    if name.startswith("."):
        return "hidden"
    return as_text(os.path.splitext(name)[1].lower()) or "without extension"
