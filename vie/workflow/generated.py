"""Whether the videos that the workflow writes fit the settings of their dataset."""

import math
from typing import Any

from vie.config.datasets import OF_VIDEOS
from vie.datasets.facts import generated_seconds
from vie.runtime.errors import VieError

Config = dict[str, Any]


def longest_video(dataset: Config) -> int:
    """Frames of the longest video that a dataset can have."""
    stored, generated = OF_VIDEOS | dataset.get("frames", {}), generated_seconds(dataset)
    seconds: float = min(stored["max_seconds"], generated[1] if generated else math.inf)
    return int(seconds * stored["fps"]) + 2


def check_generated(config: Config) -> None:
    """Whether the videos that the workflow writes can be used.

    Raises:
        VieError: says which dataset would reject all of its own.
    """
    for name, dataset in config["datasets"].items():
        if (seconds := generated_seconds(dataset)) is None:
            continue
        key, stored = f"datasets.{name}", dataset["frames"]
        if stored["max_seconds"] < seconds[0]:
            raise VieError(
                f"{key}.frames.max_seconds: {stored['max_seconds']:g}: the videos that are written "
                f"play {seconds[0]:g} to {seconds[1]:g} s, and all would be rejected: choose more"
            )
        if dataset["min_frames"] > (most := longest_video(dataset)):
            raise VieError(
                f"{key}.min_frames: {dataset['min_frames']}: the videos that are written have "
                f"{most} frames at most with frames.fps {stored['fps']:g}: all would be rejected"
            )
