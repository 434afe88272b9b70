"""The moving figures: twelve, drawn with strokes, each instance with its own proportions.

The strokes of all figures have the same widths, so edges and texture are alike in all classes. Only
the arrangement of the strokes tells classes apart. Every figure has an upper and a lower end, and
stands upright but for a small tilt, so a frame shows which way is up. A figure and its mirror image
are equally likely, so a horizontal flip does not change the class.
"""

import numpy as np

SPRITE = 64  # pixels of the side of a sprite
EXTENT = 1.45  # a sprite shows [-EXTENT, EXTENT]^2 of the figure's plane

Polyline = list[tuple[float, float]]


def arc(x: float, y: float, radius: float, start: float, end: float, pieces: int) -> Polyline:
    """Arc around (x, y) from `start` to `end` turns, clockwise from the right as y grows down."""
    turns = np.linspace(start, end, pieces + 1) * 2 * np.pi
    return [(x + radius * np.cos(a), y + radius * np.sin(a)) for a in turns]


# x to the right, y down, in units of half the figure's height.
FIGURES: dict[str, list[Polyline]] = {
    "anchor": [
        [(0, -0.95), (0, 0.9)],
        [(-0.4, -0.6), (0.4, -0.6)],
        arc(0, 0.2, 0.75, 0.02, 0.48, 8),
    ],
    "arrow": [[(0, -0.95), (0, 0.95)], [(-0.65, -0.25), (0, -0.95), (0.65, -0.25)]],
    "flag": [[(-0.45, 0.95), (-0.45, -0.95), (0.6, -0.7), (0.6, -0.1), (-0.45, 0.1)]],
    "fork": [[(0, -0.95), (0, 0.95)], [(-0.62, -0.95), (-0.62, -0.1), (0.62, -0.1), (0.62, -0.95)]],
    "goblet": [arc(0, -0.85, 0.65, 0, 0.5, 8), [(0, -0.2), (0, 0.9)], [(-0.45, 0.9), (0.45, 0.9)]],
    "horseshoe": [arc(0, -0.1, 0.8, 0.37, 1.13, 12)],
    "hourglass": [[(-0.6, -0.9), (0.6, -0.9), (-0.6, 0.9), (0.6, 0.9), (-0.6, -0.9)]],
    "house": [[(-0.6, 0.9), (-0.6, -0.1), (0, -0.95), (0.6, -0.1), (0.6, 0.9), (-0.6, 0.9)]],
    "key": [
        arc(0, -0.5, 0.45, 0, 1, 10),
        [(0, -0.05), (0, 0.95), (0.45, 0.95)],
        [(0, 0.5), (0.4, 0.5)],
    ],
    "ladder": [
        [(-0.5, -0.95), (-0.5, 0.95)],
        [(0.5, -0.95), (0.5, 0.95)],
        [(-0.5, -0.45), (0.5, -0.45)],
        [(-0.5, 0.05), (0.5, 0.05)],
        [(-0.5, 0.55), (0.5, 0.55)],
    ],
    "tree": [
        [(0, -0.9), (0, 0.95)],
        [(-0.35, -0.45), (0, -0.9), (0.35, -0.45)],
        [(-0.5, 0.05), (0, -0.45), (0.5, 0.05)],
        [(-0.65, 0.55), (0, 0.0), (0.65, 0.55)],
    ],
    "umbrella": [
        [*arc(0, -0.15, 0.75, 0.5, 1, 10), (-0.75, -0.15)],
        [(0, -0.15), (0, 0.75), *arc(0.18, 0.75, 0.18, 0.5, 0, 4)[1:]],
    ],
}
APPEARANCES = tuple(FIGURES)


def sprite(figure: list[Polyline], rng: np.random.Generator) -> np.ndarray:
    """Opacity of one instance of a figure, such as those of FIGURES.

    Instances differ in aspect, taper, bends, tilt and the width of the strokes. These change the
    arrangement of the strokes, which also defines the class: a network that learns to tell
    instances apart has to look at it.

    Returns:
        (SPRITE, SPRITE) float32 in [0, 1].
    """
    aspect = np.exp(rng.uniform(-0.4, 0.4))
    taper = rng.uniform(0.0, 0.4)  # narrower at the top
    tilt = rng.uniform(-0.3, 0.3)  # radians
    shear = rng.uniform(-0.2, 0.2)
    half_width = rng.uniform(0.12, 0.16)  # more would tell instances apart, and no classes
    bend = rng.normal(0, 0.06, size=(2, 2, 3))  # (axis, sine or cosine, frequency)
    mirror = rng.choice((-1, 1))
    k = np.arange(1, 4)[:, None] * 1.5
    lines = []
    for line in figure:
        x, y = np.array(line).T  # (V, 2) -> 2 x (V,)
        x = mirror * x
        # A smooth random field shifts the points.
        along_y = bend[0, 0] @ np.sin(k * y) + bend[0, 1] @ np.cos(k * y)
        along_x = bend[1, 0] @ np.sin(k * x) + bend[1, 1] @ np.cos(k * x)
        x, y = x + along_y, y + along_x
        x = x * aspect * (1 + taper * y) + shear * y
        lines.append((np.cos(tilt) * x - np.sin(tilt) * y, np.sin(tilt) * x + np.cos(tilt) * y))
    return _strokes(lines, half_width)


def scrap(rng: np.random.Generator) -> np.ndarray:
    """Opacity of a stroke with one corner, (SPRITE, SPRITE) float32: what figures are made of."""
    angle = rng.uniform(0, 2 * np.pi)
    angles = angle, angle + rng.uniform(0.5, 2.6) * rng.choice((-1, 1))
    pieces = [
        r * np.array([np.cos(a), np.sin(a)])
        for r, a in zip(rng.uniform(0.5, 1.2, 2), angles, strict=True)
    ]
    points = np.cumsum([np.zeros(2), *pieces], axis=0)  # (3, 2)
    x, y = (points - points.mean(0)).T
    return _strokes([(x, y)], half_width=rng.uniform(0.12, 0.16))


def disc(rng: np.random.Generator) -> np.ndarray:
    """Opacity of a round cover with a soft edge, (SPRITE, SPRITE) float32; always the same."""
    axis = (np.arange(SPRITE, dtype=np.float32) + 0.5) * 2 * EXTENT / SPRITE - EXTENT
    away = np.hypot(axis[None, :], axis[:, None])
    return np.asarray(np.clip((1 - away) * 8 + 0.5, 0, 1), dtype=np.float32)


def _strokes(lines: list[tuple[np.ndarray, np.ndarray]], half_width: float) -> np.ndarray:
    """Opacity of points nearer than `half_width` to a polyline, with soft edges."""
    start = np.concatenate([np.stack([x[:-1], y[:-1]]) for x, y in lines], axis=1)  # (2, S)
    end = np.concatenate([np.stack([x[1:], y[1:]]) for x, y in lines], axis=1)  # (2, S)
    start, along = start.astype(np.float32)[:, :, None, None], (end - start).astype(np.float32)
    along = along[:, :, None, None]  # (2, S) -> (2, S, 1, 1)
    pixel = 2 * EXTENT / SPRITE
    axis = (np.arange(SPRITE, dtype=np.float32) + 0.5) * pixel - EXTENT
    dx, dy = axis[None, None, :] - start[0], axis[None, :, None] - start[1]
    share = (dx * along[0] + dy * along[1]) / (along[0] ** 2 + along[1] ** 2)  # (S, Y, X)
    share = np.clip(share, 0, 1)
    distance = np.sqrt(((dx - share * along[0]) ** 2 + (dy - share * along[1]) ** 2).min(0))
    return np.asarray(np.clip(0.5 + (half_width - distance) / pixel, 0, 1), dtype=np.float32)
