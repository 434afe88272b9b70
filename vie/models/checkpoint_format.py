"""Checkpoints that say what they are, and the networks in them: `vie.load_encoder`.

Every checkpoint of a network is a dict with the fields of `describe`, and

    of pretraining (also untrained):  "encoder", the encoder's state_dict
    of finetuning:                    "network", the classifier's; "classes", names in order. Where
                                      several networks train together, "recipe" is a list of theirs

An encoder file (`encoder_file`) is a checkpoint of pretraining without what training goes on from.
A file of safetensors that `vie.export` wrote is the same dict: the encoder's state_dict, and the
other fields as JSON in its note "vie".
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import torch

from vie import __version__
from vie.clips.transform import ClipTransform
from vie.config.settings import STATE
from vie.models import safetensors_file
from vie.models.classifiers import Classifier
from vie.models.encoders import Encoder, build_encoder, load_weights
from vie.models.field_checks import check_fields
from vie.models.input import InputSpec
from vie.models.pretrained import located
from vie.models.resnet import channels_last
from vie.runtime import torch_files
from vie.runtime.errors import VieError, shown
from vie.runtime.importing import check_trusted
from vie.runtime.torch_files import content_digest

FORMAT = 2  # 2: the first max pool pads at its end. Raise it when a field changes its meaning
FIELDS = {"format", "vie_version", "recipe", "transform", "fps"}
ENCODER, CLASSIFIER = "encoder", "network"  # fields with the weights, by kind of checkpoint
# Kind of checkpoint -> the other kind, and what loads that.
OTHER_KIND = {
    ENCODER: (CLASSIFIER, "is a checkpoint of finetuning: load it with vie.load_classifier"),
    CLASSIFIER: (ENCODER, "is a checkpoint of pretraining: load it with vie.load_encoder"),
}
NOTE = "vie"  # name of the note in a file of safetensors
DIGEST = "vie_digest"  # name of another: `content_digest` of the tensors and of that note
Network = TypeVar("Network", Encoder, Classifier)
METADATA = ("stage", "step", "seed", "n_train", "vie_version")
# Fields of encoder files alone: how videos become frames (fps, shorter_side, quality), where the
# network comes from, and the licence that it is given under.
OF_ENCODER_FILES = ("frames", "provenance", "licence")


def describe(
    recipe: dict[str, Any] | list[dict[str, Any]], transform: ClipTransform, fps: float | None
) -> dict[str, Any]:
    """Fields that every checkpoint of a network holds besides its weights.

    The recipe's `encoder` and `classes` build the network, which has seen clips of this transform;
    those of a list build networks side by side. `fps` is that of the frames, None where it is not
    known.
    """
    return {
        "format": FORMAT,
        "vie_version": __version__,
        "recipe": recipe,
        "transform": transform.to_dict(),
        "fps": fps,
    }


def network_digest(content: dict[str, Any]) -> str:
    """Of the network in a checkpoint of pretraining: its settings and its weights."""
    return content_digest([content["recipe"]["encoder"], content["encoder"]])


def network_metadata(content: dict[str, Any]) -> dict[str, Any]:
    """What results of the network in a checkpoint of pretraining say of it."""
    return {
        "steps": content["step"],
        "encoder": content["recipe"]["encoder"],
        "objective": content.get("objectives"),
        "imported_from": content.get("imported_from"),  # a file, in place of training
    }


def read(path: str | Path, weights: str = ENCODER) -> dict[str, Any]:
    """Content of a checkpoint on the CPU. Its kind is that of `weights`: ENCODER or CLASSIFIER.

    The path may be the name of a network that comes with vie (`vie.models.pretrained`).

    Raises:
        VieError: the file is damaged, is no checkpoint of vie or of another kind or format.
    """
    path = located(path)
    content = _read_safetensors(path) if path.suffix == STATE else torch_files.load(path)
    if not isinstance(content, dict) or "recipe" not in content:
        raise VieError(f"{path} is not a checkpoint of vie: it holds no recipe")
    found = content.get("format")
    if found is None:
        raise VieError(
            f"{path} was written by a version of vie before 0.2, which did not record what its "
            "network was shown: make it again, or load it with the version that wrote it"
        )
    if type(found) is not int or found != FORMAT:  # a tensor cannot be compared
        wrote = shown(content.get("vie_version"))
        raise VieError(
            f"{path} has format {shown(found)}, and this is vie {__version__}, which reads format "
            f"{FORMAT}: make it again, or use vie {wrote}, which wrote it"
        )
    other, advice = OTHER_KIND[weights]
    if weights not in content and other in content:
        raise VieError(f"{path} {advice}")
    if missing := sorted((FIELDS | {weights}) - set(content)):
        raise VieError(f"{path} holds no {', '.join(missing)}: make it again")
    try:
        check_fields(content, weights)
    except VieError as error:
        raise VieError(f"{path}: {error}") from None
    return content


def _read_safetensors(path: Path) -> Any:
    """Content of a checkpoint in a file of safetensors."""
    try:
        tensors, notes = safetensors_file.read(path)
        fields = json.loads(notes[NOTE]) if NOTE in notes else {}
        if DIGEST in notes and notes[DIGEST] != content_digest([tensors, notes.get(NOTE)]):
            raise ValueError("its checksum is wrong")
    except OSError as error:
        raise VieError(shown(error, longest=300)) from error
    except (AttributeError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise not_safetensors(path, error.__cause__ or error) from None
    return {**fields, ENCODER: tensors} if isinstance(fields, dict) else None


def not_safetensors(path: Path, error: BaseException) -> VieError:
    """What to raise where a file of safetensors cannot be read."""
    problem = shown(error, longest=300)
    return VieError(
        f"{path} is no file of safetensors that can be read ({problem}): get or make it again"
    )


def load_encoder(path: str | Path, *, trust: bool = False) -> Encoder:
    """The encoder of a checkpoint of pretraining: of a stage's end, or untrained.

        encoder = vie.load_encoder("results/.../local_aggregation.pt")
        embedding, features = encoder(clips)  # clips as encoder.input says

    Args:
        path: of the file, which may be one of safetensors that `vie.export` wrote; or the name of a
            network that comes with vie, such as "evening/vie_slow".
        trust: whether a network that is not part of vie may be imported, which runs its code.
            What the config of this process names (`vie.runtime.importing.trust`) always may.

    Returns:
        The encoder on the CPU, in evaluation mode. `input` says what it expects, `metadata` is a
        dict of its recipe, transform, stage, step, seed, n_train (videos it was trained on) and
        vie_version, and, of an encoder file, of frames, provenance and licence.

    Raises:
        VieError: the file is damaged, no checkpoint of pretraining, or names foreign code.
    """
    return encoder_of(read(path), trust=trust, source=path)


def load_classifier(path: str | Path, *, trust: bool = False) -> Classifier:
    """The classifier of a checkpoint of finetuning (`best.pt`).

    Args and raises as for `load_encoder`.

    Returns:
        The classifier on the CPU, in evaluation mode: clips -> logits (B, classes). `classes` are
        the names in the order of the logits; `input` and `metadata` are as an encoder's. Of
        several networks that were trained together, `input` is what all of them see, and the
        recipe in `metadata` a list.
    """
    content = read(path, CLASSIFIER)
    names = content.get("classes")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise VieError(f"{path}: classes is {shown(names)}, and has to be a list of names")
    recipes, classes = content["recipe"], tuple(names)
    recipes = recipes if isinstance(recipes, list) else [recipes]
    encoders = [_network(recipe, trust, path) for recipe in recipes]
    with torch.random.fork_rng(devices=[]):
        classifier = Classifier(encoders, len(classes))
    classifier.classes = classes
    return _filled(classifier, content, CLASSIFIER, path)


def encoder_of(
    content: dict[str, Any], *, trust: bool = False, source: str | Path = "the checkpoint"
) -> Encoder:
    """`load_encoder` of what `read` returned; `source` is its name for messages."""
    return _filled(_network(content["recipe"], trust, source), content, ENCODER, source)


def _network(recipe: dict[str, Any], trust: bool, source: str | Path) -> Encoder:
    """The recipe's network with any weights."""
    classes, network = recipe.get("classes") or {}, recipe["encoder"].get("network")
    path = str(classes.get(network, network))
    if ":" in path and not trust:
        check_trusted(path, str(source))
    try:
        with torch.random.fork_rng(devices=[]):
            return build_encoder(recipe["encoder"], classes)
    except VieError as error:
        raise VieError(f"{source}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        problem = shown(f"{type(e).__name__}: {e}", longest=300)
        raise VieError(f"{source}: its network cannot be built from its recipe: {problem}") from e


def _filled(network: Network, content: dict[str, Any], weights: str, source: str | Path) -> Network:
    """With the weights and what else a checkpoint says of the network, in evaluation mode."""
    complaint = f"{source}: its weights do not fit the network it names"
    load_weights(network, content[weights], complaint)
    network.input = InputSpec.of(ClipTransform.from_dict(content["transform"]), content["fps"])
    network.metadata = {key: content.get(key) for key in METADATA}
    own = ("recipe", "transform", *OF_ENCODER_FILES)
    network.metadata |= {key: content[key] for key in own if key in content}
    return channels_last(network).eval()
