"""A map of features: videos as points of a plane, those near each other that are alike.

t-SNE keeps near what is near. Distances between groups, and how wide a group is, mean nothing.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vie.config.layouts import the
from vie.engine.feature_table import FeatureTable
from vie.metrics.retrieval import unit
from vie.reporting.drawing import empty_figure, save
from vie.reporting.gallery import drawn, fitting, main_layer
from vie.reporting.style import PALETTE, styled
from vie.runtime.errors import VieError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 3000  # points
LEAST = 5
SHAPES = ("o", "^", "s", "+")  # with each a new set of colours
NAMED = len(PALETTE) * len(SHAPES)  # at most so many names have a legend
LONGEST = 32  # letters of a name in the legend
SIDE = 4.6  # inches of a panel


class FeatureMap(NamedTuple):
    """Points, and what they are coloured by."""

    title: str
    caption: str
    points: np.ndarray  # (N, 2) float
    panels: dict[str, np.ndarray]  # {what it shows: names (N,)}; none: all points are alike


def make_map(
    table: FeatureTable, *, model: str, dataset: str, seed: int, words: Sequence[str] = ()
) -> FeatureMap:
    """Draw videos and lay them out by t-SNE, from their two principal components on.

    Args:
        table: features of a dataset.
        model, dataset: what they are called.
        seed: of the network, of the draw and of t-SNE.
        words: what each word of a label says, where all labels have so many words.

    Raises:
        VieError: there are too few videos.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    total, layer = len(table.ids), main_layer(table)
    if total < LEAST:
        raise VieError(f"a map of {total} videos says nothing: it needs {LEAST} at least")
    rows = drawn(np.arange(total), MOST, seed, "map")
    # Between vectors of unit length the squared distance is 2 - 2 cosine.
    vectors = unit(table.vectors[layer][rows])
    perplexity = min(30, (len(rows) - 1) / 3)
    tsne = TSNE(init="pca", perplexity=perplexity, random_state=seed)
    with threadpool_limits(1):  # several that share cores with other jobs wait for each other
        layout = tsne.fit_transform(vectors)
    labels = [table.labels[row] for row in rows]
    of = f" of {total}, drawn with seed {seed}" if len(rows) < total else ""
    caption = (
        f"{len(rows)} videos{of}, {layer}s of one network laid out by t-SNE (perplexity "
        f"{perplexity:.0f}, seed {seed}). What is near is alike; distances between groups mean "
        "nothing."
    )
    panels = _panels(labels, [table.ids[row] for row in rows], words)
    title = f"Which videos are alike for {model}? Map of {the(dataset)}"
    return FeatureMap(title, caption, layout, panels)


def _panels(labels: list[str], ids: list[str], words: Sequence[str]) -> dict[str, np.ndarray]:
    """What the points are coloured by: classes and their words, or folders."""
    if any(labels):
        parts = [label.split(" ") for label in labels]
        panels = {"class": np.array(labels)}
        if words and all(len(part) == len(words) for part in parts):
            columns = zip(*parts, strict=True)
            panels |= {word: np.array(names) for word, names in zip(words, columns, strict=True)}
        return panels
    folders = [one.split("/")[:-1] for one in ids]
    for depth in range(max(map(len, folders))):
        names = np.array(["/".join(folder[: depth + 1]) or "(no folder)" for folder in folders])
        if len(np.unique(names)) > 1:
            return {"folder": names}
    return {}


@styled
def plot_map(found: FeatureMap, paths: Sequence[Path]) -> None:
    """Draw a map, a panel for each way of colouring it."""
    panels = found.panels or {"": np.full(len(found.points), "")}
    caption = textwrap.wrap(found.caption, 80 * len(panels))
    named = [names for names in map(np.unique, panels.values()) if 1 < len(names) <= NAMED]
    lines = max((-(-len(names) // _columns(names)) for names in named), default=0)
    # Inches: a title, square panels, their legends, a caption.
    width, below = SIDE * len(panels), 0.15 * (lines + len(caption)) + 0.3
    height = 0.6 + SIDE + below
    figure = empty_figure(width, height)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    sides = {"left": 0.1 / width, "right": 1 - 0.1 / width, "wspace": 0.04}
    figure.subplots_adjust(bottom=below / height, top=1 - 0.6 / height, **sides)
    for axis, (kind, names) in zip(grid, panels.items(), strict=True):
        _draw(axis, found.points, kind, names)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(True)
        axis.set_aspect("equal", adjustable="datalim")
    top = 1 - 0.25 / height
    figure.text(0.1 / width, top, found.title, fontsize=11, va="center")
    figure.text(0.1 / width, 0.08 / height, "\n".join(caption), fontsize=7, linespacing=1.3)
    seen = [axis.get_title() for axis in grid]
    save(figure, paths, found.title, ". ".join([*filter(None, seen), found.caption]))


def _columns(names: np.ndarray) -> int:
    """Columns of a legend."""
    longest = max(map(len, names.tolist()))
    return 2 if longest > 16 else 3 if longest > 9 else 5


def _draw(axis: "Axes", points: np.ndarray, kind: str, names: np.ndarray) -> None:
    """Points in the colours and shapes of their names; with a legend if there are few."""
    every, numbers = np.unique(names, return_inverse=True)
    (x, y), size = points.T, 5 + 2000 / (len(points) + 50)
    if len(every) > NAMED:
        axis.scatter(x, y, size, numbers, cmap="viridis", lw=0, alpha=0.8)
        axis.set_title(f"by {kind}: {len(every)}, too many to name")
        return
    handles = []
    for i in range(len(every)):
        colour, shape = PALETTE[i % len(PALETTE)], SHAPES[i // len(PALETTE)]
        here, line = numbers == i, 0.8 if shape == "+" else 0
        drawn_points = axis.scatter(
            x[here], y[here], size, colour, marker=shape, lw=line, alpha=0.8
        )
        handles.append(drawn_points)
    if len(every) > 1:
        axis.set_title(f"by {kind}")
        # A blank in front: matplotlib leaves out names that begin with _.
        axis.legend(
            handles,
            [f" {fitting(name, LONGEST)}" for name in every.tolist()],
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            ncols=_columns(every),
            fontsize=6.5,
            handletextpad=0,
            markerscale=1.5,
        )
