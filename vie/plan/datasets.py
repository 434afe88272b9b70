"""How large the datasets of a plan are: from their index, else their lists, else what the config
leads to expect."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vie.data.index import load_index
from vie.data.layouts import LAYOUTS
from vie.data.layouts.files import NoFilesError
from vie.data.manifest import read_manifest
from vie.data.members import HELD_OUT, TEST, TRAIN, read_members
from vie.errors import VieError
from vie.plan.expected import Expected, expected, expected_parts
from vie.settings import dataset_folder

SECONDS = 10  # of a video of which nothing is known


@dataclass(frozen=True)
class Split:
    """The videos of a split.

    Attributes:
        videos: how many.
        classes: of their labels.
        frames: of one video, on average.
        jpeg_bytes: of one frame, on average, if frames have been extracted.
        source: where the numbers come from.
    """

    videos: int
    classes: int
    frames: float
    jpeg_bytes: float | None
    source: str

    @property
    def all_frames(self) -> float:
        """Frames of all videos."""
        return self.videos * self.frames


@dataclass(frozen=True)
class Parts:
    """Videos that an official split trains on, validates on and tests on."""

    train: int
    held_out: int
    test: int


class Datasets:
    """Sizes of the datasets of a config; each is found out once.

    Args:
        config: checked.
        root: the folder that the workflow runs in.
    """

    def __init__(self, config: dict[str, Any], root: Path) -> None:
        self.config, self.root = config, root
        self.split = functools.cache(self._split)
        self.parts = functools.cache(self._parts)

    def folders(self, name: str) -> tuple[Path, Path]:
        """Folders of videos and annotations."""
        return tuple(
            self.root / dataset_folder(self.config, name, kind)
            for kind in ("videos", "annotations")
        )

    def annotation(self, name: str, split: str) -> Path:
        """What the dataset's layout reads to know the videos of a split."""
        layout = LAYOUTS[self.config["datasets"][name]["layout"]]
        return layout.annotations(*self.folders(name), split)

    def listed(self, name: str, split: str) -> list:
        """Videos that the dataset's own lists or folders name; none where no file is there.

        Raises:
            VieError: they are there and cannot be read.
        """
        layout, path = self.config["datasets"][name]["layout"], self.annotation(name, split)
        videos = self.folders(name)[0]
        if not path.exists() or not videos.is_dir():  # lists are read beside the videos
            return []
        try:
            return LAYOUTS[layout].read(videos, path, split)
        except NoFilesError:  # a plan is wanted before the files are there
            return []

    def _split(self, name: str, split: str) -> Split:
        folder = self.root / "resources" / name / split
        dataset = self.config["datasets"][name]
        fps, guess = dataset["frames"]["fps"], expected(dataset, split)
        seconds = guess.seconds if guess else min(SECONDS, dataset["frames"]["max_seconds"])
        if (path := folder / "index.parquet").exists():
            index = load_index(path)
            classes = int(index.labels.max()) + 1
            mean = float(np.mean(index.sizes[:100_000]))
            frames = float(np.mean(index.n_frames))
            return Split(len(index), classes, frames, mean, f"index, {len(index):,} usable videos")
        if (path := folder / "manifest.parquet").exists():
            table = read_manifest(path)
            classes = len(table["label"].unique())
            source = f"manifest, {len(table):,} videos; {_length(guess, seconds)}"
            return Split(len(table), classes, seconds * fps, None, source)
        if listed := self.listed(name, split):
            classes = len({video.label for video in listed})
            source = f"its lists, {len(listed):,} videos; {_length(guess, seconds)}"
            return Split(len(listed), classes, seconds * fps, None, source)
        if guess is None:
            raise VieError(
                f"datasets.{name}: neither its lists ({self.annotation(name, split)}) nor its "
                "videos are there, and it has no identity that says how many videos to expect: set "
                "the folders `videos` and `annotations` to where they lie"
            )
        source = f"expected, {guess.videos:,} videos ({guess.source})"
        return Split(guess.videos, guess.classes, seconds * fps, None, source)

    def _parts(self, target: str) -> Parts:
        """Of a target of finetuning."""
        settings = self.config["finetuning"]
        chosen = settings["targets"][target]
        name, number = chosen["dataset"], chosen["split"]
        path = self.root / "resources" / name / f"split{number}" / "members.csv"
        if path.exists():
            parts = [member.part for member in read_members(path)]
            train, held, test = (parts.count(part) for part in (TRAIN, HELD_OUT, TEST))
        else:
            known = expected_parts(self.config["datasets"][name])
            videos = self.split(name, "all").videos
            train, test = known or (round(0.7 * videos), round(0.3 * videos))
            held = 0
            if settings["validation"] == "held_out":
                held = round(settings["held_out"] * train)
        return Parts(train - (0 if path.exists() else held), held, test)

    def validation(self, target: str) -> int:
        """Videos of a target that are validated on."""
        parts = self.parts(target)
        return parts.test if self.config["finetuning"]["validation"] == "test" else parts.held_out


def _length(guess: Expected | None, seconds: float) -> str:
    return f"{seconds:g} s a video {'expected' if guess else 'assumed'}"
