"""Why a measured accuracy is not comparable with a published one.

Functions list in plain words what differs from the published evaluation. An accuracy is comparable
if there is nothing.
"""

import json
from dataclasses import asdict
from typing import Any

from vie.clips.sampling import sampling
from vie.config.layouts import TITLES, the
from vie.datasets.holdout import CLASSES, COUNTS
from vie.datasets.split_assignment import TEST, TRAIN
from vie.reporting.published import DATASET

Metadata = dict[str, Any]  # of a result

# What makes an evaluation the paper's: counts and frames of protocol section 1, 5 test clips of
# section 2, objectives of section 5.
PAPER = {f"n_{split}": count for split, count in COUNTS[DATASET].items()}
PAPER |= {"classes": CLASSES[DATASET], "clips": 5}
FRAMES = {"fps": 25, "shorter_side": 320}
OBJECTIVE: dict[str, Any] = {
    "temperature": 0.07,
    "bank_momentum": 0.5,
    "instance_recognition": {
        "estimator": "nce_paper",
        "negatives": 4096,
        "first_temperature": None,
    },
    "local_aggregation": {"clusters": 8000, "neighbours": 512, "kmeans_iterations": 20},
}
PROBE = {"batch": 128, "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}  # section 7
# Network and clip sampling of the published rows (sections 2, 4). For each network, the size of its
# input and its batch (sections 3, 6).
ROWS = {
    "TRN-Input-Single": ("single", "trn"),
    "Slow-Input-Single": ("single", "slow"),
    "Sf-Input-Single": ("single", "slowfast"),
    "VIE-3DResNet": ("3dresnet", "3dresnet"),
}
# For each of these rows, the step of its classifiers' last drop of the learning rate (section 7).
PROBE_STEPS = {
    "TRN-Input-Single": 324_998,
    "Slow-Input-Single": 344_998,
    "Sf-Input-Single": 209_999,
    "VIE-3DResNet": 255_000,
}
# Steps of measurements while VIE-3DResNet is pretrained: the end of instance recognition; and the
# last one before the first drop of the rate, where one is made every 5,000 steps.
CURVE_STEPS = {"begin": (50_000, 50_000), "drop": (969_946, 974_946)}
# Probes on images: how often each image is shown, and the last drop of the rate (section 10).
IMAGENET = "imagenet"
IMAGES = {f"n_{split}": count for split, count in COUNTS[IMAGENET].items()}
IMAGES |= {"classes": CLASSES[IMAGENET]}
OF_IMAGES = {"VIE-3DResNet": {"frames": 16, "steps": 940_000}}
NETWORKS = {"single": {"size": 224, "batch": 128}, "3dresnet": {"size": 112, "batch": 64}}
ENCODER: dict[str, Any] = {
    "width": 64,
    "embedding": 128,
    "embedding_norm": None,
    "bn_momentum": 0.003,
}
# Step of the last drop of the learning rate of VIE's networks (section 6).
LAST_DROPS = {
    "single": 1_220_011,
    "slow": 1_380_011,
    "slowfast": 1_294_998,
    "3dresnet": 1_304_998,
    "trn": 1_570_011,
}
# Keys of metadata in words, where they do not read well.
WORDS = {
    "fps": "frames per second",
    "frames": "number of times that an image is shown",
    "shorter_side": "shorter side of stored frames",
    "size": "input size",
    "classes": "number of classes",
    "clips": "number of test clips",
    "lr": "learning rate",
    "decayed": "what weight decay is for",
    "bn_momentum": "momentum of batch norm",
    "bank_momentum": "momentum of the memory bank",
    "neighbours": "number of background neighbours",
    "clusters": "number of clusters",
    "negatives": "number of negatives",
}
NOTHING = ["nothing is published of it"]
MISSING_SHARE = 0.05  # videos disappear from the web: every copy of Kinetics lacks some
# What makes a pretext task the published one (section 9), and the step of OPN's last drop of the
# learning rate.
PRETEXT: dict[str, dict[str, Any]] = {
    "OPN": {
        "task": "order_prediction",
        "size": 80,
        "batch": 128,
        "encoder": {"network": "single", "width": 64},
        "objective": {"hidden": 512, "frame_shift": 5, "channel_dropping": True},
    }
}
PRETEXT_STEPS = 269_998
FINETUNED_ON = ("ucf101", "hmdb51")
# Optimiser of finetuned networks (True) and of those trained from scratch (section 8).
FINETUNED = {
    True: {"batch": 128, "lr": 0.0005, "weight_decay": 1e-5, "decayed": "new_layer"},
    False: {"batch": 128, "lr": 0.01, "weight_decay": 1e-4, "decayed": "all"},
}
TWO_PATHWAY: dict[str, float] = {"batch": 64}  # what these networks have of their own
ROTNET_3D = {"lr": 0.008}


def differences(
    metadata: Metadata, label: str, dataset: str | float, title: str = "another one"
) -> list[str]:
    """What of an evaluation is not as it was where its values were published.

    Args:
        metadata: of a probe, as written by `vie.probe`.
        label: of the row.
        dataset: that the published values are of; NaN where nothing is published.
        title: what the evaluation's own dataset is called.
    """
    if label not in ROWS or not isinstance(dataset, str):
        return NOTHING
    if dataset == IMAGENET:
        return _differences_images(metadata, label, title)
    network, clip = ROWS[label]
    found = _dataset(metadata, dataset, title)
    networks = metadata["networks"]
    if len(networks) != 1:
        return [*found, f"{len(networks)} networks are read together, not one"]
    found += _pretraining(networks[0], network)
    found += _clips(metadata, NETWORKS[network]["size"], clip)
    scale = {"frames": FRAMES, "classes": PAPER["classes"]}
    found += _unlike(metadata, scale)
    found += _unlike(metadata["probe"], {"clips": PAPER["clips"]})
    found += _unlike(metadata["probe"].get("optimiser") or {}, PROBE, " of the classifiers")
    found += _videos(metadata, PAPER)
    return found + _short(metadata["steps"], PROBE_STEPS[label], "the classifiers were trained")


def _differences_images(metadata: Metadata, label: str, title: str) -> list[str]:
    """`differences` of a probe on images."""
    if label not in OF_IMAGES:
        return NOTHING
    found, (network, _) = _dataset(metadata, IMAGENET, title), ROWS[label]
    if metadata.get("pretrained_on") != DATASET:
        found.append(f"it was not pretrained on {TITLES[DATASET]}")
    found += _pretraining(metadata["networks"][0], network)
    shown = {"clips": 1, "frames": OF_IMAGES[label]["frames"], "pooled": False}
    found += _unlike(metadata, {"size": NETWORKS[network]["size"], "classes": IMAGES["classes"]})
    found += _unlike(metadata["probe"], shown)
    found += _unlike(metadata["probe"].get("optimiser") or {}, PROBE, " of the classifiers")
    found += _videos(metadata, IMAGES, "images")
    least = OF_IMAGES[label]["steps"]
    return found + _short(metadata["steps"], least, "the classifiers were trained")


def differences_pretext(
    metadata: Metadata, label: str, dataset: str | float, title: str = "another one"
) -> list[str]:
    """As `differences`, of a pretext accuracy with metadata written by `vie.pretext`."""
    if label not in PRETEXT or not isinstance(dataset, str):
        return NOTHING
    wanted = dict(PRETEXT[label])
    found = _dataset(metadata, dataset, title) + _unlike(metadata, {"encoder": wanted["encoder"]})
    found += _clips(metadata, wanted.pop("size"), "opn")
    found += [one for one in _unlike(metadata, wanted) if one not in found]
    found += _videos(metadata, PAPER)
    return found + _short(metadata["steps"], PRETEXT_STEPS, "it was trained")


def differences_curve(
    metadata: Metadata, at: str, label: str, dataset: str, title: str = "another one"
) -> list[str]:
    """As `differences`, of nearest neighbours while a network is pretrained.

    Args:
        metadata: settings of its recipe, and the step that was measured.
        at: the published step, a key of `CURVE_STEPS`.
        label, dataset, title: as for `differences`.
    """
    network, clip = ROWS[label]
    found = _dataset(metadata, dataset, title)
    found += _pretraining(metadata | {"steps": LAST_DROPS[network]}, network)
    found += _clips(metadata, NETWORKS[network]["size"], clip)
    found += _unlike(metadata, {"frames": FRAMES, "clips": PAPER["clips"]})
    found += _videos(metadata, PAPER)
    low, high = CURVE_STEPS[at]
    if not low <= metadata["step"] <= high:
        found.append(f"it was measured at step {metadata['step']:,}, not {high:,}")
    return found


def differences_finetuned(metadata: Metadata, title: str = "another one") -> list[str]:
    """As `differences`, of a finetuned network, with metadata as written by `vie.finetune`.

    The videos of the validation do not count: the paper does not name them.
    """
    target, about, trained = metadata["target"], metadata["network"], metadata["trained"]
    if target not in FINETUNED_ON:
        return [f"dataset is {title}, not {' or '.join(TITLES[one] for one in FINETUNED_ON)}"]
    networks = about if isinstance(about, list) else [about]  # several that were trained together
    trunks, counts = [one["encoder"].get("network") for one in networks], COUNTS[target]
    found = _dataset(metadata, target, title)
    for network in networks:
        found += _unlike(network["encoder"], {"width": ENCODER["width"]})
    scale: dict[str, Any] = {
        "size": NETWORKS.get(trunks[0], NETWORKS["single"])["size"],
        "split": 1,
    }
    scale["optimiser"] = FINETUNED[trained] | (_of_row(networks) if trained else {})
    found += _unlike(metadata, scale | {"frames": FRAMES})
    found += _fewer(metadata["n_train"] + metadata["n_held_out"], counts[TRAIN], "training videos")
    found += _fewer(metadata["n_test"], counts[TEST], "test videos")
    if trained and metadata["pretrained_on"] != DATASET:
        found.append(f"it was not pretrained on {TITLES[DATASET]}")
    for network, trunk in zip(networks, trunks, strict=True) if trained else ():
        found += _short(network["steps"], LAST_DROPS.get(trunk, 0), "it was pretrained")
    return found


def _of_row(networks: list[Metadata]) -> dict[str, float]:
    """What the optimiser of finetuning has of its own for some pretrained networks."""
    if len(networks) > 1:
        return TWO_PATHWAY
    network, objective = networks[0]["encoder"].get("network"), networks[0].get("objective") or {}
    return ROTNET_3D if network == "3dresnet" and "rotation" in objective else {}


def _dataset(metadata: Metadata, dataset: str, title: str) -> list[str]:
    if metadata["dataset_official_name"] == dataset:
        return []
    return [f"dataset is {the(title)}, not {TITLES.get(dataset, dataset)}"]


def _pretraining(network: dict[str, Any], trunk: str) -> list[str]:
    """Differences of a network, as a probe's metadata describes it, from one of the paper's."""
    if found := _unlike(network["encoder"], {"network": trunk}):
        return found
    found = _unlike(network["encoder"], ENCODER)
    found += _unlike(network, {"batch": NETWORKS[trunk]["batch"]}, " of pretraining")
    found += _unlike(network.get("objective") or {}, OBJECTIVE)
    return found + _short(network["steps"], LAST_DROPS[trunk], "it was pretrained")


def _clips(metadata: Metadata, size: int, clip: str) -> list[str]:
    """Differences of what a network is shown."""
    own, wanted = metadata["sampling"], json.loads(json.dumps(asdict(sampling(clip))))
    found = _unlike(metadata, {"size": size})
    if own["frames"] != wanted["frames"]:
        return [*found, f"clips have {own['frames']} frames, not {wanted['frames']}"]
    # In metadata.json tuples are lists.
    same = _unlike(own, wanted) == []
    return found if same else [*found, "the frames of clips are chosen in another way"]


def _videos(metadata: Metadata, wanted: Metadata, kind: str = "videos") -> list[str]:
    found = _fewer(metadata["n_train"], wanted["n_train"], f"training {kind}")
    return found + _fewer(metadata["n_val"], wanted["n_val"], f"validation {kind}")


def _fewer(own: int, theirs: int, what: str) -> list[str]:
    if own >= (1 - MISSING_SHARE) * theirs:
        return []
    return [f"there are {own:,} {what}, not {theirs:,}"]


def _short(own: int, least: int, what: str) -> list[str]:
    return [] if own >= least else [f"{what} for {own:,} steps, not {least:,} or more"]


def _unlike(settings: dict[str, Any], wanted: dict[str, Any], of: str = "") -> list[str]:
    """What of `wanted` is not so in `settings`, which may have other keys too."""
    found = []
    for key, value in wanted.items():
        own = settings.get(key)
        if isinstance(value, dict):
            found += _unlike(own or {}, value, of)
        elif own != value:
            shown = "missing" if own is None else own
            words = WORDS.get(key, key.replace("_", " "))
            found.append(f"{words}{of} is {shown}, not {'none' if value is None else value}")
    return found
