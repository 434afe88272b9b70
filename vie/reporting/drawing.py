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

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vie.config.layouts import the
from vie.runtime.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PUBLISHED_COLOUR = "#c23b22"
GREY, FAINT = "#777777", "#f3f0e8"  # of chance, of every other group of rows
MARK = {"facecolor": "#fff1c9", "edgecolor": "#c9a227", "boxstyle": "round,pad=0.35", "lw": 0.8}
ONE_SEED = "one seed: intervals cover videos only"
# Layers get darker with depth.
STYLES: dict[str, dict[str, Any]] = {
    "embedding": {"color": "#c77c1e", "label": "embedding"},
    "conv3": {"color": "#88b0d8", "label": "Conv3"},
    "conv4": {"color": "#3f77b5", "label": "Conv4"},
    "conv5": {"color": "#173f6f", "label": "Conv5"},
    "knn10": {"color": "#c77c1e", "label": "10 nearest neighbours"},
}
LONGEST, CUT, UNSHOWN = 72, "\N{HORIZONTAL ELLIPSIS}", "\N{REPLACEMENT CHARACTER}"
CONTROL = ("Cc", "Cs", "Cn", "Zl", "Zp")  # kinds of characters in Unicode
LINE, SMALL, LETTER = 0.18, 8, 0.056  # inches of a small line, its points, inches of a letter


def empty_figure(width: float, height: float, **how: Any) -> "Figure":
    """A figure of so many inches. Its texts are shown as they are: a $ begins no formula."""
    import matplotlib
    from matplotlib.figure import Figure

    # Ticks and others are made when they are drawn: there is no other place for all of them.
    matplotlib.rcParams["text.parse_math"] = False
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

    Axes have no line above or on their right. `grid` is for matplotlib's `subplots`.
    """
    figure = empty_figure(width, height, layout="constrained")
    axes = figure.subplots(**grid, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
    return figure, axes


def finish(
    figure: "Figure",
    title: str,
    notes: str,
    seeds: str,
    paths: Sequence[Path],
    *,
    legend: "Axes | None" = None,
    mark: str = ONE_SEED,
) -> None:
    """Add the frame around what is drawn, and write the plot.

    Args:
        figure: of `new_figure`; it grows by the height of the frame.
        title: what is compared, in words.
        notes: what intervals are over, and of which videos; `seeds` are added.
        seeds: with blanks between; "": the plot depends on none.
        paths: to write; their suffixes are the formats.
        legend: whose entries are shown in one legend for all.
        mark: what is marked if there is one seed.
    """
    width, height = figure.get_size_inches()
    every = seeds.split()
    if every:
        notes += f"; seed{'s' if len(every) > 1 else ''}\N{NO-BREAK SPACE}{', '.join(every)}"
    boxed = mark if len(every) == 1 else ""
    beside = width > LETTER * (len(mark) + 45)  # wide enough for both in one line
    room = width - 0.3 - (LETTER * len(mark) + 0.4 if boxed and beside else 0)
    title, notes = named([title, notes], 1000)
    lines = textwrap.wrap(notes, int(room / LETTER), break_on_hyphens=False)
    heads = textwrap.wrap(title, int(width / 0.093), break_on_hyphens=False)
    handles, labels = legend.get_legend_handles_labels() if legend else ([], [])
    labels = named(labels)
    columns = _columns(labels, width)
    rows = -(-len(labels) // columns)
    below = LINE * (len(lines) + (1.5 if boxed and not beside else 0)) + 0.14
    bottom, top = below + (0.21 * rows + 0.1 if rows else 0), 0.23 * len(heads) + 0.16
    whole = height + bottom + top
    figure.set_size_inches(width, whole)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, bottom / whole, 1, height / whole))  # type: ignore[call-arg]
    text: dict[str, Any] = {"va": "top"}
    figure.text(0.5, 1 - 0.1 / whole, "\n".join(heads), ha="center", fontsize=12, **text)
    text |= {"fontsize": SMALL, "linespacing": LINE * 72 / SMALL / 1.2, "color": "#333333"}
    figure.text(
        0.12 / width,
        (below - 0.06) / whole,
        "\n".join(lines).replace("\N{NO-BREAK SPACE}", " "),
        **text,
    )
    if boxed:
        place = 1 - 0.16 / width, (0.17 if not beside else below - 0.14) / whole
        figure.text(*place, boxed, ha="right", va="center", fontsize=SMALL, bbox=MARK)
    if rows:
        style: dict[str, Any] = {"frameon": False, "fontsize": SMALL, "ncols": columns}
        style |= {"loc": "lower center", "bbox_to_anchor": (0.5, below / whole)}
        figure.legend(handles, labels, **style)
    save(figure, paths)


def _columns(labels: Sequence[str], width: float) -> int:
    """Columns of a legend of so many inches: all in one row if there is room."""
    sizes = [LETTER * len(label) + 0.5 for label in labels]
    if sum(sizes) < width:
        return max(1, len(labels))
    return max(1, min(len(labels), int(width / max(sizes))))


def draw_mark(axis: "Axes") -> None:
    """The mark of a single seed above one of several panels."""
    style: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 7, "bbox": MARK}
    place: dict[str, Any] = {"xytext": (-4, 7), "textcoords": "offset points"}
    axis.annotate(ONE_SEED, (1, 1), xycoords="axes fraction", **place, **style)


def save(figure: "Figure", paths: Sequence[Path]) -> None:
    """Write a figure to each path. The same plot gives the same bytes."""
    import matplotlib

    for path in paths:
        with matplotlib.rc_context({"svg.hashsalt": path.stem}), atomic_write(path) as temporary:
            figure.savefig(temporary, dpi=150, metadata={"Date": None})


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


def draw_bars(
    axis: "Axes", table: pd.DataFrame, styles: Mapping[str, dict[str, Any]], apart: float
) -> float:
    """A group of bars per row, with values, 95 % intervals and published values if comparable.

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
        line = {"ecolor": "#333333", "capsize": 2, "lw": 1}
        bars = axis.bar(x, values, 0.92 * apart, yerr=halves, error_kw=line, **style)
        axis.bar_label(bars, fmt="%.1f", padding=1, fontsize=SMALL)
        tops.append(values + halves)
        if f"{name}_published" in table:
            published = table[f"{name}_published"].where(table["comparable"])
            draw_published(axis, x, published)
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
            draw_published(axis, table[f"{name}_published"].where(table["comparable"]), y)
    axis.set_yticks(range(len(table)), named(table["model"]), fontsize=SMALL)
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.grid(axis="x", color="#e4e4e4")


def draw_published(axis: "Axes", x: ArrayLike, y: ArrayLike) -> None:
    """Published values as diamonds; NaN where there is none."""
    points = np.column_stack([x, y])  # (models, 2)
    points = points[~np.isnan(points).any(axis=1)]
    if not len(points):
        return
    x, y = points.T
    label = None if "published" in axis.get_legend_handles_labels()[1] else "published"
    axis.scatter(
        x, y, 28, marker="D", facecolor="white", edgecolor=PUBLISHED_COLOUR, zorder=3, label=label
    )


def draw_groups(
    axis: "Axes", groups: Sequence[str], *, upright: bool = False, written: bool = True
) -> None:
    """Bands behind rows that follow each other and are of one group, every other one tinted.

    Args:
        axis: with a row at 0, 1, ...
        groups: of each row, in words, which stand at the end of its band.
        upright: whether rows stand side by side, not below each other.
        written: whether the words are written.
    """
    style: dict[str, Any] = {"fontsize": SMALL, "color": "#555555", "style": "italic"}
    band = axis.axvspan if upright else axis.axhspan
    for number, (start, end) in enumerate(spans(groups)):
        if number % 2 == 0:
            band(start - 0.5, end - 0.5, color=FAINT, lw=0, zorder=-1)
        middle = (start + end - 1) / 2
        words = groups[start] if written else ""
        if upright:
            height = axis.get_xaxis_transform()
            axis.text(middle, 0.99, words, ha="center", va="top", transform=height, **style)
        else:
            across = axis.get_yaxis_transform()
            axis.text(1.01, middle, words, va="center", transform=across, **style)


def spans(groups: Sequence[str]) -> list[tuple[int, int]]:
    """(first, end) of rows that follow each other and are of one group."""
    starts = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
    return list(zip(starts, [*starts[1:], len(groups)], strict=True))
