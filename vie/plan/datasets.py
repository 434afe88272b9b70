"""How large the datasets of a plan are: from their index, else their lists, else what the config
leads to expect."""

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vie.config.settings import dataset_folder
from vie.datasets.layouts import LAYOUTS
from vie.datasets.split_assignment import HELD_OUT, TEST, TRAIN, read_split_assignment
from vie.datasets.video import Video
from vie.frames.index import load_index
from vie.frames.manifest import read_videos
from vie.plan.expected import Expected, expected, expected_parts
from vie.runtime.errors import VieError

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
        share: of the listed videos that these are.
    """

    videos: int
    classes: int
    frames: float
    jpeg_bytes: float | None
    source: str
    share: float = 1.0

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


class Listing(NamedTuple):
    """The videos of a split before any of them has been opened.

    Attributes:
        all: the listed ones.
        there: those of them that have a file.
        problem: why no file has been found or looked for; empty if one was found.
    """

    all: list[Video]
    there: list[Video]
    problem: str = ""

    def planned(self, what: str) -> tuple[int, str]:
        """How many videos to plan for, and their source: those with a file, or all of `what` where
        there is none yet."""
        listed, there = len(self.all), len(self.there)
        if not there:
            return listed, f"{what}, {listed:,} videos; no videos yet: {self.problem}"
        if there < listed:
            return there, f"{what}, {there:,} of {listed:,} listed have a file"
        return listed, f"{what}, {listed:,} videos"


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

    def listing(self, name: str, split: str) -> Listing | None:
        """Videos that the dataset's own lists or folders name; None where there are neither.

        Lists without videos are enough: a plan is wanted before the videos are there.

        Raises:
            VieError: lists are there and cannot be read.
        """
        layout = LAYOUTS[self.config["datasets"][name]["layout"]]
        videos, annotations = self.folders(name)[0], self.annotation(name, split)
        if not annotations.exists():
            return None
        if layout.listed is None:
            found = layout.read(videos, annotations, split)
            return Listing(found, found)
        try:
            if not videos.is_dir():
                raise VieError(f"{videos}: no such folder")
            found = layout.read(videos, annotations, split)
        except VieError as error:  # lists are read beside the videos: see what they say alone
            return Listing(layout.listed(videos, annotations, split), [], str(error))
        return Listing(found, with_file(videos, found), f"none of them has a file in {videos}")

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
        listing, problem, what = None, "", "its lists"
        try:
            if (path := folder / "manifest.parquet").exists():
                what, found = "manifest", read_videos(path)
                # Videos may have gone once their frames were there.
                listing = Listing(found, with_file(self.folders(name)[0], found) or found)
            else:
                listing = self.listing(name, split)
        except VieError as error:
            if guess is None:
                raise
            problem = f"; {what} cannot be read: {error}"
        if listing:
            videos, source = listing.planned(what)
            classes = len({video.label for video in listing.all})
            share = videos / len(listing.all)
            source = f"{source}; {_length(guess, seconds)}"
            return Split(videos, classes, seconds * fps, None, source, share)
        if guess is None:
            raise VieError(
                f"datasets.{name}: neither its lists ({self.annotation(name, split)}) nor its "
                "videos are there, and it has no identity that says how many videos to expect: set "
                "the folders `videos` and `annotations` to where they lie"
            )
        source = f"expected, {guess.videos:,} videos ({guess.source}){problem}"
        return Split(guess.videos, guess.classes, seconds * fps, None, source)

    def _parts(self, target: str) -> Parts:
        """Of a target of finetuning."""
        settings = self.config["finetuning"]
        chosen = settings["targets"][target]
        name, number = chosen["dataset"], chosen["split"]
        path = self.root / "resources" / name / f"split{number}" / "members.csv"
        if path.exists():
            parts = [member.subset for member in read_split_assignment(path)]
            train, held, test = (parts.count(part) for part in (TRAIN, HELD_OUT, TEST))
        else:
            known, split = expected_parts(self.config["datasets"][name]), self.split(name, "all")
            shares = [part * split.share for part in known or ()]
            train, test = map(round, shares or (0.7 * split.videos, 0.3 * split.videos))
            held = 0
            if settings["validation"] == "held_out":
                held = round(settings["held_out"] * train)
        return Parts(train - (0 if path.exists() else held), held, test)

    def validation(self, target: str) -> int:
        """Videos of a target that are validated on."""
        parts = self.parts(target)
        return parts.test if self.config["finetuning"]["validation"] == "test" else parts.held_out


def with_file(root: Path, videos: Iterable[Video]) -> list[Video]:
    """Those of the videos that have a file below `root`: one listing per folder, no file opened."""
    names: dict[str, set[str]] = {}
    found = []
    for video in videos:
        folder, _, name = video.path.rpartition("/")
        if folder not in names:
            try:
                names[folder] = set(os.listdir(root / folder))
            except OSError:
                names[folder] = set()
        if name in names[folder]:
            found.append(video)
    return found


def _length(guess: Expected | None, seconds: float) -> str:
    return f"{seconds:g} s a video {'expected' if guess else 'assumed'}"
