"""What `vie.config.checks` asks of linear probes, and of those on images."""

from collections.abc import Iterator
from typing import Any

from vie.config.layouts import LAYOUTS


def image_probe(settings: dict[str, Any], datasets: dict[str, Any]) -> Iterator[str]:
    """What is wrong with `image_probe` of a config."""
    name = settings["dataset"]
    if name not in datasets:
        yield f"image_probe.dataset: {name!r} is not among datasets: {', '.join(datasets)}"
    elif not LAYOUTS[layout := datasets[name]["layout"]].images:
        of_images = ", ".join(name for name, facts in LAYOUTS.items() if facts.images)
        yield f"image_probe.dataset: {name!r} has videos (layout {layout}), not {of_images}"
    yield from random_sized("image_probe", settings)
    yield from schedule("image_probe", settings)


def schedule(key: str, owner: dict[str, Any]) -> Iterator[str]:
    """Whether the `schedule` of classifiers, where there is one, trains them."""
    duration = owner.get("schedule", {"duration": "1 epochs"})["duration"]
    if not float(duration.split()[0]):
        yield f"{key}.schedule.duration: {duration} trains no classifiers: choose more"


def random_sized(key: str, owner: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the ranges of `random_sized`, where there is any."""
    for name, (low, high) in owner.get("random_sized", {}).items():
        if low > high:
            yield f"{key}.random_sized.{name}: [{low:g}, {high:g}] must rise"
