"""Fields of checkpoints, which strangers may have written, checked before a network is built."""

import json
from typing import Any

import torch
from torch import Tensor

from vie.clips.transform import ClipTransform
from vie.config.clip_frames import FPS, QUALITIES, SIDES
from vie.config.settings import NETWORKS
from vie.models.encoders import POOLED, SHARED
from vie.models.safetensors_file import DTYPES
from vie.runtime.errors import VieError, shown
from vie.runtime.values import check_kind, check_real, check_whole

WIDEST, LONGEST_VECTOR = 4096, 65536
MOST_TOGETHER = 4  # networks side by side
LARGEST_HEAD = 2**28  # numbers that a network which is built to be compared may take: 1 GB
# Settings of vie's own networks that are counts.
COUNTS = ("width", "fast_width", "frames", "stride")


def check_fields(content: dict[str, Any], weights: str) -> None:
    """Check kinds and ranges of a checkpoint's fields.

    Args:
        content: with the fields of `vie.models.checkpoint_format`.
        weights: the field with the state_dict.

    Raises:
        VieError: with the field's name.
    """
    _check_plain({key: value for key, value in content.items() if key != weights})
    recipes, state = content["recipe"], content[weights]
    if weights == "encoder" or not isinstance(recipes, list):
        recipes = [recipes]
    if not 1 <= len(recipes) <= MOST_TOGETHER:
        raise VieError(f"recipe is a list of {len(recipes)}, and has to be of 1 to {MOST_TOGETHER}")
    for recipe in recipes:
        check_kind("recipe", recipe, dict)
    check_weights(state, weights)
    held = sum(value.numel() for value in state.values())
    for recipe in recipes:
        _check_encoder(recipe, held, LARGEST_HEAD // len(recipes))
    if content["fps"] is not None:
        check_real("fps", content["fps"], *FPS)
    ClipTransform.from_dict(content["transform"])
    for key, kind in (("frames", dict), ("provenance", dict), ("licence", str)):
        if content.get(key) is not None:
            check_kind(key, content[key], kind)
    if content.get("frames") is not None:
        _check_frames(content["frames"])


def check_weights(state: Any, field: str) -> None:
    """Check that a state_dict is one: text -> tensors on the CPU of finite numbers."""
    check_kind(field, state, dict)
    for name, value in state.items():
        place = f"{field}: {shown(name)}"
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise VieError(f"{field} has to hold tensors by name: see {shown(name)}")
        if value.layout != torch.strided or value.dtype not in DTYPES.values():
            raise VieError(f"{place} has the type {value.dtype} ({value.layout})")
        # One that repeats its numbers takes little room in a file, and any in memory.
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise VieError(f"{place} promises more numbers than it has")
        # As float32, which networks have: larger numbers of float64 are infinite there.
        if value.is_floating_point() and not bool(value.float().isfinite().all()):
            raise VieError(f"{place} holds numbers that are not finite")


def _check_plain(content: dict[str, Any]) -> None:
    """Check that what describes the network is plain values, as in files of safetensors."""
    described = ("recipe", "transform", "fps", "frames", "provenance", "licence", "objectives")
    for key in (*described, "stage", "step", "seed", "n_train", "vie_version", "classes"):
        try:
            json.dumps(content.get(key))
        except (TypeError, ValueError, RecursionError):
            raise VieError(
                f"{key} holds other things than numbers, text, lists and dicts"
            ) from None


def _check_encoder(recipe: dict[str, Any], held: int, largest_head: int) -> None:
    """Check the settings of a network whose weights are among `held` numbers."""
    settings, classes = recipe.get("encoder", {}), recipe.get("classes")
    check_kind("recipe.encoder", settings, dict)
    if classes is not None:
        check_kind("recipe.classes", classes, dict)
    check_kind("recipe.encoder.network", settings.get("network"), str)
    if settings["network"] not in NETWORKS or settings["network"] in (classes or {}):
        return  # one of the user's own: its settings are for its code to check
    settings = SHARED | NETWORKS[settings["network"]] | settings
    for key in (key for key in COUNTS if key in settings):
        check_whole(f"recipe.encoder.{key}", settings[key], 1, WIDEST)
    if settings["embedding"] != POOLED:
        check_whole("recipe.encoder.embedding", settings["embedding"], 1, LONGEST_VECTOR)
    check_real("recipe.encoder.bn_momentum", settings["bn_momentum"], 0, 1)
    check_kind("recipe.encoder.form", settings["form"], str)
    # A convolution of the last stage alone has 8 width x 8 width x 3 x 3 numbers.
    for key in ("width", "fast_width"):
        if 576 * settings.get(key, 0) ** 2 > held:
            raise VieError(
                f"its weights do not fit the network it names: {held} numbers are too few for the "
                f"{key} of {settings[key]} in recipe.encoder"
            )

    head = settings["embedding"] if settings["embedding"] != POOLED else 0
    if (size := head * settings.get("frames", 1) * 8 * settings["width"]) > max(held, largest_head):
        raise VieError(
            f"its weights do not fit the network it names: {held} numbers are too few for the "
            f"{size} of the embedding of {head} in recipe.encoder"
        )


def _check_frames(frames: dict[str, Any]) -> None:
    """Check how videos become JPEG frames."""
    if set(frames) != {"fps", "shorter_side", "quality"}:
        raise VieError(f"frames has to have fps, shorter_side and quality, not {shown(frames)}")
    check_real("frames.fps", frames["fps"], *FPS)
    check_whole("frames.shorter_side", frames["shorter_side"], *SIDES)
    if frames["quality"] != "default":
        check_whole("frames.quality", frames["quality"], *QUALITIES)
