"""What a command asks for: whether anything makes it, and what to show of it in the end."""

import csv
import difflib
import itertools
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from vie.runtime.errors import VieError

SHOWN_TABLES = 3  # of so many targets the rows are shown, of more only the files
CI = "_ci95"
ABOUT = {"chance": "chance {}", "n_val": "{} videos", "seeds": "seeds {}"}  # if all rows agree


def refuse_unknown(targets: Iterable[str], rules: Sequence[Any], known: Collection[str]) -> None:
    """Before Snakemake says that no rule produces a file.

    Args:
        targets: of the command.
        rules: all of the workflow.
        known: files that a misspelt name may mean, besides those of rules without wildcards.

    Raises:
        VieError: nothing makes one of them; the message has the names that are most like it.
    """
    names = {rule.name for rule in rules}
    files = {str(path) for rule in rules if not rule.has_wildcards() for path in rule.output}
    for target in targets:
        if target in names or Path(target).exists() or any(r.is_producer(target) for r in rules):
            continue
        near = difflib.get_close_matches(target, sorted(names | files | {*known}), n=3)
        advice = f"did you mean {' or '.join(near)}?" if near else "check its name."
        raise VieError(f"{target}: no rule makes it: {advice} `snakemake --list` has all rules")


def refuse_missing(
    targets: Collection[str], rules: Sequence[Any], finished: Sequence[str], first: str
) -> None:
    """Before Snakemake says of a file that the command does not name that a report lacks it.

    Args:
        targets: of a command that makes a report.
        rules: all of the workflow.
        finished: files that a report can show.
        first: a file to begin with.

    Raises:
        VieError: a target is a file that does not exist, or there is nothing to show.
    """
    names = {rule.name for rule in rules}
    for target in targets:
        if target not in names and not Path(target).exists():
            raise VieError(
                f"{target} does not exist, and a report makes no files: make it first, or name "
                "none: then the report shows all that there are"
            )
    if not finished:
        raise VieError(f"a report shows finished files, and there are none yet: make {first} first")


def outcome(files: Sequence[str]) -> str:
    """What was asked for, as text: rows of tables, if they are few, and paths."""
    tables = [path for path in map(Path, files) if path.suffix == ".csv" and path.is_file()]
    parts = [_rows(path) for path in tables] if len(tables) <= SHOWN_TABLES else []
    parts += [_opening(Path(path)) for path in files if path.endswith("advice.yaml")]
    plots = {str(path.with_suffix(".png")) for path in tables}
    paths = [f"  {path}" for path in sorted({*files} | plots) if Path(path).exists()]
    return "\n\n".join([*filter(None, parts), "\n".join(["Results:", *paths])]) if paths else ""


def _opening(path: Path) -> str:
    """The comment at the head of a file of YAML."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return "\n".join(line[2:] for line in itertools.takewhile(lambda one: one[:1] == "#", lines))


def _rows(path: Path) -> str:
    """Numbers of a table that have intervals, by model; nothing of other tables."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in (rows[0] if rows else {}) if f"{name}{CI}" in rows[0]]
    if not columns or "model" not in rows[0]:
        return ""
    lines = [["model", *columns]]
    lines += [[row["model"], *(_number(row, name) for name in columns)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    about = ["± half-width of a 95 % interval"]
    for column, words in ABOUT.items():
        if len(values := {row.get(column) for row in rows} - {None, ""}) == 1:
            about.append(words.format(values.pop()))
    return "\n".join([f"{path} (%, {'; '.join(about)})", *text])


def _number(row: dict[str, str], name: str) -> str:
    if not row[name]:
        return ""
    half = row[f"{name}{CI}"]
    return f"{float(row[name]):.1f}" + (f" ± {float(half):.1f}" if half else "")
