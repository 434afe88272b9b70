"""What keys of the config mean: networks and layers, durations, small look-ups."""

import math
import os
import re
from pathlib import Path
from typing import Any

from vie.runtime.errors import VieError

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
VECTORS = ("embedding", *LAYERS)  # of a whole video, that can be written to files
RELEASED = "3dresnet"  # the only network whose weights were released
# Files that a recipe's `weights` may name: the authors' checkpoint, one of vie, a state_dict.
RELEASE, CHECKPOINT, STATE = (".tar", ".index"), ".pt", ".safetensors"
ESTIMATORS = ("nce_paper", "nce_estimated", "softmax")  # of instance recognition
OPN_FRAMES = (3, 4, 5)  # of a clip; OPN has 4
PRECISIONS = ("bf16", "tf32", "float32")
SPLITS = (1, 2, 3)  # the official ones of UCF101 and HMDB51
TENSORBOARD = "tensorboard"
# What may show the metrics of a training: TensorBoard, and the trackers that Accelerate knows.
BOARDS = (
    TENSORBOARD,
    "aim",
    "clearml",
    "comet_ml",
    "dvclive",
    "mlflow",
    "swanlab",
    "trackio",
    "wandb",
)
UNTRAINED = ("label", "monitor", "start_first")  # keys of a recipe that change no number
IMPORTED = "imported"  # in place of a stage's name: the network of a recipe that has `weights`


def canonical(value: Any) -> Any:
    """`value` such that what means the same is written the same: Snakemake compares text.

    Keys are sorted, whole floats become integers, tuples become lists, paths text.
    """
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if isinstance(value, Path) else value


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Merge `overlay` into `base` key by key, in place; anything but a mapping is replaced.

    Mappings that YAML's anchors share between keys become independent. As in Snakemake, an empty
    mapping replaces nothing.
    """
    for key, value in overlay.items():
        if isinstance(value, dict):
            below = base.get(key, {})
            base[key] = merge(below if isinstance(below, dict) or not value else {}, value)
        else:
            base[key] = value
    return base


def in_order_of(value: Any, model: Any) -> Any:
    """`value` with the keys that `model` has in the order of `model`, its other keys after them.

    Snakemake puts the keys of overlays first, and rows of tables come in the order of recipes.
    """
    if not isinstance(value, dict):
        return value
    model = model if isinstance(model, dict) else {}
    keys = [*(key for key in model if key in value), *(key for key in value if key not in model)]
    return {key: in_order_of(value[key], model.get(key)) for key in keys}


def dataset_folder(config: dict[str, Any], name: str, kind: str) -> str:
    """The folder of a dataset's "videos" or "annotations": the user's, or the workflow's own.

    A `~` in front is the user's home: no shell sees it in a config.
    """
    given: str | None = config["datasets"][name].get(kind)
    return f"resources/{name}/{kind}" if given is None else _below_root(config, name, given)


def dataset_places(config: dict[str, Any], dataset: str) -> list[str]:
    """Folders and list files of a dataset whose videos are looked for."""
    given = config["datasets"][dataset]["videos"]
    return [
        _below_root(config, dataset, one) for one in ([given] if isinstance(given, str) else given)
    ]


def _below_root(config: dict[str, Any], name: str, given: str) -> str:
    given, root = os.path.expanduser(given), config.get("roots", {}).get(name)
    return os.path.normpath(os.path.join(os.path.expanduser(root), given)) if root else given


def weights_file(recipe: dict[str, Any]) -> Path:
    """The file that `weights` of a recipe names; a `~` in front is the user's home."""
    return Path(os.path.expanduser(recipe["weights"]))


def stages(recipe: dict[str, Any]) -> list[str]:
    """Stages of a checked recipe's pretraining, in order; none where its weights are given."""
    if "weights" in recipe:
        return []
    return [key for key in recipe["schedule"] if key != "lr_drops"]


def recipes_of(evaluation: dict[str, Any]) -> list[str]:
    """Recipes whose networks an evaluation reads, one or several side by side."""
    recipe = evaluation["recipe"]
    return [recipe] if isinstance(recipe, str) else list(recipe)


def single_splits(targets: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{name: one split of a target}, what networks are trained on; `target` is the target's name.

    Where a target is all splits, split 1 has the target's own name, so that its results are those
    of a target of split 1, and the others have names of their own.
    """
    found = {}
    for name, target in targets.items():
        for split in SPLITS if target["split"] == "all" else [target["split"]]:
            own = f"{name}_split{split}" if target["split"] == "all" and split != 1 else name
            found[own] = {"dataset": target["dataset"], "split": split, "target": name}
    return found


def too_many(key: str, value: int, videos: int, of: str = "videos") -> list[str]:
    """A sentence if a setting `key` asks for more than there are videos, else nothing."""
    if value <= videos:
        return []
    choice = f"choose 1 to {videos}, or " if videos else ""
    return [f"{key}: {value} is more than the {videos} {of}: {choice}use more videos"]


def full_windows(frames: Any, window: int) -> Any:
    """Windows of `window` frames in so many frames (a number or an array of them), of which a rest
    is one more if it is at least half as long."""
    return (2 * frames + window) // (2 * window)


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


def probe_of(config: dict[str, Any], evaluation: str) -> dict[str, Any]:
    """Settings of the linear probe of an evaluation: `probe`, with a schedule of its own if any."""
    probe: dict[str, Any] = config["probe"]
    return probe | {
        "schedule": config["evaluations"][evaluation].get("schedule", probe["schedule"])
    }
