"""One video of the embedded dataset, as pixels."""

from collections.abc import Callable

import numpy as np

from vie.datasets.synthetic.appearance import (
    APPEARANCES,
    EXTENT,
    FIGURES,
    SPRITE,
    disc,
    scrap,
    sprite,
)
from vie.datasets.synthetic.trajectories import MOTIONS, SWAYS, heights, sway
from vie.runtime.randomness import generator

HEIGHT = 80  # pixels, the shorter side
WIDTHS = (80, 88, 96)
FRAMES = (62, 80)  # of a video, both ends included; a slowfast clip needs 61
RADIUS = (16.0, 26.0)  # half the height of a figure of size 0 and 1, in pixels
REACH = 16.0  # pixels of the figure's centre above and below the middle

CLASSES = tuple(f"{a} {m}" for a in APPEARANCES for m in MOTIONS)
# Where figures also sway: every other figure is told by its motion, the others by how they sway.
SCENE_CLASSES = tuple(
    f"{appearance} {action}"
    for number, appearance in enumerate(APPEARANCES)
    for action in (MOTIONS, tuple(SWAYS))[number % 2]
)
COARSE, FINE = (7, 8), (13, 15)  # knots of the clouds, down and across
SCRAPS, COVERS = 2, 1  # strokes and covers of a frame in a scene
LIFE = 12  # frames that each of them lasts


def single_frame_ceiling(scene: float | None = None) -> float:
    """The largest share of right answers that frames give one by one, without their order.

    They show the appearance. Both motions have the same frames. How a figure sways shows in the
    clouds alone, which are of the likelier kind in `scene` or in 1 - `scene` of the videos.

    Args:
        scene: as for `render`.
    """
    motion = 1 / len(MOTIONS)
    if scene is None:
        return motion
    told = [
        motion if label.split(" ")[1] in MOTIONS else max(scene, 1 - scene)
        for label in SCENE_CLASSES
    ]
    return sum(told) / len(told)


def render(label: str, dataset_seed: int, number: int, scene: float | None = None) -> np.ndarray:
    """Video `number` of the dataset, with the appearance and the action of its label.

    Args:
        label: of CLASSES, or, with a scene, of SCENE_CLASSES.
        dataset_seed: of everything in the dataset.
        number: of the video.
        scene: None, or the share of the videos whose clouds go with how the figure sways: a single
            frame shows them. Figures then sway, and pass by other strokes and behind covers.

    Returns:
        (T, HEIGHT, W, 3) uint8, T in FRAMES, W in WIDTHS, 25 frames per second.
    """
    appearance, action = label.split(" ")
    rng = generator(dataset_seed, "embedded", instance=number)
    own = generator(dataset_seed, "embedded scene", instance=number)
    T, W = int(rng.integers(FRAMES[0], FRAMES[1] + 1)), int(rng.choice(WIDTHS))
    # What the label leaves open is random.
    motion = action if action in MOTIONS else str(own.choice(MOTIONS))
    kind = action if action in SWAYS else str(own.choice(tuple(SWAYS)))
    height, size = heights(motion, T, rng), np.linspace(rng.uniform(), rng.uniform(), T)
    x, y, radius = track(height, size, W, rng)
    figure = sprite(FIGURES[appearance], rng)
    if scene is None:
        return paint(place(figure, x, y, radius, W), rng, painter=rng)
    opacity = place(figure, x + sway(kind, T, own), y, radius, W)
    opacity *= 1 - passing(disc, COVERS, (6, 11), T, W, own)
    opacity = np.maximum(opacity, passing(scrap, SCRAPS, (14, 24), T, W, own))
    clouds = (COARSE, FINE)[(kind == "trembling") == (own.uniform() < scene)]
    return paint(opacity, rng, painter=rng, clouds=clouds)


def track(
    height: np.ndarray, size: np.ndarray, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A figure's height and size in each frame, in [0, 1] -> its centre x, y and radius in pixels.

    It wanders sideways, and the camera shakes. All arrays are (T,).
    """
    T = len(height)
    shake_x, shake_y = wander(T, 1.2, 6, rng), wander(T, 1.2, 6, rng)
    x = width / 2 + rng.uniform(-1, 1) * (width / 2 - 26) + wander(T, 5, 25, rng)
    y = HEIGHT / 2 + REACH * (1 - 2 * height)
    return x + shake_x, y + shake_y, RADIUS[0] * (RADIUS[1] / RADIUS[0]) ** size


def paint(
    opacity: np.ndarray,
    rng: np.random.Generator,
    painter: np.random.Generator,
    clouds: tuple[int, int] = COARSE,
) -> np.ndarray:
    """Strokes in front of changing clouds.

    Args:
        opacity: (T, HEIGHT, W) of the strokes, from 0 to 1.
        rng: of the clouds.
        painter: draws the strokes' colour, which is lighter than the clouds.
        clouds: knots of the clouds, down and across.

    Returns:
        (T, HEIGHT, W, 3) uint8.
    """
    frames, level = _background(len(opacity), opacity.shape[2], clouds, rng)
    colour = level + painter.uniform(0.5, 0.6) + painter.uniform(-0.05, 0.05, 3)
    for plane, value in zip(frames, colour.astype(np.float32), strict=True):
        plane += opacity * (value - plane)
    pixels = (frames * 255 + 0.5).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 3, 0))  # (3, T, H, W) -> (T, H, W, 3)


def passing(
    shape: Callable[[np.random.Generator], np.ndarray],
    count: int,
    radius: tuple[float, float],
    n_frames: int,
    width: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(T, HEIGHT, width) float32, opacity: `count` shapes at any time, each for `LIFE` frames.

    They last so short that frames half a second apart have others: they tell videos apart as little
    as the clouds do. `shape` draws a sprite; the radius, in pixels, is drawn from its range.
    """
    found = np.zeros((n_frames, HEIGHT, width), np.float32)
    for _ in range(count):
        for start in range(-int(rng.integers(LIFE)), n_frames, LIFE):
            x, y = rng.uniform(0, width), rng.uniform(0, HEIGHT)
            drift, size = rng.normal(0, 6 / LIFE, size=2), rng.uniform(*radius)
            figure, time = shape(rng), np.arange(max(start, 0), min(start + LIFE, n_frames))
            since = time - start
            sizes = np.full(len(time), size)
            placed = place(figure, x + drift[0] * since, y + drift[1] * since, sizes, width)
            found[time] = np.maximum(found[time], placed)
    return found


def place(
    figure: np.ndarray, x: np.ndarray, y: np.ndarray, radius: np.ndarray, width: int
) -> np.ndarray:
    """A sprite in every frame, around x and y with half its height a radius, (T,) in pixels each.

    Returns:
        (T, HEIGHT, width) float32, opacity.
    """
    # A shift and a scale are separable: one small matrix per axis and frame.
    rows, columns = resampling(y, radius, HEIGHT), resampling(x, radius, width)
    # (T, H, S) @ (S, S) @ (T, 1, S, W) -> (T, H, W), in pieces of half a frame: for larger ones,
    # BLAS would start threads, which cost several times what they save.
    rows = rows.reshape(-1, 2, HEIGHT // 2, SPRITE)  # (T, H, S) -> (T, 2, H/2, S)
    placed = (rows @ figure) @ columns.transpose(0, 2, 1)[:, None]
    return np.asarray(placed).reshape(-1, HEIGHT, width)  # (T, 2, H/2, W) -> (T, H, W)


def resampling(centre: np.ndarray, radius: np.ndarray, pixels: int) -> np.ndarray:
    """(T, pixels, SPRITE) float32: triangle filter at least a pixel wide, rows sum to 1 or 0."""
    scale = (2 * EXTENT * radius / SPRITE).astype(np.float32)[:, None, None]
    # Distance from every pixel to every sprite pixel, in the larger of the two.
    at = (np.arange(pixels) + 0.5 - centre[:, None]).astype(np.float32)[:, :, None]
    source = np.arange(SPRITE, dtype=np.float32) + 0.5 - SPRITE / 2
    away = (at - source * scale) / np.maximum(scale, 1)
    weight = np.maximum(1 - np.abs(away, out=away), 0, out=away)
    return np.asarray(weight / np.maximum(weight.sum(2, keepdims=True), 1e-6))


def _background(
    T: int, W: int, knots: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Clouds of low chroma that change within half a second -> ((3, T, H, W), their mean level)."""
    # If they stood still, they would tell instances apart, and nothing else would be learned.
    level = rng.uniform(0.25, 0.4)
    grey = rng.normal(0, 0.05, size=(1, T // 12 + 2, *knots))
    colours = grey + rng.normal(0, 0.012, size=(3, T // 12 + 2, *knots))
    tint = rng.uniform(-0.03, 0.03, size=3)
    clouds = (colours + (level + tint)[:, None, None, None]).astype(np.float32)
    t, y, x = clouds.shape[1:]
    # (T, t) @ (3, t, y * x) -> (3, T, y * x) -> (3, T, y, x)
    clouds = (linear(T, t) @ clouds.reshape(3, t, y * x)).reshape(3, T, y, x)
    # (H, y) @ ((3, T, y, x) @ (x, W)) -> (3, T, H, W)
    return linear(HEIGHT, y) @ (clouds @ linear(W, x).T), level


def linear(n: int, knots: int) -> np.ndarray:
    """(n, knots) float32: linear interpolation of evenly spaced knots at n points."""
    at = np.linspace(0, knots - 1, n)[:, None]
    return np.asarray(np.maximum(1 - np.abs(at - np.arange(knots)), 0), dtype=np.float32)


def wander(T: int, amount: float, frames: int, rng: np.random.Generator) -> np.ndarray:
    """(T,) smooth random walk around 0: standard deviation `amount`, changes over `frames`."""
    knots = rng.normal(0, amount, size=T // frames + 3)
    at = np.arange(T) / frames + rng.uniform()
    return np.asarray(np.interp(at, np.arange(len(knots)), knots))
