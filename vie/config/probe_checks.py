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
    if (own := owner.get("schedule")) is None:
        return
    duration = own["duration"]
    if not float(duration.split()[0]):
        yield f"{key}.schedule.duration: {duration} trains no classifiers: choose more"
        return
    yield from useless_drops(f"{key}.schedule.lr_drops", own["lr_drops"], [duration])


def useless_drops(key: str, drops: list[str], lengths: list[str]) -> Iterator[str]:
    """Drops of the learning rate before the first step or after the last one of a training of such
    lengths, as far as the units tell; `vie.workflow.sizes` counts steps."""
    total = sum(float(length.split()[0]) for length in lengths)
    units = {length.split()[1] for length in lengths}
    for drop in drops:
        amount, unit = drop.split()
        if not float(amount):
            yield f"{key}: {drop}: the rate of the first step is lr: leave this drop out"
        elif units == {unit} and float(amount) >= total:
            yield too_late(key, drop, f"{total:g} {unit}")


def too_late(key: str, drop: str, end: str) -> str:
    """A sentence on a drop after the end of training."""
    return (
        f"{key}: {drop}: training ends at {end}, so the rate would not fall: choose less, or leave "
        "this drop out"
    )


def random_sized(key: str, owner: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the ranges of `random_sized`, where there is any."""
    for name, (low, high) in owner.get("random_sized", {}).items():
        if low > high:
            yield f"{key}.random_sized.{name}: [{low:g}, {high:g}] must rise"
