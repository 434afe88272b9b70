"""How many videos a dataset should have, from the config alone.

Imports neither torch nor pandas: Snakemake uses it each time it builds the job graph.
"""

from typing import Any, NamedTuple

from vie.datasets.holdout import CLASSES, COUNTS


class Expected(NamedTuple):
    """What is expected of the videos of a split before anything of it has been read.

    Attributes:
        videos: how many.
        classes: of their labels.
        seconds: of one video, on average.
        source: where the numbers come from.
    """

    videos: int
    classes: int
    seconds: float
    source: str


PROTOCOL = "protocol section 1"
# identity -> split -> what to expect. An official split of UCF101 and one of HMDB51 train and test
# on `PARTS`; UCF101's use all of its videos, HMDB51's leave some out, which are extracted too.
# Seconds of UCF101 and HMDB51 are assumptions: no source here states them.
KNOWN = {
    "kinetics400": {
        split: Expected(count, CLASSES["kinetics400"], 10, f"{PROTOCOL}; excerpts of 10 s")
        for split, count in COUNTS["kinetics400"].items()
    },
    "ucf101": {
        "all": Expected(
            sum(COUNTS["ucf101"].values()), CLASSES["ucf101"], 7, f"{PROTOCOL}; 7 s assumed"
        )
    },
    "hmdb51": {
        "all": Expected(
            7_000, CLASSES["hmdb51"], 4, f"{PROTOCOL}, a third more than split 1 uses; 4 s assumed"
        )
    },
}
PARTS = {name: tuple(COUNTS[name].values()) for name in ("ucf101", "hmdb51")}  # train, test
UNKNOWN = 250_000  # videos, where nothing is known: as many as Kinetics has


def expected(dataset: dict[str, Any], split: str) -> Expected | None:
    """Size of a split by the dataset's identity or generator; None where neither says."""
    if "generator" in dataset:
        return _generated(dataset["layout"], dataset["generator"], split)
    return KNOWN.get(dataset.get("official_name"), {}).get(split)


def expected_parts(dataset: dict[str, Any]) -> tuple[int, int] | None:
    """Videos that an official split trains and tests on; None where neither is known."""
    if "generator" in dataset:
        classes, _ = _groups(dataset["layout"], dataset["generator"])
        per_group = dataset["generator"]["clips_per_group"]
        return (
            classes * dataset["generator"]["train_groups"] * per_group,
            classes * dataset["generator"]["test_groups"] * per_group,
        )
    return PARTS.get(dataset.get("official_name"))


def _generated(layout: str, generator: dict[str, Any], split: str) -> Expected:
    from vie.datasets.synthetic.render import CLASSES, FRAMES
    from vie.datasets.synthetic.write_videos import FPS

    seconds = sum(FRAMES) / 2 / FPS
    source = "settings of the generator"
    if layout == "kinetics":
        videos = len(CLASSES) * generator[f"{split}_videos_per_class"]
        return Expected(videos, len(CLASSES), seconds, source)
    classes, groups = _groups(layout, generator)
    return Expected(classes * groups * generator["clips_per_group"], classes, seconds, source)


def _groups(layout: str, generator: dict[str, Any]) -> tuple[int, int]:
    """(classes, groups of each) of a stand-in for UCF101 or HMDB51."""
    from vie.datasets.synthetic.action_files import SPARE
    from vie.datasets.synthetic.actions import HMDB51, UCF101

    spare = {"ucf101": 0, "hmdb51": SPARE}[layout]
    classes = {"ucf101": UCF101, "hmdb51": HMDB51}[layout]
    return len(classes), generator["train_groups"] + generator["test_groups"] + spare
