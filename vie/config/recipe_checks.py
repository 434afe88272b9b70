"""What `vie.config.checks` asks of recipes: crops, networks, origins and lengths of training."""

from collections.abc import Iterator
from typing import Any

from vie.config.clip_frames import MOST_PIXELS, clip_frames
from vie.config.probe_checks import random_sized, useless_drops
from vie.config.recipes import PRETEXTS, STAGES, VIE, Objective
from vie.config.settings import (
    CHECKPOINT,
    NETWORKS,
    OPN_FRAMES,
    RELEASE,
    RELEASED,
    STATE,
    stages,
    weights_file,
)


def geometry(key: str, geometry: dict[str, Any]) -> Iterator[str]:
    """Sides of crops that do not fit each other."""
    (low, high), size = geometry["train_shorter_side"], geometry["size"]
    if not size <= low <= high:
        yield (
            f"{key}.geometry.train_shorter_side: [{low}, {high}] must rise and start at size "
            f"({size}) or above"
        )
    if geometry["test_shorter_side"] < size:
        yield f"{key}.geometry.test_shorter_side: must be at least size ({size})"
    yield from random_sized(f"{key}.geometry", geometry)


def recipe_problems(name: str, recipe: dict[str, Any], config: dict[str, Any]) -> Iterator[str]:
    """What of a recipe does not fit the rest of it, or of the config."""
    key = f"recipes.{name}"
    yield from geometry(key, recipe["geometry"])
    yield from pixels(key, recipe["clip"], recipe["geometry"])
    wrong_encoder = list(_encoder(key, recipe, config["networks"]))
    yield from wrong_encoder
    yield from _origins(name, config["recipes"])
    if "weights" in recipe:
        yield from _weights(key, recipe)
        return
    found = set(stages(recipe))
    alone = [stage for stage in (*STAGES, *config["objectives"]) if stage not in VIE]
    if not found or (len(found) > 1 and found & set(alone)):
        yield (
            f"{key}.schedule: name instance_recognition and local_aggregation, one of them, or one "
            f"of {', '.join(alone)} alone"
        )
    yield from _lengths(f"{key}.schedule", recipe)
    for stage in Objective.model_fields:
        if stage in found and stage not in recipe["objective"]:
            yield f"{key}.objective: lacks {stage}, which its schedule names"
    heads = [stage for stage in ("supervised", *PRETEXTS) if stage in found]
    if heads and recipe["encoder"]["embedding"] != "pooled":
        yield (
            f"{key}.encoder.embedding: {recipe['encoder']['embedding']} is a linear layer that "
            f"{heads[0]} would not train, as it has one of its own: set it to pooled"
        )
    if recipe["encoder"].get("embedding_norm"):
        yield from _norm(key, recipe)
    if "order_prediction" in found and not wrong_encoder:
        yield from _order(key, recipe)


def _norm(key: str, recipe: dict[str, Any]) -> Iterator[str]:
    """What a batch norm of the embedding asks of its recipe."""
    if recipe["encoder"]["embedding"] == "pooled":
        yield f"{key}.encoder.embedding_norm: there is no embedding to normalise: pooled has none"
    if recipe["optimiser"]["batch"] < 2:
        yield f"{key}.optimiser.batch: a batch norm of the embedding needs 2 or more"


def _lengths(key: str, recipe: dict[str, Any]) -> Iterator[str]:
    """Stages that last no step, and drops at the start; `vie.workflow.chains` looks at the end."""
    schedule = recipe["schedule"]
    lengths = {stage: length for stage, length in schedule.items() if stage != "lr_drops"}
    none = [stage for stage, length in lengths.items() if not float(length.split()[0])]
    recognition = recipe["objective"].get("instance_recognition") or {}
    whole, warm_up = lengths.get("instance_recognition"), recognition.get("warm_up")
    if whole and warm_up:
        (most, of_whole), (amount, unit) = whole.split(), warm_up.split()
        if unit == of_whole and float(amount) > float(most):
            owner = key.removesuffix(".schedule")
            yield (
                f"{owner}.objective.instance_recognition.warm_up: {warm_up}: instance recognition "
                f"lasts {whole}, so the temperature would not fall to objective.temperature: "
                "choose less"
            )
    if none and len(none) == len(lengths):
        yield f"{key}: trains for {' and '.join(lengths.values())}, which is no training at all"
        return
    for stage in none:
        yield f"{key}.{stage}: {lengths[stage]} is no training: null leaves this stage out"
    yield from useless_drops(f"{key}.lr_drops", schedule["lr_drops"], [])  # those at 0


def pixels(key: str, clip: Any, shape: dict[str, Any]) -> Iterator[str]:
    """A sentence on clips that are too large for any memory."""
    frames, size = clip_frames(clip).frames, shape["size"]
    if frames * size**2 > MOST_PIXELS:
        yield (
            f"{key}.clip: {frames} frames of {size} x {size} pixels (geometry.size) are more than "
            f"the {MOST_PIXELS:,} pixels that a clip may have"
        )


def _weights(key: str, recipe: dict[str, Any]) -> Iterator[str]:
    """What a recipe whose weights come from a file cannot have."""
    suffix, network = weights_file(recipe).suffix, recipe["encoder"]["network"]
    if suffix not in (*RELEASE, CHECKPOINT, STATE):
        yield (
            f"{key}.weights: {recipe['weights']!r} ends in none of "
            f"{', '.join((*RELEASE, CHECKPOINT, STATE))} (an archive that is compressed has to be "
            "unpacked)"
        )
    if {"{", "}"} & set(recipe["weights"]):
        yield f"{key}.weights: {recipe['weights']!r}: Snakemake reads no path with braces"
    if suffix in RELEASE and network != RELEASED:
        yield (
            f"{key}.encoder.network: {suffix} is the authors' checkpoint, which holds {RELEASED}, "
            f"not {network}"
        )
    if "start_from" in recipe:
        yield (
            f"{key}.start_from: a network whose weights come from a file (weights) is not trained, "
            "so it starts from nothing: set start_from to null, or leave weights out"
        )


def _origins(name: str, recipes: dict[str, Any]) -> Iterator[str]:
    chain, origin = [name], recipes[name].get("start_from")
    while origin is not None:
        if origin not in recipes or origin in chain:
            yield (
                f"recipes.{chain[-1]}.start_from: {origin!r} must be another recipe that does not "
                f"start from this one; there are: {', '.join(recipes)}"
            )
            return
        chain.append(origin)
        origin = recipes[origin].get("start_from")


def _order(key: str, recipe: dict[str, Any]) -> Iterator[str]:
    """What order prediction asks of its recipe."""
    clip, geometry = clip_frames(recipe["clip"]), recipe["geometry"]
    network, settings = recipe["encoder"]["network"], recipe["objective"].get("order_prediction")
    if network != "single":
        yield (
            f"{key}.encoder.network: order prediction shuffles features of single frames, so it "
            f"needs single, not {network}"
        )
    if clip.frames not in OPN_FRAMES:
        yield f"{key}.clip: order prediction needs 3 to 5 frames, not {clip.frames}"
    if recipe["min_frames"] < clip.span:
        yield (
            f"{key}.min_frames: must be at least the {clip.span} frames that its clip spans: a "
            "shorter video would start again from its first frame, out of order"
        )
    room = geometry["train_shorter_side"][0] - geometry["size"]
    if settings and "random_sized" not in geometry and 0 <= room < 2 * settings["frame_shift"]:
        yield (
            f"{key}.objective.order_prediction.frame_shift: {settings['frame_shift']} pixels to "
            "either side do not fit: geometry.train_shorter_side must exceed size by twice as much"
        )


def _encoder(key: str, recipe: dict[str, Any], own: dict[str, str]) -> Iterator[str]:
    """Settings that only some networks have, and clips that do not fit the network."""
    encoder, network = recipe["encoder"], recipe["encoder"]["network"]
    if network in own:
        return  # takes any settings
    if network not in NETWORKS:
        known = ", ".join((*NETWORKS, *own))
        yield f"{key}.encoder.network: {network!r} is not one of {known}; add your own to networks"
        return
    for setting in ("frames", "fast_width", "stride"):
        owners = [name for name, settings in NETWORKS.items() if setting in settings]
        if setting in encoder and network not in owners:
            yield f"{key}.encoder.{setting}: only the network {owners[0]} has it, not {network}"
    frames = clip_frames(recipe["clip"]).frames
    if network == "trn" and frames != encoder["frames"]:
        yield f"{key}.encoder.frames: {encoder['frames']} is not the {frames} frames of its clip"
    if network == "slowfast" and frames % encoder["stride"]:
        yield (
            f"{key}.clip: has {frames} frames, which is no multiple of encoder.stride "
            f"({encoder['stride']})"
        )
