"""A table as an HTML page that needs no other file: sorted by a click on a column's name.

An interval stands beside its number, and a published value says whether it may be compared.
"""

import html
from pathlib import Path
from typing import Any

import pandas as pd

from vie.reporting.tables import write_csv
from vie.runtime.files import atomic_write

CI, PUBLISHED, COMPARABLE = "_ci95", "_published", "comparable"
MOST_DECIMALS = 4
WIDEST = 36  # letters of a column of text
MARKS = {
    True: '<abbr title="may be compared">✓</abbr>',
    False: '<abbr title="may not be compared">≠</abbr>',
}
EMPTY = "There are no rows."
INTERVALS = "± is the half-width of a 95 % interval."
COMPARED = (
    "A published value with ✓ may be compared with ours; one with ≠ may not, because the dataset "
    "or the scale is another."
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
STYLE = """
body{font:14px/1.4 sans-serif;margin:1em}h1{font-size:1.3em}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;text-align:left;border-bottom:1px solid #ddd}
tbody th{font-weight:600;white-space:nowrap}.number{text-align:right}td.number{white-space:nowrap}
thead th{position:sticky;top:0;background:#f2f2f2;padding:0}
button{font:inherit;font-weight:600;width:100%;padding:6px 10px;border:0;background:none;
text-align:inherit;cursor:pointer}button:hover{background:#ddd}
[aria-sort=ascending] button::after{content:" ▲"}[aria-sort=descending] button::after{content:" ▼"}
tbody tr:hover{background:#f7f7f7}abbr{text-decoration:none;cursor:help}p{max-width:60em}
"""
# Cells without a value come last in both orders.
SCRIPT = """
const table = document.querySelector("table"), body = table.tBodies[0];
const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
const compare = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", {numeric: true}) : a - b;
for (const button of table.querySelectorAll("thead button")) button.onclick = () => {
  const head = button.parentElement, column = head.cellIndex;
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...[...body.rows].sort((one, other) => {
    const a = value(one, column), b = value(other, column);
    if (!a || !b) return !a - !b;
    return up ? compare(a, b) : compare(b, a);
  }));
};
"""


def write_outputs(table: pd.DataFrame, output: Any, title: str) -> list[Path]:
    """Write a table as the CSV and the page of a rule; returns the paths of its plot."""
    write_csv(table, Path(output.table))
    write_page(table, Path(output.page), title)
    return [Path(output.svg), Path(output.png)]


def write_page(table: pd.DataFrame, path: Path, title: str) -> None:
    """Write a table as a page.

    Args:
        table: `<name>_ci95` is shown beside `<name>`, and `comparable` in `<name>_published`.
        path: to write.
        title: heading of the page.
    """
    columns = _columns(table)
    folded = any(name.endswith(PUBLISHED) for name in columns)
    notes = [] if len(table) else [EMPTY]
    notes += [INTERVALS] if any(f"{name}{CI}" in table for name in columns) else []
    notes += [COMPARED] if folded and COMPARABLE in table else []
    numbers = {name for name in columns if _is_number(table[name])}
    heads = [
        f'<th scope="col" aria-sort="none" {_look(table[name], name in numbers)}>'
        f'<button type="button">{html.escape(str(name).replace("_", " "))}</button></th>'
        for name in columns
    ]
    cells = [_cells(table, name, name in numbers) for name in columns]
    rows = ["<tr>" + "".join(row) + "</tr>" for row in zip(*cells, strict=True)]
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>",
        *rows,
        "</tbody></table>",
        *(f"<p>{note}</p>" for note in notes),
        f"<script>{SCRIPT}</script></body></html>\n",
    ]
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


def _columns(table: pd.DataFrame) -> list[Any]:
    """Columns that are shown, each published value after ours."""
    names = [name for name in table if not str(name).endswith((CI, PUBLISHED))]
    theirs = [name for name in table if str(name).endswith(PUBLISHED)]
    if theirs:
        names = [name for name in names if name != COMPARABLE]
    for name in theirs:
        ours = name.removesuffix(PUBLISHED)
        names.insert(names.index(ours) + 1 if ours in names else len(names), name)
    return names


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _look(column: pd.Series, number: bool) -> str:
    """Attributes of a column's head; text is not squeezed into many short lines."""
    if number:
        return 'class="number"'
    longest = max(map(len, map(_text, column)), default=0)
    return f'style="min-width:{min(longest, WIDEST)}ch"'


def _cells(table: pd.DataFrame, name: Any, number: bool) -> list[str]:
    """Cells of a column; the first column names the rows."""
    values = table[name].tolist()
    tag = 'th scope="row"' if name == table.columns[0] else "td"
    end = tag.split()[0]
    if not number:
        return [f"<{tag}>{html.escape(_text(value))}</{end}>" for value in values]
    halves = table.get(f"{name}{CI}", pd.Series([None] * len(table))).tolist()
    compared = str(name).endswith(PUBLISHED) and COMPARABLE in table
    marks = table[COMPARABLE].tolist() if compared else []
    decimals, of_halves = _decimals(values), _decimals(halves)
    found = []
    for row, (value, half) in enumerate(zip(values, halves, strict=True)):
        if pd.isna(value):
            found.append(f"<{tag}></{end}>")
            continue
        text = f"{value:.{decimals}f}" + ("" if pd.isna(half) else f" ± {half:.{of_halves}f}")
        text += f" {MARKS[bool(marks[row])]}" if marks else ""
        found.append(f'<{tag} class="number" data-value="{value}">{text}</{end}>')
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None or value != value else str(value)


def _decimals(values: list[Any]) -> int:
    """As many as the number that needs the most, so that points stand below each other."""
    texts = [f"{value:.{MOST_DECIMALS}f}".rstrip("0") for value in values if not pd.isna(value)]
    return max((len(text.partition(".")[2]) for text in texts), default=0)
