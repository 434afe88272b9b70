"""What keys of the config mean: names of stages and layers, durations, small look-ups.

Imports neither torch nor pandas: Snakemake uses it each time it builds the job graph.
"""

import math
import os
import re
from typing import Any

from vie.config.clip_frames import clip_frames
from vie.runtime.errors import VieError

# Stages of pretraining in their order; a recipe has those that its schedule names.
STAGES = (
    *("instance_recognition", "local_aggregation"),
    *("supervised", "order_prediction", "rotation"),
)
PRETEXTS = ("order_prediction", "rotation")  # stages that set a task with right answers
ALONE = ("supervised", *PRETEXTS)  # stages that neither follow nor precede another one
# Settings of its own that the objective of a stage needs.
SETTINGS = ("instance_recognition", "local_aggregation", *PRETEXTS)
# Networks, and their settings with the paper's values (protocol section 4).
FAMILY = {"width": 64, "bn_momentum": 0.003}
NETWORKS: dict[str, dict[str, int | float]] = {
    "single": FAMILY,
    "trn": FAMILY | {"frames": 4},
    "slow": FAMILY,
    "fast": FAMILY | {"width": 8},
    "slowfast": FAMILY | {"fast_width": 8, "stride": 4},
    "3dresnet": FAMILY,
}
LAYERS = ("conv3", "conv4", "conv5")  # that classifiers read, protocol section 7


def asks_for_motion(clip: str | dict[str, Any]) -> bool:
    """Whether a clip setting places its frames where the video moves.

    Raises:
        VieError: its numbers do not fit each other.
    """
    return bool(clip_frames(clip).windows)


def dataset_folder(config: dict[str, Any], name: str, kind: str) -> str:
    """The folder of a dataset's "videos" or "annotations": the user's, or the workflow's own.

    A `~` in front is the user's home: no shell sees it in a config.
    """
    given: str | None = config["datasets"][name].get(kind)
    if given is None:
        return f"resources/{name}/{kind}"
    given, root = os.path.expanduser(given), config.get("roots", {}).get(name)
    return os.path.normpath(os.path.join(os.path.expanduser(root), given)) if root else given


def stages(recipe: dict[str, Any]) -> list[str]:
    """Stages of a recipe's pretraining, in order: built-in ones, then the user's own."""
    given = [key for key in recipe["schedule"] if key != "lr_drops"]
    return sorted(given, key=lambda stage: STAGES.index(stage) if stage in STAGES else len(STAGES))


def recipes_of(evaluation: dict[str, Any]) -> list[str]:
    """Recipes whose networks an evaluation reads, one or several side by side."""
    recipe = evaluation["recipe"]
    return [recipe] if isinstance(recipe, str) else list(recipe)


def resolve_steps(duration: str, steps_per_epoch: int) -> int:
    """Steps of a duration such as "500 steps" or "2.5 epochs", rounded up.

    Raises:
        VieError: it is neither.
    """
    found = re.fullmatch(r"(?:(\d+) steps?|(\d+(?:\.\d+)?) epochs?)", str(duration))
    if not found:
        raise VieError(f'a duration is written "500 steps" or "2.5 epochs", but got {duration!r}')
    steps, epochs = found.groups()
    return int(steps) if steps else math.ceil(float(epochs) * steps_per_epoch - 1e-9)
