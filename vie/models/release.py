"""The authors' released network, VIE-3DResNet, as a checkpoint of vie.

The release's training graph names its variables by number, in the order in which it makes them
(protocol section 12): `resnet_model/conv3d_7/kernel`. Arrays are laid out as TensorFlow does.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vie.clips.transform import ClipTransform
from vie.config.settings import RELEASED
from vie.frames.index import load_index
from vie.models.checkpoint_format import ENCODER, describe
from vie.models.encoders import Encoder, build_encoder
from vie.models.resnet import PreactivationBlock, ResNet18
from vie.models.tensorflow_checkpoint import TensorBundle
from vie.runtime.errors import VieError, shown

log = logging.getLogger(__name__)
FPS = 25  # of the frames that it was trained on; protocol section 1
STEP, BANK, LABELS = "global_step", "instance/memory_bank", "instance/all_labels"
BATCH_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
WIDEST = 1024  # filters of the stem, 64 in the release
NO_INDEX = "only training that goes on from this network needs it, with the index of its videos"


class Weight(NamedTuple):
    """One array under both names."""

    theirs: str
    ours: str


def weights(network: Encoder) -> Iterator[Weight]:
    """The names of a 3D ResNet's arrays, in the order of the release's graph."""
    counts = {"conv3d": 0, "batch_normalization": 0}

    def numbered(kind: str) -> str:
        number, counts[kind] = counts[kind], counts[kind] + 1
        return f"resnet_model/{kind}_{number}" if number else f"resnet_model/{kind}"

    def convolution(ours: str) -> Iterator[Weight]:
        yield Weight(f"{numbered('conv3d')}/kernel", f"{ours}.weight")

    def batch_norm(ours: str) -> Iterator[Weight]:
        theirs = numbered("batch_normalization")
        for their_name, our_name in BATCH_NORM.items():
            yield Weight(f"{theirs}/{their_name}", f"{ours}.{our_name}")

    resnet = network.get_submodule("trunk.resnet")
    assert isinstance(resnet, ResNet18)
    yield from convolution("trunk.resnet.stem")
    for name, block in resnet.named_modules(prefix="trunk.resnet"):
        if isinstance(block, PreactivationBlock):
            yield from batch_norm(f"{name}.bn1")
            if block.projection is not None:
                yield from convolution(f"{name}.projection")
            yield from convolution(f"{name}.conv1")
            yield from batch_norm(f"{name}.bn2")
            yield from convolution(f"{name}.conv2")
    yield from batch_norm("trunk.resnet.final_bn")
    yield Weight("resnet_model/dense/kernel", "head.weight")
    yield Weight("resnet_model/dense/bias", "head.bias")


def read_release(
    path: str | Path, recipe: dict[str, Any], index: Path | None = None
) -> dict[str, Any]:
    """Content of a checkpoint of vie, from a checkpoint of the authors' code.

    Args:
        path: the released tar, or the `.index` file of an unpacked one.
        recipe: of VIE-3DResNet, for all that the file does not say: clips, crops, colour noise,
            batch and objective.
        index: index.parquet of the training videos, if the memory bank is wanted.

    Returns:
        What `vie.models.checkpoint_format` describes, with "step" and "objectives", where the file
        has a memory bank "n_train", and where the rows of that (N, D) are the videos of the index
        "bank". What is not used is named in the log.

    Raises:
        VieError: the file is damaged, or holds another network.
    """
    bundle = TensorBundle(path)
    own = {key: value for key, value in recipe["encoder"].items() if key != "embedding_norm"}
    recipe = {**recipe, "encoder": {**own, **_sizes(bundle)}}  # the release has no such norm
    network = build_encoder(recipe["encoder"])
    state, used = network.state_dict(), {STEP}
    for weight in weights(network):
        _check_shape(bundle, weight.theirs, state[weight.ours])
    bundle.check()  # now that its network is known to be no larger than ours
    for weight in weights(network):
        state[weight.ours] = _as_ours(bundle, weight, state[weight.ours])
        used.add(weight.theirs)
    content = {
        **describe(recipe, ClipTransform.of(recipe), FPS),
        ENCODER: state,
        "step": _step(bundle),
        "objectives": recipe.get("objective"),
    }
    bank = bundle.entries.get(BANK)
    if bank is not None and len(bank.shape) == 2:
        content["n_train"] = bank.shape[0]
    if problem := _other_videos(bundle, network.dimensions, index):
        log.info("%s: its memory bank is left out: %s", path, problem)
    else:
        content["bank"] = {"vectors": _numbers(bundle, BANK)}
        used |= {BANK, LABELS}
    log.info("%s does not say its clips, batch and objective: those of the recipe are noted", path)
    if unused := [*bundle.others, *sorted(set(bundle.entries) - used)]:
        log.info("%s: not used: %s", path, ", ".join(map(shown, unused)))
    return content


def _step(bundle: TensorBundle) -> int:
    entry = bundle.entries.get(STEP)
    if entry is None or entry.shape not in ((), (1,)) or np.dtype(entry.dtype).kind != "i":
        raise VieError(f"{bundle.path} holds no whole number of steps as {STEP}")
    step = int(bundle.array(STEP).item())
    if step < 0:
        raise VieError(f"{bundle.path}: {STEP} is {step}, which is no number of steps")
    return step


def _other_videos(bundle: TensorBundle, dimensions: int, index: Path | None) -> str | None:
    """Why rows of the memory bank may be of other videos than those of an index, if they may.

    The file does not name its videos, but their classes, which it numbers in an order of its own.
    """
    bank, labels = bundle.entries.get(BANK), bundle.entries.get(LABELS)
    if bank is None:
        return "it holds none"
    if len(bank.shape) != 2 or bank.shape[1] != dimensions:
        return f"it has the shape {bank.shape}, not videos x {dimensions}"
    if index is None:
        return NO_INDEX
    ours = load_index(index).labels
    if len(ours) != bank.shape[0]:
        return f"it has {bank.shape[0]} rows, and {index} {len(ours)} videos"
    if labels is None or labels.shape != ours.shape:
        return f"{LABELS} does not say the class of each row"
    theirs = bundle.array(LABELS)
    pairs = np.unique(np.stack([theirs, ours]), axis=1).shape[1]
    if not pairs == len(np.unique(theirs)) == len(np.unique(ours)):
        return f"rows that have one class there are of several classes in {index}, or the reverse"
    return None


def _sizes(bundle: TensorBundle) -> dict[str, Any]:
    """Width and dimensions of the network in the file.

    The sizes of large layers have to agree before a network of this width takes any memory.
    """
    shapes = {name: entry.shape for name, entry in bundle.entries.items()}
    stem = shapes.get("resnet_model/conv3d/kernel", ())
    last = shapes.get("resnet_model/conv3d_20/kernel", ())
    dense = shapes.get("resnet_model/dense/kernel", ())
    width = stem[-1] if stem else 0
    if (
        not 1 <= width <= WIDEST
        or last != (3, 3, 3, 8 * width, 8 * width)
        or len(dense) != 2
        or dense[0] != 8 * width
        or not dense[1]
    ):
        raise VieError(
            f"{bundle.path} does not hold the authors' VIE-3DResNet: its first and last "
            f"convolution and linear layer have the shapes {stem}, {last}, {dense}"
        )
    return {"network": RELEASED, "width": width, "embedding": dense[1]}


def _check_shape(bundle: TensorBundle, name: str, ours: Tensor) -> None:
    entry = bundle.entries.get(name)
    shape = entry.shape if entry else ()
    turned = tuple(shape[i] for i in _axes(len(shape)))
    if entry is None or turned not in (tuple(ours.shape), _with_time(ours)):
        found = f"has the shape {shape}" if entry else "is not there"
        raise VieError(
            f"{bundle.path} does not hold the authors' VIE-3DResNet: {name} {found}, and "
            f"{tuple(ours.shape)} is needed"
        )


def _as_ours(bundle: TensorBundle, weight: Weight, ours: Tensor) -> Tensor:
    """An array in our layout: DHWIO -> OIDHW, (inputs, outputs) -> (outputs, inputs)."""
    array = _numbers(bundle, weight.theirs)
    if weight.theirs.endswith("/moving_variance") and bool((array < 0).any()):
        raise VieError(f"{bundle.path}: {weight.theirs} holds a variance below zero")
    array = array.permute(_axes(array.ndim))
    return array.reshape(ours.shape).contiguous()  # (O, I, 1, H, W) -> (O, I, H, W) in 1x1 layers


def _numbers(bundle: TensorBundle, name: str) -> Tensor:
    """The array `name`: float32, and finite."""
    array = bundle.array(name)
    if array.dtype != np.float32:
        raise VieError(f"{bundle.path}: {name} holds numbers of type {array.dtype}, not float32")
    if not np.isfinite(array).all():
        raise VieError(f"{bundle.path}: {name} holds numbers that are not finite")
    return torch.from_numpy(array.copy())


def _axes(dimensions: int) -> tuple[int, ...]:
    return {5: (4, 3, 0, 1, 2), 2: (1, 0)}.get(dimensions, tuple(range(dimensions)))


def _with_time(ours: Tensor) -> tuple[int, ...]:
    """The shape of a spatial kernel as a temporal one of length 1."""
    shape = tuple(ours.shape)
    return (*shape[:2], 1, *shape[2:]) if len(shape) == 4 else shape
