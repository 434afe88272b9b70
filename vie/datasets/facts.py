"""Differences between a dataset and its published sizes and classes. They are logged, no more.

Videos vanish from YouTube, so hardly any two copies of Kinetics are alike. A copy that differs is
used, and the log says how it differs; so is one of ImageNet.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from vie.config.layouts import LAYOUTS
from vie.datasets.file_names import listed
from vie.datasets.holdout import CLASSES, COUNTS
from vie.datasets.layouts.video_files import spelling_key

if TYPE_CHECKING:
    from vie.datasets.synthetic.actions import Action

log = logging.getLogger(__name__)

IMAGE = 1.0  # seconds of an image, at a frame per second
# Of a video; those of ucf101 and hmdb51 are assumed.
SECONDS = {"kinetics400": 10, "ucf101": 7, "hmdb51": 4, "imagenet": IMAGE}
# Copies that differ are used. `vie.datasets.holdout` refuses other datasets that are incomplete.
VARYING = {"kinetics400", "imagenet"}


def expected_videos(official_name: str | None) -> Mapping[str, int]:
    """{split: usable videos of the paper}; empty for datasets whose copies are all alike."""
    return COUNTS[official_name] if official_name in VARYING else {}


class Expected(NamedTuple):
    """Videos of a split before anything of it has been read, their classes, and seconds of each."""

    videos: int
    classes: int
    seconds: float


def expected(dataset: dict[str, Any], split: str) -> Expected:
    """Size of a split by the dataset's generator or official name, else Kinetics' size."""
    if "generator" in dataset:
        return _generated(dataset["layout"], dataset["generator"], split)
    if (name := dataset.get("official_name")) not in COUNTS:
        if LAYOUTS[dataset["layout"]].images:
            return Expected(COUNTS["imagenet"][split], CLASSES["imagenet"], IMAGE)
        return Expected(25_000 if split == "val" else 250_000, 400, 10)
    # HMDB51's official splits leave out about a fourth of its videos.
    every = sum(COUNTS[name].values()) * 4 // (3 if name == "hmdb51" else 4)
    return Expected(COUNTS[name].get(split, every), CLASSES[name], SECONDS[name])


def training_videos(dataset: dict[str, Any]) -> int | None:
    """Videos that an official split of an action dataset trains on at most; None if only its lists
    say how many."""
    if (name := dataset.get("official_name")) in COUNTS:
        return COUNTS[name]["train"]
    if "generator" not in dataset:
        return None
    generator = dataset["generator"]
    groups: int = generator["train_groups"] * generator["clips_per_group"]
    return len(_actions(dataset["layout"])) * groups


def generated_seconds(dataset: dict[str, Any]) -> tuple[float, float] | None:
    """The shortest and the longest that a video of a generated dataset plays; None of others."""
    if "generator" not in dataset or LAYOUTS[dataset["layout"]].images:
        return None
    from vie.datasets.synthetic import render, write_videos

    return render.FRAMES[0] / write_videos.FPS, render.FRAMES[1] / write_videos.FPS


def single_frame_ceiling(dataset: dict[str, Any]) -> float | None:
    """The accuracy (%) that no network exceeds that sees the frames of a dataset one by one; None
    where this is not known."""
    if "generator" not in dataset or LAYOUTS[dataset["layout"]].images:
        return None
    from vie.datasets.synthetic import actions, render

    if dataset["layout"] == "kinetics":
        return 100 * render.single_frame_ceiling(dataset["generator"].get("scene"))
    return 100 * actions.single_frame_ceiling(_actions(dataset["layout"]))


def _generated(layout: str, generator: dict[str, Any], split: str) -> Expected:
    from vie.datasets.synthetic import action_files, images, render, write_videos

    if layout == "imagefolder":
        classes = len(images.CLASSES)
        return Expected(classes * generator[f"{split}_images_per_class"], classes, IMAGE)
    seconds = sum(render.FRAMES) / 2 / write_videos.FPS
    if layout == "kinetics":
        classes = len(render.SCENE_CLASSES if "scene" in generator else render.CLASSES)
        each = generator[f"{split}_videos_per_class"]
        return Expected(classes * each, classes, seconds)
    classes = len(_actions(layout))
    groups = generator["train_groups"] + generator["test_groups"]
    groups += action_files.SPARE if layout == "hmdb51" else 0
    return Expected(classes * groups * generator["clips_per_group"], classes, seconds)


def _actions(layout: str) -> "tuple[Action, ...]":
    """Classes of the stand-in in a layout."""
    from vie.datasets.synthetic import actions

    return {"ucf101": actions.UCF101, "hmdb51": actions.HMDB51}[layout]


def report_classes(labels: Iterable[str], official_name: str | None) -> None:
    """Log classes that the dataset does not have officially, and official ones that are absent.

    Only letters and digits count, in either case: releases spell classes differently. Of ImageNet's
    classes, which folders name by numbers of WordNet, only their number is looked at.
    """
    if official_name == "imagenet":
        if (found := len(set(labels))) != CLASSES[official_name]:
            log.warning("%d classes, and %s has %d", found, official_name, CLASSES[official_name])
        return
    if official_name != "kinetics400":
        return
    from torchvision.models.video import R3D_18_Weights  # takes seconds to import

    categories = R3D_18_Weights.KINETICS400_V1.meta["categories"]
    names = {spelling_key(label): label for label in labels}
    official = {spelling_key(label): label for label in categories}
    if len(names) != CLASSES[official_name]:
        log.warning("%d classes, and %s has %d", len(names), official_name, CLASSES[official_name])
    if unknown := sorted(names[k] for k in names.keys() - official.keys()):
        log.warning("%d classes are not of %s: %s", len(unknown), official_name, listed(unknown))
    if absent := sorted(official[k] for k in official.keys() - names.keys()):
        log.warning("%d classes of %s are absent: %s", len(absent), official_name, listed(absent))


def report_split(labels: Iterable[str], classes: Iterable[str], split: str) -> None:
    """Log classes of the training list that have no video in the list of a split."""
    if absent := sorted(set(classes) - set(labels)):
        what = "the list of %s has no video of %d classes: %s"
        log.warning(what, split, len(absent), listed(absent))


def report_usable(usable: int, split: str, official_name: str | None) -> None:
    """Log the number of usable videos of a split if it is not the paper's."""
    wanted = expected_videos(official_name).get(split)
    if wanted is None or usable == wanted:
        return
    log.warning(
        "%s: %s usable videos, and the paper has %s (%+d, %.1f %%): accuracies are of other data",
        *(split, f"{usable:,}", f"{wanted:,}", usable - wanted, 100 * usable / wanted),
    )
