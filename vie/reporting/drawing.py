"""What all plots share: colours, marks, and the frame of title, legend and notes.

matplotlib is imported when something is drawn. Every plot says above what it compares, and below
which videos and seeds it is of, with a mark if there is only one seed: an interval then says
nothing about other seeds.
"""

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vie.config.layouts import the
from vie.reporting.style import DARK, FAINT, GREY, PUBLISHED_COLOUR, STYLES
from vie.runtime.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK = {"facecolor": "#fff1c9", "edgecolor": "#c9a227", "boxstyle": "round,pad=0.35", "lw": 0.8}
HALO = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # hides lines behind words
ONE_SEED = "one seed: intervals cover videos only"
LONGEST, CUT, UNSHOWN = 72, "\N{HORIZONTAL ELLIPSIS}", "\N{REPLACEMENT CHARACTER}"
FIRM = "\N{NO-BREAK SPACE}"
CONTROL = ("Cc", "Cs", "Cn", "Zl", "Zp")  # kinds of characters in Unicode
LINE, SMALL, LETTER = 0.18, 8, 0.056  # inches of a small line, its points, inches of a letter


def empty_figure(width: float, height: float, **how: Any) -> "Figure":
    """A figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), **how)


def named(names: Iterable[object], longest: int = LONGEST) -> list[str]:
    """Names of classes and models as they are shown: on one line, at most so many letters.

    A blank is put before _, as matplotlib leaves such names out of legends.
    """
    found = []
    for name in names:
        line = re.sub(r"[ \t\r\n]+", " ", str(name))
        # An SVG with control characters could not be read.
        line = "".join(UNSHOWN if unicodedata.category(a) in CONTROL else a for a in line)
        short = line if len(line) <= longest else f"{line[: longest - 1]}{CUT}"
        found.append(f" {short}" if short.startswith("_") else short)
    return found


def new_figure(width: float, height: float, **grid: Any) -> tuple["Figure", np.ndarray]:
    """A figure of so many inches, without its frame, and its (rows, columns) axes.

    `grid` is for matplotlib's `subplots`.
    """
    figure = empty_figure(width, height, layout="constrained")
    return figure, figure.subplots(**grid, squeeze=False)


def finish(
    figure: "Figure",
    title: str,
    notes: str,
    seeds: str,
    paths: Sequence[Path],
    *,
    mark: str = ONE_SEED,
) -> None:
    """Add the frame around what is drawn, with one legend for all its axes, and write the plot.

    Args:
        figure: of `new_figure`; it grows by the height of the frame.
        title: what is compared, in words.
        notes: what intervals are over, and of which videos; `seeds` are added.
        seeds: with blanks between; "": the plot depends on none.
        paths: to write; their suffixes are the formats.
        mark: what is marked if there is one seed.
    """
    width, height = figure.get_size_inches()
    every = seeds.split()
    if every:
        words = f"seed{'s' if len(every) > 1 else ''} {', '.join(every)}"
        notes += f"; {words.replace(' ', FIRM)}"
    boxed = mark if len(every) == 1 else ""
    beside = width > LETTER * (len(mark) + 45)  # wide enough for both in one line
    room = width - 0.3 - (LETTER * len(mark) + 0.4 if boxed and beside else 0)
    title, notes = named([title, notes], 1000)
    lines = textwrap.wrap(notes, int(room / LETTER), break_on_hyphens=False)
    heads = textwrap.wrap(title, int(width / 0.093), break_on_hyphens=False)
    entries = _entries(figure)
    labels = named(entries)
    columns = _columns(labels, width)
    rows = -(-len(labels) // columns)
    below = LINE * (len(lines) + (1.5 if boxed and not beside else 0)) + 0.14
    bottom, top = below + (0.17 * rows + 0.14 if rows else 0), 0.23 * len(heads) + 0.16
    whole = height + bottom + top
    figure.set_size_inches(width, whole)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, bottom / whole, 1, height / whole))  # type: ignore[call-arg]
    text: dict[str, Any] = {"va": "top"}
    figure.text(0.5, 1 - 0.1 / whole, "\n".join(heads), ha="center", fontsize=12, **text)
    text |= {"fontsize": SMALL, "linespacing": LINE * 72 / SMALL / 1.2, "color": DARK}
    figure.text(
        0.12 / width,
        (below - 0.06) / whole,
        "\n".join(lines).replace(FIRM, " "),
        **text,
    )
    if boxed:
        at = 1 - 0.16 / width, (0.17 if not beside else below - 0.14) / whole
        figure.text(*at, boxed, ha="right", va="center", fontsize=SMALL, bbox=MARK)
    if rows:
        place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, below / whole)}
        figure.legend([*entries.values()], labels, ncols=columns, **place)
    shown = [f"Shown: {', '.join(labels)}"] if rows else []
    save(figure, paths, title, ". ".join([*_seen(figure), *shown, notes]))


def _entries(figure: "Figure") -> dict[str, Any]:
    """{label: artist} of all axes, each label once: data first, then lines to compare them with."""
    from matplotlib.container import Container

    found: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return dict(sorted(found.items(), key=lambda item: not isinstance(item[1], Container)))


def _seen(figure: "Figure") -> list[str]:
    """Titles, names of rows and labels of all axes, each once."""
    from matplotlib.ticker import FixedLocator

    found = []
    for axis in figure.axes:
        found.append(axis.get_title() or axis.get_title("left"))
        for one in (axis.yaxis, axis.xaxis):
            if isinstance(one.get_major_locator(), FixedLocator):
                found.append(", ".join(tick.get_text() for tick in one.get_ticklabels()))
            found.append(one.get_label_text())
    lines = (re.sub(r"\s+", " ", text).strip() for text in found)
    return list(dict.fromkeys(filter(None, lines)))


def _columns(labels: Sequence[str], width: float) -> int:
    """Columns of a legend of so many inches: all in one row if there is room."""
    # Letters of a legend are larger, and a mark and a gap stand beside them.
    sizes = [1.12 * LETTER * len(label) + 0.6 for label in labels]
    if sum(sizes) < width:
        return max(1, len(labels))
    return max(1, min(len(labels), int(width / max(sizes))))


def draw_mark(axis: "Axes") -> None:
    """The mark of a single seed above one of several panels."""
    style: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 7, "bbox": MARK}
    place: dict[str, Any] = {"xytext": (-4, 7), "textcoords": "offset points"}
    axis.annotate(ONE_SEED, (1, 1), xycoords="axes fraction", **place, **style)


def save(figure: "Figure", paths: Sequence[Path], title: str, description: str) -> None:
    """Write a figure to each path, with its alt text. The same plot gives the same bytes.

    Args:
        figure: in the style of all plots.
        paths: their suffixes are the formats.
        title, description: what it shows, for those who do not see it.
    """
    import matplotlib

    title, description = named([title, description], 4000)
    about = {"Title": title, "Description": description, "Date": None}
    for path in paths:
        with matplotlib.rc_context({"svg.hashsalt": path.stem}), atomic_write(path) as temporary:
            figure.savefig(temporary, metadata=about)
            if path.suffix == ".svg":  # where matplotlib writes it, no browser reads it
                text = temporary.read_text(encoding="utf-8")
                read = f"</title>\n <desc>{escape(description)}</desc>"
                text = text.replace("</title>", read, 1).replace("<svg ", '<svg role="img" ', 1)
                temporary.write_text(text, encoding="utf-8")


def videos_of(n: int, kind: str, dataset: str, of: str = "videos") -> str:
    """So many videos of a dataset, or `of` something else, in words."""
    return f"{n:,} {kind} {of} of {the(dataset)}"


def draw_chance(
    axis: "Axes", chance: float, *, upright: bool = False, label: str | None = None
) -> None:
    """The accuracy of guessing (%), as a dashed line; `label` in place of its number."""
    draw = axis.axvline if upright else axis.axhline
    label = label or f"chance ({chance:.1f} %)"
    draw(chance, color=GREY, lw=1, ls="--", zorder=2.5, label=label)


def draw_ceiling(axis: "Axes", ceiling: float | None, *, upright: bool = False) -> None:
    """The most (%) that networks reach that see frames one by one, as a dotted line, if known."""
    if ceiling is not None:
        draw = axis.axvline if upright else axis.axhline
        label = f"limit of frames seen one by one ({ceiling:g} %)"
        draw(ceiling, color=GREY, lw=1.2, ls=":", zorder=2.5, label=label)


def draw_bars(
    axis: "Axes", table: pd.DataFrame, styles: Mapping[str, dict[str, Any]], apart: float
) -> float:
    """A group of bars per row, with values, 95 % intervals and published values.

    Args:
        axis: to draw on.
        table: with the columns `<name>`, `<name>_ci95` and perhaps `<name>_published`, comparable.
        styles: {name: color and label} of the bars of a group.
        apart: distance between them; groups are 1 apart.

    Returns:
        The height of the highest mark.
    """
    tops = []
    for i, (name, style) in enumerate(styles.items()):
        x = places(len(table), i, len(styles), apart)
        values, halves = table[name], table[f"{name}_ci95"]
        line = {"ecolor": DARK, "capsize": 2, "lw": 1}
        bars = axis.bar(x, values, 0.92 * apart, yerr=halves, error_kw=line, **style)
        axis.bar_label(bars, fmt="%.1f", padding=1, fontsize=SMALL, bbox=HALO)
        tops.append(values + halves)
        if f"{name}_published" in table:
            published = table[f"{name}_published"]
            draw_published(axis, x, published, table["comparable"])
            tops.append(published)
    return float(pd.concat(tops).max())


def places(rows: int, i: int, of: int, apart: float) -> np.ndarray:
    """(rows,): where the i-th of the marks of each row stands; rows are 1 apart."""
    return np.arange(rows) + apart * (i - (of - 1) / 2)


def draw_points(
    axis: "Axes",
    table: pd.DataFrame,
    names: Sequence[str],
    apart: float,
    styles: Mapping[str, dict[str, Any]] = STYLES,
) -> None:
    """A line of points per row from the top, with 95 % intervals, and with published values.

    Args:
        axis: to draw on.
        table: as for `draw_bars`, also with the column model.
        names: of the points of a row.
        apart: distance between them; rows are 1 apart.
        styles: {name: color and label}.
    """
    for i, name in enumerate(names):
        y = places(len(table), i, len(names), apart)
        mark, half = "s" if name == "knn10" else "o", table[f"{name}_ci95"]
        axis.errorbar(table[name], y, xerr=half, fmt=mark, ms=4, lw=1, **styles[name])
        if f"{name}_published" in table:
            draw_published(axis, table[f"{name}_published"], y, table["comparable"])
    axis.set_yticks(range(len(table)), named(table["model"]))
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.grid(axis="x")


def draw_published(axis: "Axes", x: ArrayLike, y: ArrayLike, comparable: ArrayLike) -> None:
    """Published values as diamonds, grey where they are not comparable; NaN where there is none."""
    points, fair = np.column_stack([x, y]), np.asarray(comparable, bool)  # (models, 2), (models,)
    known = ~np.isnan(points).any(axis=1)
    taken = axis.get_legend_handles_labels()[1]
    for which, colour, label in (
        (fair, PUBLISHED_COLOUR, "published"),
        (~fair, GREY, "published, not comparable"),
    ):
        if len(here := points[known & which]):
            style: dict[str, Any] = {"marker": "D", "facecolor": "white", "edgecolor": colour}
            axis.scatter(
                here[:, 0],
                here[:, 1],
                28,
                zorder=3,
                label=None if label in taken else label,
                **style,
            )


def draw_groups(axis: "Axes", groups: Sequence[str], *, written: bool = True) -> None:
    """Bands behind rows that follow each other and are of one group, every other one tinted.

    Args:
        axis: with a row at 0, 1, ...
        groups: of each row, in words, which stand at the end of its band.
        written: whether the words are written.
    """
    style: dict[str, Any] = {"fontsize": SMALL, "color": "#555555", "style": "italic"}
    for number, (start, end) in enumerate(spans(groups)):
        if number % 2 == 0:
            axis.axhspan(start - 0.5, end - 0.5, color=FAINT, lw=0, zorder=-1)
        middle = (start + end - 1) / 2
        words = groups[start] if written else ""
        across = axis.get_yaxis_transform()
        axis.text(1.01, middle, words, va="center", transform=across, **style)


def spans(groups: Sequence[str]) -> list[tuple[int, int]]:
    """(first, end) of rows that follow each other and are of one group."""
    starts = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
    return list(zip(starts, [*starts[1:], len(groups)], strict=True))
