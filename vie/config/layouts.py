"""What the config knows of each layout of videos on disk; `vie.datasets.layouts` reads them."""

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

# Splits of a dataset: for pretraining, or for finetuning.
PRETRAINING, FINETUNING = ("train", "val"), ("all",)
GROUPS = ("train_groups", "test_groups", "clips_per_group")


class LayoutFacts(NamedTuple):
    """What holds for all datasets of a layout.

    Attributes:
        splits: the splits that such a dataset may have; one of these tuples.
        official_names: datasets of published results that have this layout.
        generator: settings of the embedded dataset in this layout, besides its seed; empty if
            there is no such dataset.
        generator_may_have: further settings of it.
        missing: what becomes of a listed video without a file, where the config does not say; None
            if no lists say which videos there are.
        official_splits: how many numbered splits are official; 0: any number is a split.
        finds: whether videos are looked for anywhere, and their splits are made here.
        images: whether its files are images: videos of a single frame, for probes alone.
    """

    splits: tuple[tuple[str, ...], ...]
    official_names: tuple[str, ...] = ()
    generator: tuple[str, ...] = ()
    generator_may_have: tuple[str, ...] = ()
    missing: Literal["error", "reject"] | None = None
    official_splits: int = 0
    finds: bool = False
    images: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys that say where a dataset of the user lies."""
        return ("annotations", "videos") if self.missing else ("videos",)

    @property
    def may_have(self) -> tuple[str, ...]:
        """Keys that say where it lies, if it has them."""
        return ("annotations",) if self.images else ()


LAYOUTS = {
    "kinetics": LayoutFacts(
        (PRETRAINING,),
        ("kinetics400",),
        ("train_videos_per_class", "val_videos_per_class"),
        ("scene",),
        missing="reject",
    ),
    # Small, and complete if there at all.
    "ucf101": LayoutFacts((FINETUNING,), ("ucf101",), GROUPS, missing="error", official_splits=3),
    "hmdb51": LayoutFacts((FINETUNING,), ("hmdb51",), GROUPS, missing="error", official_splits=3),
    "folders": LayoutFacts((PRETRAINING, FINETUNING)),
    "flat": LayoutFacts((PRETRAINING,), finds=True),
    "imagefolder": LayoutFacts(
        (PRETRAINING,),
        ("imagenet",),
        ("train_images_per_class", "val_images_per_class"),
        images=True,
    ),
}
OFFICIAL_NAMES = {
    name: layout for layout, facts in LAYOUTS.items() for name in facts.official_names
}
TITLES = {
    "kinetics400": "Kinetics-400",
    "ucf101": "UCF101",
    "hmdb51": "HMDB51",
    "imagenet": "ImageNet",
}


def title_of(name: str, dataset: dict[str, Any]) -> str:
    """How tables and plots call a dataset of the config: by its official name only if it is that
    dataset. One that the workflow writes is a stand-in, and any other has the config's `name`.
    """
    if official := dataset.get("official_name"):
        return TITLES[official]
    if "generator" in dataset:
        return f"stand-in for {TITLES[LAYOUTS[dataset['layout']].official_names[0]]}"
    return name


def the(title: str) -> str:
    """A dataset's title in the middle of a sentence."""
    return f"the {title}" if title.startswith("stand-in") else title


def misnamed(config: dict[str, Any]) -> Iterator[str]:
    """Datasets and targets of a config that are called as a published dataset and are another."""
    datasets, targets = config["datasets"], config["finetuning"]["targets"]
    places = [(f"datasets.{name}", name, name) for name in datasets]
    places += [
        (f"finetuning.targets.{name}", name, target["dataset"])
        for name, target in targets.items()
        if target["dataset"] in datasets
    ]
    for key, name, chosen in places:
        called, dataset = re.sub("[^a-z0-9]", "", name.lower()), datasets[chosen]
        if called not in OFFICIAL_NAMES or dataset.get("official_name") == called:
            continue
        yield (
            f"{key}: has the name of a published dataset. If datasets.{chosen} is {TITLES[called]} "
            f"itself, set its official_name to {called}; else choose another name"
        )
