"""The objectives by name, and what can be said of them without torch.

Snakemake reads this each time it builds the job graph, so it imports no torch. A recipe's
`schedule` names objectives: those in `BUILTIN`, or the user's own, whose path stands in the
recipe's `classes`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from vie.config.settings import too_many
from vie.runtime.errors import VieError
from vie.runtime.importing import check_trusted, load_object
from vie.runtime.randomness import torch_seed

if TYPE_CHECKING:
    from torch import Tensor

    from vie.clips.transform import ClipTransform
    from vie.models.encoders import Encoder
    from vie.objectives.base import Objective

FLOAT = 4  # bytes
BEGUN = 0.5  # nats gained from which on instance recognition counts as begun
CHUNK = 65_536  # bank vectors that local aggregation compares at a time
ROTATIONS = 4  # of every clip, in rotation prediction
PER_FRAME = ("frame_shift", "channel_dropping")  # settings that are arguments of ClipTransform

# Bytes that a step needs besides network and bank, from the videos in a batch, the videos N of the
# bank, the dimensions D of the embedding, and the objective's own settings.
Scratch = Callable[[int, int, int, dict[str, Any]], int]

# Sentences on the objective's own settings that do not fit the N videos of the bank; each begins
# with the key.
Problems = Callable[[dict[str, Any], int], list[str]]


def no_scratch(batch: int, instances: int, dimensions: int, settings: dict[str, Any]) -> int:
    """Nothing worth counting."""
    return 0


def _noise(batch: int, instances: int, dimensions: int, settings: dict[str, Any]) -> int:
    """The entries drawn for each clip, (B, K, D), and their probabilities; or all of the bank's."""
    if settings["estimator"] == "softmax":
        return 3 * FLOAT * batch * instances
    negatives: int = settings["negatives"]
    return FLOAT * batch * negatives * (dimensions + 8)


def _neighbours(batch: int, instances: int, dimensions: int, settings: dict[str, Any]) -> int:
    """The larger of k-means over a copy of the bank and the similarities to a part of it."""
    similarities = 2 * batch * min(instances, CHUNK)
    neighbours: int = settings["neighbours"]
    gathered = batch * neighbours * dimensions
    return FLOAT * max(instances * dimensions, similarities + gathered)


def no_problems(settings: dict[str, Any], instances: int) -> list[str]:
    """Any number of videos will do."""
    return []


def _few_negatives(settings: dict[str, Any], instances: int) -> list[str]:
    """Noise that is drawn from the bank, and videos to be told apart."""
    if instances < 2:
        return ["estimator: one video cannot be told from others: use more videos"]
    estimator, negatives = settings["estimator"], settings["negatives"]
    if estimator == "softmax" or not too_many("negatives", negatives, instances):
        return []
    return [
        f"negatives: {negatives} of {estimator} is more than the {instances} videos: set estimator "
        f"to softmax, which compares with all of them, or choose 1 to {instances} negatives"
    ]


def _few_videos(settings: dict[str, Any], instances: int) -> list[str]:
    """Clusters and neighbours."""
    keys = ("clusters", "neighbours")
    return [text for key in keys for text in too_many(key, settings[key], instances)]


@dataclass(frozen=True)
class Facts:
    """What an objective asks of everything around it."""

    n_views: int = 1  # clips of each video in a step, each with draws of its own
    shown: int = 1  # times that the network sees each of them, as copies that the objective makes
    frame_settings: tuple[str, ...] = ()  # its settings that are arguments of `ClipTransform`
    scratch_bytes: Scratch = no_scratch  # memory of a step
    problems: Problems = no_problems  # what of its settings does not fit the number of videos


class Builtin(NamedTuple):
    """One of vie's own objectives: "module:Class", and its facts."""

    path: str
    facts: Facts


# Stage -> objective; `vie.config.recipes` has the order of stages, and their settings.
BUILTIN = {
    "instance_recognition": Builtin(
        "vie.objectives.instance_recognition:InstanceRecognition",
        Facts(scratch_bytes=_noise, problems=_few_negatives),
    ),
    "local_aggregation": Builtin(
        "vie.objectives.local_aggregation:LocalAggregation",
        Facts(scratch_bytes=_neighbours, problems=_few_videos),
    ),
    "supervised": Builtin("vie.objectives.supervised:Supervised", Facts()),
    "order_prediction": Builtin(
        "vie.objectives.order_prediction:OrderPrediction", Facts(frame_settings=PER_FRAME)
    ),
    "rotation": Builtin("vie.objectives.rotation:Rotation", Facts(shown=ROTATIONS)),
}


def path_of(recipe: dict[str, Any], stage: str) -> str:
    """ "module:Class" of a stage of a recipe.

    Raises:
        VieError: nothing of that name is known.
    """
    if (own := recipe.get("classes", {}).get(stage)) is not None:
        return str(own)
    if stage in BUILTIN:
        return BUILTIN[stage].path
    raise VieError(
        f"objective {stage!r} is unknown; use one of: {', '.join(BUILTIN)}, or add its name "
        'and "module:Class" to objectives in the config'
    )


def objective_class(recipe: dict[str, Any], stage: str) -> "type[Objective]":
    """Import the class of a stage (and torch).

    Raises:
        VieError: it is not there, or is no objective.
    """
    from vie.objectives.base import Objective

    path = path_of(recipe, stage)
    found = load_object(path)
    if not (isinstance(found, type) and issubclass(found, Objective)):
        raise VieError(f"{path} is not a subclass of vie.objectives.base.Objective")
    return found


def facts_of(recipe: dict[str, Any], stage: str) -> Facts:
    """What a stage asks for; imports the class only if it is a user's own."""
    own = stage in recipe.get("classes", {}) or stage not in BUILTIN
    return objective_class(recipe, stage).facts if own else BUILTIN[stage].facts


def settings_of(recipe: dict[str, Any], stage: str) -> dict[str, Any]:
    """A stage's own settings, those of single frames among them."""
    return dict(recipe["objective"].get(stage, {}))


def scratch_bytes(recipe: dict[str, Any], stage: str, instances: int, dimensions: int) -> int:
    """Bytes that a step of a stage needs besides network, activations and bank (N, D)."""
    batch, settings = recipe["optimiser"]["batch"], settings_of(recipe, stage)
    return facts_of(recipe, stage).scratch_bytes(batch, instances, dimensions, settings)


def size_problems(recipe: dict[str, Any], stage: str, instances: int) -> list[str]:
    """What of a stage's settings does not fit the number N of videos in the bank; each sentence
    begins with the key in the recipe."""
    found = facts_of(recipe, stage).problems(settings_of(recipe, stage), instances)
    return [f"objective.{stage}.{problem}" for problem in found]


def transform_of(recipe: dict[str, Any], stage: str) -> "ClipTransform":
    """Clips of a stage: the recipe's, with what its objective does to single frames."""
    from vie.clips.transform import ClipTransform

    settings, keys = settings_of(recipe, stage), facts_of(recipe, stage).frame_settings
    return ClipTransform.of(recipe, **{key: settings[key] for key in keys if key in settings})


def build_objective(
    recipe: dict[str, Any], stage: str, labels: "Tensor", seed: int, encoder: "Encoder"
) -> "Objective":
    """The objective of a stage of a recipe, its weights drawn for `seed`: see `Objective.build`.

    Raises:
        VieError: the class is not there, or its settings do not fit it or the number of videos.
    """
    import torch

    found = objective_class(recipe, stage)
    if problems := size_problems(recipe, stage, len(labels)):
        raise VieError("\n".join(problems))
    of_frames = found.facts.frame_settings
    settings = {k: v for k, v in settings_of(recipe, stage).items() if k not in of_frames}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "objective"))
        try:
            return found.build(recipe, settings, labels, seed, encoder)
        except TypeError as error:
            if "argument" not in str(error):
                raise
            raise VieError(f"objective.{stage} of the recipe does not fit: {error}") from error


def objective_of(content: dict[str, Any], encoder: "Encoder") -> "Objective":
    """The objective in a checkpoint of pretraining, in evaluation mode.

    `content` is what `vie.models.checkpoint_format.read` returned, and `encoder` the network in it.

    Raises:
        VieError: the objective is a user's own, and this process's config does not name it.
    """
    import torch

    recipe, stage = content["recipe"], content["stage"]
    check_trusted(path_of(recipe, stage), "the checkpoint")
    objective = build_objective(recipe, stage, torch.empty(0), content["seed"], encoder)
    objective.load_state_dict(content["objective"])
    return objective.eval()
