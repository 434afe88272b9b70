"""What a dataset should hold, where it is said to be one that is known: reported, never enforced.

Videos vanish from YouTube, so hardly any two copies of Kinetics are alike: a copy that differs is
used, and the differences are said where the numbers are read.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from vie.datasets.holdout import CLASSES, COUNTS
from vie.datasets.layouts.video_files import listed, spelling_key

log = logging.getLogger(__name__)

SECONDS = {"kinetics400": 10, "ucf101": 7, "hmdb51": 4}  # of a video; the last two are assumed
VANISHING = {"kinetics400"}  # other datasets are whole, or refused by `vie.datasets.holdout`


def expected_videos(identity: str | None) -> Mapping[str, int]:
    """{split: usable videos of the paper}; empty for data that it does not have."""
    return COUNTS[identity] if identity in VANISHING else {}


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
        return Expected(25_000 if split == "val" else 250_000, 400, 10)
    # HMDB51's official splits leave out about a fourth of its videos.
    every = sum(COUNTS[name].values()) * 4 // (3 if name == "hmdb51" else 4)
    return Expected(COUNTS[name].get(split, every), CLASSES[name], SECONDS[name])


def _generated(layout: str, generator: dict[str, Any], split: str) -> Expected:
    from vie.datasets.synthetic import action_files, actions, render, write_videos

    seconds = sum(render.FRAMES) / 2 / write_videos.FPS
    if layout == "kinetics":
        classes, each = len(render.CLASSES), generator[f"{split}_videos_per_class"]
        return Expected(classes * each, classes, seconds)
    classes = len({"ucf101": actions.UCF101, "hmdb51": actions.HMDB51}[layout])
    groups = generator["train_groups"] + generator["test_groups"]
    groups += action_files.SPARE if layout == "hmdb51" else 0
    return Expected(classes * groups * generator["clips_per_group"], classes, seconds)


def report_classes(labels: Iterable[str], identity: str | None) -> None:
    """Warn of classes that a dataset should not have, or should have and has not.

    Capitals and whatever is neither letter nor digit may differ, as they do between releases.

    Args:
        labels: of the training list.
        identity: name of the dataset, if it is a known one.
    """
    if identity not in VANISHING:
        return
    names = {spelling_key(label): label for label in labels}
    official = {spelling_key(label): label for label in _official_labels()}
    if len(names) != CLASSES[identity]:
        log.warning("%d classes, and %s has %d", len(names), identity, CLASSES[identity])
    if unknown := sorted(names[k] for k in names.keys() - official.keys()):
        log.warning("%d classes are not of %s: %s", len(unknown), identity, listed(unknown))
    if absent := sorted(official[k] for k in official.keys() - names.keys()):
        log.warning("%d classes of %s are absent: %s", len(absent), identity, listed(absent))


def report_split(labels: Iterable[str], classes: Iterable[str], split: str) -> None:
    """Warn of classes that the list of a split has no video of.

    Args:
        labels: of the split's list.
        classes: all classes, which are those of the training list.
        split: its name.
    """
    if absent := sorted(set(classes) - set(labels)):
        log.warning("the list of %s has no video of %d classes: %s", split, *_many(absent))


def report_usable(usable: int, split: str, identity: str | None) -> None:
    """Say how many usable videos a split has beside the number that it should have."""
    wanted = expected_videos(identity).get(split)
    if wanted is None or usable == wanted:
        return
    log.warning(
        "%s: %s usable videos, and the paper has %s (%+d, %.1f %%): accuracies are of other data",
        *(split, f"{usable:,}", f"{wanted:,}", usable - wanted, 100 * usable / wanted),
    )


def _many(names: list[str]) -> tuple[int, str]:
    return len(names), listed(names)


def _official_labels() -> list[str]:
    """The 400 classes, as torchvision's networks know them."""
    from torchvision.models.video import R3D_18_Weights  # seconds: only where it is needed

    return R3D_18_Weights.KINETICS400_V1.meta["categories"]
