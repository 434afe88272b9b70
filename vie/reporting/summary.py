"""Content of a dataset: counts per class, durations and rejections, as a tidy CSV and a plot."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from vie.config.layouts import the
from vie.frames.extract import kinds_of_reasons, read_rejected
from vie.frames.index import Index, load_index
from vie.frames.manifest import read_classes
from vie.reporting.drawing import empty_figure, named, save
from vie.reporting.style import BLUE, GREEN, ORANGE, styled
from vie.runtime.csv_files import write_rows
from vie.runtime.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer

LABELLED_CLASSES = 40  # at most so many classes have readable names in one plot
COLOURS = {"train": BLUE, "val": ORANGE, "all": GREEN}
LINES = {"train": "-", "val": "--", "all": ":"}  # both are seen if splits agree
QUANTILES = (0, 5, 25, 50, 75, 95, 100)


def write_summary(
    indexes: Mapping[str, Path],
    rejected: Mapping[str, Path],
    classes: Path,
    table: Path,
    plots: Sequence[Path],
    expected: Mapping[str, int],
    title: str,
) -> None:
    """Summarise the splits of a dataset.

    The CSV has the columns split, quantity, name and value. The quantities are

        videos      per label and "all"; of a dataset of images this is called images
        seconds     quantiles p0 to p100 and "total"; of images shorter_side in pixels, no total
        rejected    per category of the reason and "all"
        expected    "videos"; only if a number is expected
        difference  "videos": usable less expected videos; only if a number is expected

    Args:
        indexes, rejected: `index.parquet` and `rejected.csv` of each split.
        classes: `classes.csv`.
        table, plots: to write.
        expected: {split: usable videos that the dataset should have}, where known.
        title: what the dataset is called.
    """
    labels = read_classes(classes)
    loaded = {split: load_index(path) for split, path in indexes.items()}
    for index in loaded.values():
        index.check_classes(labels, classes)
    reasons = {split: kinds_of_reasons(read_rejected(path)) for split, path in rejected.items()}
    rows: list[tuple[str, str, str, object]] = []
    for split, index in loaded.items():
        rows += _rows(split, index, labels, reasons[split])
        if split in expected:
            rows.append((split, "expected", _what(index), expected[split]))
            rows.append((split, "difference", _what(index), len(index) - expected[split]))
    with atomic_write(table) as temporary:
        write_rows(temporary, ("split", "quantity", "name", "value"), rows)
    _plot(loaded, reasons, labels, plots, expected, title)


def _rows(
    split: str, index: Index, labels: list[str], reasons: Counter[str]
) -> list[tuple[str, str, str, object]]:
    counts, what, size = _counts(index, labels), _what(index), _size(index)
    name, digits = ("shorter_side", 0) if index.of_images else ("seconds", 2)
    total = [] if index.of_images else [(split, name, "total", f"{size.sum():.2f}")]
    return [
        (split, what, "all", len(index)),
        *((split, what, label, n) for label, n in zip(labels, counts, strict=True)),
        *total,
        *((split, name, f"p{q}", f"{np.percentile(size, q):.{digits}f}") for q in QUANTILES),
        (split, "rejected", "all", reasons.total()),
        *((split, "rejected", name, n) for name, n in sorted(reasons.items())),
    ]


def _what(index: Index) -> str:
    return "images" if index.of_images else "videos"


def _size(index: Index) -> np.ndarray:
    """(N,) seconds of each video, or pixels of the shorter side of each image."""
    if index.of_images:
        return np.asarray(np.minimum(index.widths, index.heights))
    return np.asarray(index.n_frames / index.fps)


def _counts(index: Index, labels: list[str]) -> np.ndarray:
    """(C,) videos of each class."""
    counts: np.ndarray = np.bincount(index.labels[index.labels >= 0], minlength=len(labels))
    return counts


@styled
def _plot(
    indexes: Mapping[str, Index],
    reasons: Mapping[str, Counter[str]],
    labels: list[str],
    plots: Sequence[Path],
    expected: Mapping[str, int],
    title: str,
) -> None:
    counts, texts = {}, []
    for split, index in indexes.items():
        n = counts[split] = _counts(index, labels) if labels else np.array([len(index)])
        of = f" (the paper: {expected[split]:,})" if split in expected else ""
        least, most = f"{n.min():,}", f"{n.max():,}"
        each = f", {least if least == most else f'{least} to {most}'} a class" if labels else ""
        texts.append(f"{split}: {len(index):,} {_what(index)}{of}{each}")
    labels = labels or ["no labels"]
    height = max(3.5, 0.2 * len(labels) + 1.3) if len(labels) <= LABELLED_CLASSES else 3.9
    figure = empty_figure(12, height)
    axes = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    what = _what(next(iter(indexes.values())))
    _plot_classes(axes[0], counts, labels, what)
    _plot_sizes(axes[1], indexes, what)
    _plot_reasons(axes[2], reasons, what)
    handles, _ = axes[0].get_legend_handles_labels()
    above: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 1 - 0.25 / height)}
    figure.legend(handles, texts, ncols=len(indexes), **above)
    words = f"Which {what} can be used? Content of {the(title)}"
    place = {"x": 0.5, "y": 1 - 0.08 / height, "ha": "center", "va": "top"}
    figure.text(s=words, fontsize=12, **place)  # type: ignore[arg-type]
    # The constrained layout would differ in the last digits from run to run.
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / height))  # inches of title and legend
    titles = [axis.get_title() for axis in axes]
    save(figure, plots, words, ". ".join([*texts, *titles]))


def _plot_classes(
    axis: "Axes", counts: Mapping[str, np.ndarray], labels: list[str], what: str
) -> None:
    axis.set_title(f"usable {what} per class")
    if len(labels) <= LABELLED_CLASSES:
        _draw_bars(axis, labels, counts, what)
        return
    for split, n in counts.items():
        colour, line = COLOURS.get(split), LINES.get(split)
        axis.step(range(len(labels)), -np.sort(-n), label=split, color=colour, linestyle=line)
    axis.locator_params(integer=True)
    axis.set_xlabel(f"the {len(labels)} classes, largest first")
    axis.set_ylabel(what)
    axis.set_ylim(bottom=0)


def _plot_sizes(axis: "Axes", indexes: Mapping[str, Index], what: str) -> None:
    images = what == "images"
    axis.set_title("size of usable images" if images else "duration of usable videos")
    longest = max(float(_size(index).max()) for index in indexes.values())
    bins = np.linspace(0, longest * 1.001, 31).tolist()
    for split, index in indexes.items():
        size = _size(index)
        share = np.full(len(size), 100 / len(size))
        colour, line = COLOURS.get(split), LINES.get(split)
        axis.hist(size, bins, weights=share, histtype="step", color=colour, linestyle=line)
    axis.set_xlabel("pixels of the shorter side" if images else "seconds")
    axis.set_ylabel(f"{what} of the split (%)")


def _plot_reasons(axis: "Axes", reasons: Mapping[str, Counter[str]], what: str) -> None:
    axis.set_title(f"rejected {what} by reason")
    names = sorted(set().union(*reasons.values()))
    if not names:
        axis.text(0.5, 0.5, "none", ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    numbers = {split: [n[name] for name in names] for split, n in reasons.items()}
    for bars in _draw_bars(axis, names, numbers, what):
        axis.bar_label(bars, padding=2)
    axis.margins(x=0.12)


def _draw_bars(
    axis: "Axes", names: list[str], counts: Mapping[str, ArrayLike], what: str
) -> list["BarContainer"]:
    """Bars to the right, for every name one of each split."""
    height, drawn = 0.8 / len(counts), []
    for i, (split, n) in enumerate(counts.items()):
        at = np.arange(len(names)) + (i - (len(counts) - 1) / 2) * height
        drawn.append(axis.barh(at, n, height, color=COLOURS.get(split), label=split))
    axis.set_yticks(range(len(names)), named(names, 40))
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.locator_params("x", integer=True)
    axis.set_xlabel(what)
    return drawn
