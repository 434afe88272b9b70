"""Layouts of datasets on disk: which videos a split has, and which of them train and test."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from vie.datasets.layouts.action_files import refuse_incomplete
from vie.datasets.layouts.folders import assign_folders, read_folders
from vie.datasets.layouts.hmdb51 import assign_hmdb51, list_hmdb51, read_hmdb51
from vie.datasets.layouts.imagefolder import annotation_of_images, digest_of_images, read_images
from vie.datasets.layouts.kinetics import (
    annotation_of,
    list_kinetics,
    no_annotation,
    read_kinetics,
    refuse_missing,
)
from vie.datasets.layouts.ucf101 import assign_ucf101, list_ucf101, read_ucf101
from vie.datasets.layouts.video_files import found_in
from vie.datasets.split_assignment import SplitRow
from vie.datasets.video import Video


class Layout(NamedTuple):
    """How a dataset lies on disk.

    All functions raise a VieError for what they cannot read: it names the file, the line and what
    is wrong there.

    Attributes:
        read: (folder of videos, annotations, split) -> the videos of the split.
        annotations: (folder of videos, folder of annotations, split) -> the annotations that `read`
            takes: a file, a folder of lists, or, if `lists` is false, a folder of videos.
        assign: (videos of the manifest, annotations, number) -> the videos of an official split
            with their subsets. None if the dataset has no official splits.
        listed: like `read`, but does not look at the folder of videos. None if the dataset has no
            lists of videos.
        compare: (folder of videos, videos that `read` returned) raises a VieError if some have no
            file.
        absent: (folder of annotations, or of the split's videos where there are none, split) -> the
            message if it is not there.
        digest: folder of a split -> what changes when files appear or go. None where all names
            are read for that.
    """

    read: Callable[[Path, Path, str], list[Video]]
    annotations: Callable[[Path, Path, str], Path]
    assign: Callable[[Iterable[Video], Path, int], list[SplitRow]] | None = None
    listed: Callable[[Path, Path, str], list[Video]] | None = None
    compare: Callable[[Path, Iterable[Video]], None] = refuse_incomplete
    absent: Callable[[Path, str], str] = lambda folder, split: (
        f"{folder}: no such folder; {found_in(folder.parent)}"
    )
    digest: Callable[[Path], str] | None = None

    @property
    def lists(self) -> bool:
        """Whether the dataset comes with lists of its videos."""
        return self.listed is not None


def _folder(videos: Path, annotations: Path, split: str) -> Path:
    return annotations


def _videos(videos: Path, annotations: Path, split: str) -> Path:
    return videos if split == "all" else videos / split


LAYOUTS = {
    "kinetics": Layout(
        read_kinetics, annotation_of, None, list_kinetics, refuse_missing, no_annotation
    ),
    "ucf101": Layout(read_ucf101, _folder, assign_ucf101, list_ucf101),
    "hmdb51": Layout(read_hmdb51, _folder, assign_hmdb51, list_hmdb51),
    "folders": Layout(read_folders, _videos, assign_folders),
    "imagefolder": Layout(read_images, annotation_of_images, digest=digest_of_images),
}
