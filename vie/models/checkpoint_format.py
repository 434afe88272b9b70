"""Checkpoints that say what they are, and the networks in them.

Every checkpoint of a network is a dict with the fields of `describe`, and

    of pretraining (also untrained):  "encoder", the encoder's state_dict
    of finetuning:                    "network", the classifier's; "classes", names in order
"""

from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vie import __version__
from vie.clips.transform import ClipTransform
from vie.models.classifiers import Classifier
from vie.models.encoders import Encoder, build_encoder
from vie.models.input import InputSpec
from vie.models.resnet import channels_last
from vie.runtime import torch_files
from vie.runtime.errors import VieError
from vie.runtime.importing import check_trusted

FORMAT = 1  # raise it when a field changes its meaning
FIELDS = {"format", "vie_version", "recipe", "transform", "fps"}
ENCODER, CLASSIFIER = "encoder", "network"  # fields with the weights, by kind of checkpoint
Network = TypeVar("Network", Encoder, Classifier)
METADATA = ("stage", "step", "seed", "n_train", "vie_version")


def describe(recipe: dict[str, Any], transform: ClipTransform, fps: float | None) -> dict[str, Any]:
    """Fields that every checkpoint of a network holds besides its weights.

    Args:
        recipe: whose `encoder` and `classes` build the network.
        transform: of the clips that the network has seen.
        fps: of the frames; None where they are not known.
    """
    return {
        "format": FORMAT,
        "vie_version": __version__,
        "recipe": recipe,
        "transform": transform.to_dict(),
        "fps": fps,
    }


def read(path: str | Path, weights: str = ENCODER) -> dict[str, Any]:
    """Content of a checkpoint on the CPU.

    Args:
        path: of the file.
        weights: the field that is needed: `ENCODER` or `CLASSIFIER`.

    Raises:
        VieError: the file is damaged, is no checkpoint of vie or of another kind or format.
    """
    path = Path(path)
    content = torch_files.load(path)
    if not isinstance(content, dict) or "recipe" not in content:
        raise VieError(f"{path} is not a checkpoint of vie: it holds no recipe")
    found = content.get("format")
    if found is None:
        raise VieError(
            f"{path} was written by a version of vie before 0.2, which did not record what its "
            "network was shown: make it again, or load it with the version that wrote it"
        )
    if found != FORMAT:
        raise VieError(
            f"{path} has format {found}, and this is vie {__version__}, which reads format "
            f"{FORMAT}: use vie {content.get('vie_version')}, which wrote it"
        )
    if missing := sorted((FIELDS | {weights}) - set(content)):
        reader = {ENCODER: "load_classifier", CLASSIFIER: "load_encoder"}[weights]
        other = {ENCODER: CLASSIFIER, CLASSIFIER: ENCODER}[weights]
        advice = f"load it with vie.{reader}" if other in content else "make it again"
        raise VieError(f"{path} holds no {', '.join(missing)}: {advice}")
    return content


def encoder_of(
    content: dict[str, Any], *, trust: bool = False, source: str | Path = "the checkpoint"
) -> Encoder:
    """The network in the content of a checkpoint of pretraining, in evaluation mode.

    Args:
        content: that `read` returned.
        trust: whether to import the module of a network that is not part of vie. What the config
            of this process names (`vie.runtime.importing.trust`) is trusted anyway.
        source: of the content, for messages.

    Returns:
        The encoder on the CPU, with `input` and `metadata`.

    Raises:
        VieError: the network is not trusted, or the weights are not the network's.
    """
    encoder = _network(content, trust=trust, source=source)
    _take_over(encoder, content[ENCODER], source)
    return _finished(encoder, content)


def classifier_of(
    content: dict[str, Any], *, trust: bool = False, source: str | Path = "the checkpoint"
) -> Classifier:
    """The classifier in the content of a checkpoint of finetuning, in evaluation mode.

    Args and raises as for `encoder_of`. The result has `classes` too.
    """
    encoder = _network(content, trust=trust, source=source)
    with torch.random.fork_rng(devices=[]):
        classifier = Classifier(encoder, len(content["classes"]))
    _take_over(classifier, content[CLASSIFIER], source)
    classifier.classes = tuple(content["classes"])
    return _finished(classifier, content)


def _network(content: dict[str, Any], *, trust: bool, source: str | Path) -> Encoder:
    """The recipe's network with any weights."""
    recipe = content["recipe"]
    classes, network = recipe.get("classes", {}), recipe["encoder"].get("network")
    path = str(classes.get(network, network))
    if ":" in path and not trust:
        check_trusted(path, str(source))
    with torch.random.fork_rng(devices=[]):
        return build_encoder(recipe["encoder"], classes)


def _take_over(network: nn.Module, state: dict[str, Tensor], source: str | Path) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise VieError(
            f"{source}: its weights do not fit the network it names: {reason}"
        ) from error


def _finished(network: Network, content: dict[str, Any]) -> Network:
    """With what a checkpoint says of the network, in evaluation mode."""
    network.input = InputSpec.of(ClipTransform.from_dict(content["transform"]), content["fps"])
    network.metadata = {key: content.get(key) for key in METADATA} | {"recipe": content["recipe"]}
    channels_last(network)
    return network.eval()
