"""Draw docs/images/method.svg and method.png, the method in one figure:

uv run python docs/make_method.py

Frames are of the embedded dataset, numbers are those of experiments/kinetics400.yaml.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse, FancyBboxPatch, Rectangle

from vie import load_config
from vie.clips.sampling import sampling
from vie.datasets.synthetic.render import render
from vie.reporting.drawing import empty_figure, save
from vie.reporting.style import (
    BLUE,
    DARK,
    FAINT,
    GREEN,
    GREY,
    NETWORK_COLOURS,
    ORANGE,
    VERMILLION,
    styled,
)

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 9.0, 7.1  # inches; a page shows 100 pixels of each
TEXT, SMALL = 9.5, 8.5  # points
NETWORKS = {
    "single": "Single",
    "trn": "TRN",
    "3dresnet": "3DResNet",
    "slow": "Slow",
    "slowfast": "SlowFast",
}
TITLE = "VIE in one figure: learning from videos without labels, and how the networks are judged"
DESCRIPTION = (
    "A clip of a video is sampled, cropped and coloured. An encoder turns it into an embedding, a "
    "point on a sphere. Instance recognition pulls the embedding to the entry of its own video in "
    "the memory bank and away from all others. Then local aggregation pulls it to the close "
    "neighbours, which are of the same cluster, out of the nearest entries. Networks are judged by "
    "linear classifiers on the frozen layers Conv3, Conv4 and Conv5, and by finetuning all layers."
)


def write(axis: Axes, x: float, y: float, words: str, **how: Any) -> None:
    """Words beside a place, at the height of their middle."""
    axis.text(x, y, words, **{"fontsize": TEXT, "va": "center", "color": DARK} | how)


def box(axis: Axes, x: float, y: float, width: float, height: float, **how: Any) -> None:
    """A box with round corners, from its lower left."""
    style = {"boxstyle": "round,pad=0,rounding_size=0.08", "lw": 0, "facecolor": FAINT}
    axis.add_patch(FancyBboxPatch((x, y), width, height, **style | how))


def arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], **how: Any) -> None:
    """An arrow."""
    style = {"arrowstyle": "-|>", "color": DARK, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=style | how)


def show(axis: Axes, frames: list[np.ndarray], x: float, y: float, side: float) -> None:
    """Square frames, the last one in front with its lower left at a place."""
    for i, frame in enumerate(frames):
        behind = len(frames) - 1 - i
        left, low = x - 0.2 * behind, y + 0.11 * behind
        axis.imshow(frame, extent=(left, left + side, low, low + side), zorder=2 + i)
        edge: dict[str, Any] = {"fill": False, "lw": 0.8, "color": "white", "zorder": 2 + i}
        axis.add_patch(Rectangle((left, low), side, side, **edge))


def draw_clip(axis: Axes, y: float) -> None:
    """A video, the part that is cut out, and the clip."""
    video = render("umbrella rising", 0, 0)
    frames = [video[i] for i in np.linspace(4, len(video) - 8, 4).astype(int)]
    side, cut = 0.8, slice(8, 72)
    show(axis, [frame[:, 4:84] for frame in frames], 0.9, y, side)
    inner = 0.066 * np.array([1, 10])
    frame: dict[str, Any] = {"fill": False, "color": ORANGE, "lw": 1.8, "zorder": 9}
    axis.add_patch(Rectangle((0.9 + inner[0], y + inner[0]), inner[1], inner[1], **frame))
    write(axis, 0.3, y - 0.27, "a video,\nno label")
    colour = np.array([1.15, 0.85, 0.7])  # one draw for all frames
    seen = [(one[cut, 12:76][:, ::-1] * colour).clip(0, 255).astype(np.uint8) for one in frames]
    show(axis, seen, 2.85, y, side)
    write(axis, 2.25, y - 0.27, "a clip: one random crop,\nflip and colour for all frames")
    arrow(axis, (1.83, y + 0.55), (2.18, y + 0.55))


def draw_encoders(axis: Axes, config: dict[str, Any], x: float, y: float) -> None:
    """The networks, and which frames of a video each one sees."""
    box(axis, x, y - 0.42, 2.75, 1.75)
    write(axis, x + 0.12, y + 1.14, "encoder, a ResNet-18", fontweight="bold")
    most = 64
    for i, (network, name) in enumerate(NETWORKS.items()):
        at, colour = y + 0.86 - 0.235 * i, NETWORK_COLOURS[network]
        clip = sampling(config["recipes"][f"vie_{network}"]["clip"])
        seen = clip.test(most, 1)[0] - clip.test(most, 1)[0].min()
        axis.plot(x + 1.05 + np.array([0, most]) * 0.025, [at, at], color=GREY, lw=0.6)
        axis.plot(x + 1.05 + seen * 0.025, np.full(len(seen), at), "|", ms=8, mew=1.6, color=colour)
        write(axis, x + 0.12, at, name, fontsize=SMALL)
    write(axis, x + 0.12, y - 0.3, "marks: the frames of a clip that each one sees", fontsize=7.6)


def sphere(axis: Axes, x: float, y: float, radius: float) -> None:
    """A sphere."""
    axis.add_patch(Circle((x, y), radius, facecolor="#fbfaf6", edgecolor=GREY, lw=1))
    axis.add_patch(
        Ellipse((x, y), 2 * radius, 0.6 * radius, fill=False, edgecolor="#cccccc", lw=0.8)
    )


def entries() -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) entries of the bank in a disc of radius 1, and (N,) their clusters."""
    rng = np.random.default_rng(4)
    centres = np.array([[-0.1, 0.42], [0.6, 0.3], [-0.62, -0.05], [0.42, -0.42], [-0.28, -0.6]])
    points = centres[:, None] + 0.11 * rng.normal(size=(len(centres), 9, 2))
    return points.reshape(-1, 2), np.repeat(np.arange(len(centres)), 9)


def draw_objectives(axis: Axes, config: dict[str, Any], y: float) -> None:
    """Instance recognition and local aggregation, on the same entries of the memory bank."""
    objective, radius = config["recipes"]["vie_single"]["objective"], 0.95
    points, clusters = entries()
    f, own = np.array([0.12, 0.18]), int(np.flatnonzero(clusters == 0)[2])
    for x, aggregation in ((1.35, False), (5.55, True)):
        sphere(axis, x, y, radius)
        near = np.argsort(((points - f) ** 2).sum(1))[:24]
        background = np.isin(np.arange(len(points)), near)
        close = clusters == clusters[own]
        colours = np.full(len(points), "#b5b5b5", dtype=object)
        if aggregation:
            colours[background], colours[close] = ORANGE, GREEN
        at = points * radius + (x, y)
        shown = ~((np.arange(len(points)) == own) & (not aggregation))
        axis.scatter(*at[shown].T, 14, colours[shown], lw=0, zorder=2)
        here = f * radius + (x, y)
        if aggregation:
            middle = at[close].mean(0)
            arrow(
                axis, tuple(here), tuple(here + 0.8 * (middle - here)), color=GREEN, lw=2, zorder=3
            )
        else:
            axis.scatter(*at[own], 50, BLUE, marker="s", zorder=4, lw=0)
            arrow(axis, tuple(here), tuple(here + 0.85 * (at[own] - here)), color=BLUE, lw=2)
        axis.scatter(*here, 46, VERMILLION, marker="D", zorder=5, edgecolor="white", lw=0.8)
    ir, la = objective["instance_recognition"], objective["local_aggregation"]
    left, right = 2.45, 6.65
    write(axis, left, y + 0.78, "1  instance recognition", fontweight="bold")
    keys(
        axis,
        left,
        y + 0.42,
        [
            ("D", VERMILLION, "embedding of the clip"),
            ("s", BLUE, "its own video's entry: nearer"),
            ("o", "#b5b5b5", f"other videos: farther\n({ir['negatives']:,} drawn each time)"),
        ],
    )
    write(axis, right, y + 0.78, "2  then local aggregation", fontweight="bold")
    keys(
        axis,
        right,
        y + 0.42,
        [
            ("o", GREEN, f"close neighbours, of the same\ncluster (of {la['clusters']:,}): nearer"),
            (
                "o",
                ORANGE,
                f"background neighbours, the rest\nof the {la['neighbours']} nearest: farther",
            ),
            ("o", "#b5b5b5", "other videos: not looked at"),
        ],
    )


def keys(axis: Axes, x: float, y: float, marks: list[tuple[str, str, str]]) -> None:
    """Marks and what they are, one below the other."""
    for shape, colour, words in marks:
        axis.scatter(x + 0.07, y, 36, colour, marker=shape, lw=0)
        write(axis, x + 0.22, y, words.split("\n")[0], fontsize=SMALL)
        for more in words.split("\n")[1:]:
            y -= 0.19
            write(axis, x + 0.22, y, more, fontsize=SMALL)
        y -= 0.27


def draw_judged(axis: Axes, y: float) -> None:
    """Linear probes of a frozen network, and finetuning."""
    box(axis, 0.15, y - 0.3, 5.35, 1.62, facecolor="#eaf2f8")
    write(axis, 0.3, y + 1.1, "linear probe: the network is frozen", fontweight="bold")
    write(axis, 0.3, y + 0.72, "clip")
    for i, layer in enumerate(("Conv3", "Conv4", "Conv5")):
        x = 1.15 + 1.3 * i
        box(axis, x, y + 0.55, 0.8, 0.36, facecolor=GREY)
        write(axis, x + 0.4, y + 0.72, layer, color="white", ha="center")
        arrow(axis, (x - 0.45, y + 0.73), (x - 0.04, y + 0.73))
        arrow(axis, (x + 0.4, y + 0.53), (x + 0.4, y + 0.24))
        box(axis, x - 0.15, y - 0.12, 1.1, 0.34, facecolor="white", edgecolor=BLUE, lw=1.2)
        write(axis, x + 0.4, y + 0.05, "classifier", ha="center", fontsize=SMALL, color=BLUE)
    arrow(axis, (4.72, y + 0.05), (4.92, y + 0.05))
    write(axis, 4.97, y + 0.05, "action", fontsize=SMALL)
    box(axis, 5.65, y - 0.3, 3.2, 1.62, facecolor="#fdf3e0")
    write(axis, 5.8, y + 1.1, "finetuning: all layers train", fontweight="bold")
    for i, target in enumerate(("UCF101", "HMDB51")):
        at = y + 0.66 - 0.5 * i
        box(axis, 5.8, at - 0.17, 1.0, 0.36, facecolor=VERMILLION)
        write(axis, 6.3, at, "encoder", color="white", ha="center", fontsize=SMALL)
        arrow(axis, (6.83, at), (7.13, at))
        write(axis, 7.2, at, f"actions of {target}", fontsize=SMALL)


@styled
def draw(folder: Path) -> None:
    """Draw the figure into a folder."""
    config = load_config(ROOT / "config.yaml", ROOT / "experiments" / "kinetics400.yaml")
    recipe = config["recipes"]["vie_single"]
    figure = empty_figure(WIDTH, HEIGHT)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    head: dict[str, Any] = {"fontsize": 11, "fontweight": "bold"}
    write(axis, 0.15, HEIGHT - 0.2, "Pretraining, without labels", **head)
    y = 5.35
    draw_clip(axis, y)
    arrow(axis, (3.75, y + 0.55), (4.1, y + 0.55))
    draw_encoders(axis, config, 4.2, y)
    arrow(axis, (7.0, y + 0.65), (7.36, y + 0.65))
    sphere(axis, 8.05, y + 0.65, 0.6)
    axis.scatter(8.15, y + 0.82, 46, VERMILLION, marker="D", zorder=5, edgecolor="white", lw=0.8)
    dimensions = recipe["encoder"]["embedding"]
    write(
        axis,
        8.05,
        y - 0.24,
        f"embedding: a point\nin {dimensions} dimensions,\nof length 1",
        ha="center",
    )
    draw_objectives(axis, config, 3.65)
    momentum = recipe["objective"]["bank_momentum"]
    words = "memory bank: one entry per training video, a running mean of its embeddings, "
    words += f"new = {momentum:g} old + {1 - momentum:g} embedding, made length 1"
    write(axis, 0.15, 2.42, words, fontsize=SMALL)
    write(axis, 0.15, 2.0, "How networks are judged, with labels", **head)
    draw_judged(axis, 0.45)
    axis.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect="auto")
    save(figure, [folder / "method.svg", folder / "method.png"], TITLE, DESCRIPTION)


if __name__ == "__main__":
    draw(ROOT / "docs" / "images")
