"""Instances of pretraining that are not whole videos: their index, and how many there are.

Arithmetic only: imports neither torch, pandas nor numpy. `vie.frames.instances` makes the index.
"""

from typing import Any

from vie.config.settings import full_windows

Config = dict[str, Any]


def instances_name(settings: Config) -> str:
    """The folder of the index of some instances, such as share_0.3 or frames_52."""
    return "_".join(f"{key}_{settings[key]}" for key in ("share", "frames") if key in settings)


def instances_index(dataset: str, recipe: Config) -> str:
    """The index of the training instances of a recipe."""
    folder = f"resources/{dataset}/train"
    if own := recipe.get("instances"):
        folder += f"/instances/{instances_name(own)}"
    return f"{folder}/index.parquet"


def instances_used(recipes: dict[str, Config]) -> dict[str, Config]:
    """{name: settings} of all instances that recipes are trained on."""
    found = [recipe["instances"] for recipe in recipes.values() if "instances" in recipe]
    return {instances_name(settings): settings for settings in found}


def count_instances(settings: Config | None, videos: float, frames: float) -> int:
    """How many instances so many videos of so many frames each make.

    `settings` are a recipe's `instances`; None: every video is one.
    """
    if not settings:
        return int(videos)
    count: int = max(1, round(settings.get("share", 1) * videos))
    if window := settings.get("frames"):
        count *= max(1, int(full_windows(frames, window)))
    return count
