"""Draw the videos of docs/embedded-dataset.md and docs/finetuning.md:

python docs/make_embedded_pictures.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from vie.datasets.synthetic.actions import HMDB51, UCF101, Action, render_action
from vie.datasets.synthetic.appearance import APPEARANCES
from vie.datasets.synthetic.images import CLASSES as IMAGE_CLASSES
from vie.datasets.synthetic.images import render_image
from vie.datasets.synthetic.render import HEIGHT, SCENE_CLASSES, render
from vie.datasets.synthetic.trajectories import MOTIONS

FOLDER = Path(__file__).parent / "images" / "embedded"
DATASET_SEED = 0
GAP = 4  # pixels
CAPTION = 14


def square(frame: np.ndarray) -> np.ndarray:
    """Centre of a frame, HEIGHT x HEIGHT."""
    left = (frame.shape[1] - HEIGHT) // 2
    return frame[:, left : left + HEIGHT]


def sheet(rows: list[list[tuple[str, np.ndarray]]], path: Path, colours: int | None = None) -> None:
    """A grid of captioned frames as PNG, in all colours or so many."""
    step_x, step_y = HEIGHT + GAP, HEIGHT + CAPTION
    page = Image.new("RGB", (step_x * len(rows[0]), step_y * len(rows)), "white")
    pen = ImageDraw.Draw(page)
    for j, row in enumerate(rows):
        for i, (caption, frame) in enumerate(row):
            pen.text((i * step_x + 2, j * step_y), caption, fill="black")
            page.paste(Image.fromarray(square(frame)), (i * step_x, j * step_y + CAPTION - 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    (page.quantize(colours) if colours else page).save(path, optimize=True)
    print(f"{path} {path.stat().st_size / 1000:.0f} kB")


def thrice(caption: str, frames: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """First, middle and last frame."""
    times = np.linspace(0, len(frames) - 1, 3).astype(int)
    return [(caption if i == 0 else "", frames[t]) for i, t in enumerate(times)]


def actions() -> list[list[tuple[str, np.ndarray]]]:
    """A class of every figure of the stand-ins, three to a row."""
    chosen: list[tuple[str, Action]] = [("ucf101", UCF101[i]) for i in (0, 3, 4, 7, 8)]
    chosen += [("hmdb51", HMDB51[i]) for i in (0, 3, 4, 7)]
    found = [
        thrice(action.label, render_action(action, dataset, DATASET_SEED, i, i))
        for i, (dataset, action) in enumerate(chosen)
    ]
    return [[*found[i], *found[i + 1], *found[i + 2]] for i in range(0, len(found), 3)]


def classes() -> list[list[tuple[str, np.ndarray]]]:
    """A row per appearance: three frames of a video of each of its two classes."""
    rows = []
    for i, appearance in enumerate(APPEARANCES):
        row = []
        for j, motion in enumerate(MOTIONS):
            frames = render(f"{appearance} {motion}", DATASET_SEED, len(MOTIONS) * i + j)
            row += thrice(f"{appearance} {motion}", frames)
        rows.append(row)
    return rows


def scenes() -> list[list[tuple[str, np.ndarray]]]:
    """A row per action: eight frames, four apart, of a video in a scene."""
    found = []
    for i, label in enumerate(SCENE_CLASSES[:20:5]):
        frames = render(label, DATASET_SEED, i, scene=0.75)[8:40:4]
        found.append([(label if n == 0 else "", frame) for n, frame in enumerate(frames)])
    return found


def images() -> list[list[tuple[str, np.ndarray]]]:
    """Four images of each class of the stand-in for ImageNet, two classes to a row."""
    found = []
    for i, label in enumerate(IMAGE_CLASSES):
        shown = [Image.fromarray(render_image(label, DATASET_SEED, 4 * i + n)) for n in range(4)]
        fitted = [np.asarray(ImageOps.fit(one, (HEIGHT, HEIGHT))) for one in shown]
        found.append([(label if n == 0 else "", one) for n, one in enumerate(fitted)])
    return [[*found[i], *found[i + 1]] for i in range(0, len(found), 2)]


def instances() -> list[list[tuple[str, np.ndarray]]]:
    """A row per chosen class: the middle frame of eight of its videos."""
    rows = []
    for i, appearance in enumerate(("anchor", "house", "tree", "umbrella")):
        label, first = f"{appearance} rising", 1000 + 8 * i
        frames = [render(label, DATASET_SEED, first + n)[30] for n in range(8)]
        rows.append([(label if n == 0 else "", frame) for n, frame in enumerate(frames)])
    return rows


if __name__ == "__main__":
    half = len(APPEARANCES) // 2
    sheet(classes()[:half], FOLDER / "classes_1.png")
    sheet(classes()[half:], FOLDER / "classes_2.png")
    sheet(instances(), FOLDER / "instances.png")
    sheet(scenes(), FOLDER / "scenes.png", colours=128)
    sheet(actions(), FOLDER / "actions.png")
    sheet(images(), FOLDER / "images.png", colours=128)
