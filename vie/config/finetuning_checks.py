"""What the models cannot say of finetuning: names of splits, and lengths that fit each other.

Part of `vie.config.checks`: each yields sentences that name the key, its value and what is allowed.
"""

from collections.abc import Iterator
from typing import Any

from vie.config.layouts import OFFICIAL_NAMES
from vie.config.probe_checks import useless_drops
from vie.config.settings import SPLITS


def split_names(targets: dict[str, Any]) -> Iterator[str]:
    """Targets with the name of a split of a target of all splits, which is a column too."""
    for name, target in targets.items():
        names = [f"{name}_split{split}" for split in SPLITS] if target["split"] == "all" else []
        for taken in (one for one in names if one in targets):
            yield (
                f"finetuning.targets.{taken}: this is the name of a split of {name}, which is of "
                "all splits: choose another one"
            )


def lengths(config: dict[str, Any]) -> Iterator[str]:
    """Lengths of training in which there would be no validation, and drops that nothing has."""
    settings, evaluations = config["finetuning"], config["evaluations"]
    most, every = (settings["schedule"][key] for key in ("most", "every"))
    if not _fits(every, most):
        yield f"finetuning.schedule.every: {every} must be more than 0 and at most {most} (most)"
    for name, evaluation in evaluations.items():
        for i, release in enumerate(evaluation.get("finetuning", {}).get("release", [])):
            key, length = f"evaluations.{name}.finetuning.release.{i}", release["duration"]
            if not _fits(every, length):
                yield (
                    f"{key}.duration: {length} is shorter than the time between two validations "
                    f"(finetuning.schedule.every: {every})"
                )
            else:
                yield from useless_drops(f"{key}.lr_drops", release["lr_drops"], [length])
            # One of the paper's may be missing from the targets on purpose.
            known = [*settings["targets"], *OFFICIAL_NAMES]
            if (target := release.get("target", known[0])) not in known:
                targets = ", ".join(settings["targets"])
                yield f"{key}.target: {target!r} is not among finetuning.targets: {targets}"


def _fits(every: str, length: str) -> bool:
    """Whether there is a validation, as far as the units tell."""
    (between, unit), (longest, other) = (
        (float(amount), unit) for amount, unit in (every.split(), length.split())
    )
    return between > 0 and longest > 0 and (unit != other or between <= longest)
