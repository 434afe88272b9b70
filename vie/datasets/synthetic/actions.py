"""Videos of the stand-ins for UCF101 and HMDB51. Their figures are not in the embedded dataset.

Clips of one group (UCF101) or film (HMDB51) show the same figure with the same proportions and
colour, as clips of one recording show the same person. A network that remembers it is good on clips
of that group only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vie.datasets.synthetic.appearance import Polyline, arc, sprite
from vie.datasets.synthetic.render import FRAMES, WIDTHS, paint, place, track, wander
from vie.datasets.synthetic.trajectories import heights
from vie.runtime.randomness import generator

# As in appearance.py: x to the right, y down, in units of half the figure's height.
FIGURES: dict[str, list[Polyline]] = {
    "bell": [
        [*arc(0, -0.35, 0.5, 0.5, 1, 8), (0.85, 0.6), (-0.85, 0.6), (-0.5, -0.35)],
        [(0, 0.6), (0, 0.95)],
    ],
    "boat": [
        [(-0.9, 0.3), (0.9, 0.3), (0.55, 0.9), (-0.55, 0.9), (-0.9, 0.3)],
        [(0, 0.3), (0, -0.95), (0.6, 0.0), (0, 0.0)],
    ],
    "cactus": [
        [(0, -0.95), (0, 0.95)],
        [(-0.65, -0.45), (-0.65, 0.2), (0, 0.2)],
        [(0, 0.55), (0.65, 0.55), (0.65, -0.1)],
    ],
    "chair": [[(-0.5, -0.95), (-0.5, 0.95)], [(-0.5, 0.1), (0.55, 0.1), (0.55, 0.95)]],
    "crown": [
        [(-0.8, 0.8), (-0.8, -0.7), (-0.4, 0), (0, -0.9), (0.4, 0), (0.8, -0.7), (0.8, 0.8)],
        [(-0.8, 0.8), (0.8, 0.8)],
    ],
    "cup": [
        [(-0.65, -0.85), (-0.5, 0.85), (0.35, 0.85), (0.5, -0.85), (-0.65, -0.85)],
        arc(0.42, -0.1, 0.42, -0.25, 0.25, 8),
    ],
    "kite": [
        [(0, -0.95), (0.6, -0.35), (0, 0.4), (-0.6, -0.35), (0, -0.95)],
        [(-0.6, -0.35), (0.6, -0.35)],
        [(0, 0.4), (0.2, 0.65), (-0.1, 0.95)],
    ],
    "lamp": [
        [(-0.35, -0.95), (0.35, -0.95), (0.75, -0.2), (-0.75, -0.2), (-0.35, -0.95)],
        [(0, -0.2), (0, 0.9)],
        [(-0.45, 0.9), (0.45, 0.9)],
    ],
    "mushroom": [
        [*arc(0, -0.1, 0.85, 0.5, 1, 10), (-0.85, -0.1)],
        [(-0.3, -0.1), (-0.25, 0.9), (0.25, 0.9), (0.3, -0.1)],
    ],
}
# Pairs of a motion and its reverse, as in trajectories.py.
MOTIONS = ("approaching", "receding", "rising", "sinking")


class Action(NamedTuple):
    """A class of a stand-in: its label, and the figure and motion that it shows."""

    label: str
    figure: str
    motion: str


UCF101 = tuple(
    Action(f"{motion.title()}{figure.title()}", figure, motion)
    for figure in ("bell", "boat", "cactus", "chair", "crown")
    for motion in MOTIONS[:2]
)
HMDB51 = tuple(
    Action(f"{name}_{figure}", figure, motion)
    for figure in ("cup", "kite", "lamp", "mushroom")
    for name, motion in (("rise", MOTIONS[2]), ("sink", MOTIONS[3]))
)


def single_frame_ceiling(actions: Sequence[Action]) -> float:
    """The largest share of right answers that frames give one by one: they show the figure, and
    nothing of which of two motions it is that are each other's reverse."""
    return len({action.figure for action in actions}) / len(actions)


def render_action(
    action: Action, dataset: str, dataset_seed: int, group: int, clip: int
) -> np.ndarray:
    """A clip of a class; `group` and `clip` are numbers in the whole dataset.

    Returns:
        (T, HEIGHT, W, 3) uint8, T in FRAMES, W in WIDTHS, 25 frames per second.
    """
    shared = generator(dataset_seed, f"{dataset} group", instance=group)
    rng = generator(dataset_seed, f"{dataset} clip", instance=clip)
    figure = sprite(FIGURES[action.figure], shared)
    T, W = int(rng.integers(FRAMES[0], FRAMES[1] + 1)), int(rng.choice(WIDTHS))
    size = np.linspace(rng.uniform(), rng.uniform(), T)
    height = 0.5 + rng.uniform(-0.4, 0.4) + wander(T, 0.1, 25, rng)
    if action.motion in ("approaching", "receding"):
        size = heights({"approaching": "rising", "receding": "sinking"}[action.motion], T, rng)
    else:
        height = heights(action.motion, T, rng)
    x, y, radius = track(height, size, W, rng)
    return paint(place(figure, x, y, radius, W), rng, painter=shared)
