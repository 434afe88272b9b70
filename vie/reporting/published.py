"""Published accuracies, and why a measured accuracy is not comparable with them.

Functions `differences*` list in plain words what differs from the published evaluation. An accuracy
is comparable if there is nothing.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from vie.clips.sampling import sampling
from vie.config.layouts import TITLES, the
from vie.config.settings import LAYERS
from vie.datasets.holdout import CLASSES, COUNTS
from vie.datasets.split_assignment import TEST, TRAIN
from vie.runtime.errors import VieError

Metadata = dict[str, Any]  # of a result

# What makes an evaluation the paper's: counts and frames of protocol section 1, 5 test clips of
# section 2, objectives of section 5.
DATASET = "kinetics400"
PAPER = {f"n_{split}": count for split, count in COUNTS[DATASET].items()}
PAPER |= {"classes": CLASSES[DATASET], "clips": 5}
FRAMES = {"fps": 25, "shorter_side": 320}
OBJECTIVE = {
    "temperature": 0.07,
    "bank_momentum": 0.5,
    "instance_recognition": {"estimator": "nce_paper", "negatives": 4096},
    "local_aggregation": {"clusters": 8000, "neighbours": 512, "kmeans_iterations": 20},
}
IMAGENET = "imagenet"
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
# Probes on images: how often each image is shown, and the last drop of the rate (section 10).
OF_IMAGES = {"VIE-3DResNet": {"frames": 16, "steps": 940_000}}
# Steps of measurements while VIE-3DResNet is pretrained: the end of instance recognition; and the
# last one before the first drop of the rate, where one is made every 5,000 steps.
CURVE_STEPS = {"begin": (50_000, 50_000), "drop": (969_946, 974_946)}
NETWORKS = {"single": {"size": 224, "batch": 128}, "3dresnet": {"size": 112, "batch": 64}}
ENCODER = {"width": 64, "embedding": 128, "bn_momentum": 0.003}
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
# Quantities of other.csv that are columns of Tables 1 and S1; those of other datasets are not.
LAST = "(last printed validation)"
QUANTITIES = {f"linear probe {layer} top-1 {LAST}": layer for layer in LAYERS}
QUANTITIES |= {f"10-nearest-neighbour top-1 at about step 1.47 million {LAST}": "knn10"}
# What makes a pretext task the published one (section 9), and the step of OPN's last drop of the
# learning rate.
PRETEXT_QUANTITY = "frame-order accuracy on its training task"
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
FINETUNED_QUANTITY = "{target} top-1, finetuned, {pipeline}"  # of other.csv, for tables 2 and 3
FINETUNED_ON = ("ucf101", "hmdb51")
# Optimiser of finetuned networks (True) and of those trained from scratch (section 8).
FINETUNED = {
    True: {"batch": 128, "lr": 0.0005, "weight_decay": 1e-5, "decayed": "new_layer"},
    False: {"batch": 128, "lr": 0.01, "weight_decay": 1e-4, "decayed": "all"},
}
TWO_PATHWAY: dict[str, float] = {"batch": 64}  # what these networks have of their own
ROTNET_3D = {"lr": 0.008}


def read_published(
    folder: Path, labels: list[str], measured_on: str = DATASET, *, all_known: bool = False
) -> pd.DataFrame:
    """Published values of the models `labels`, in that order, indexed by model.

    Args:
        folder: of table_s1.csv and other.csv, whose rows name their sources.
        labels: models.
        measured_on: official name of the dataset that the values are of.
        all_known: whether a model without published values is an error.

    Returns:
        Columns conv3, conv4, conv5 and knn10 in percent, and dataset; NaN where nothing is
        published.

    Raises:
        VieError: a file is missing or lacks a column, or, with `all_known`, nothing is published
            of a model.
    """
    wide = _read(folder / "table_s1.csv", ("model", "dataset", *LAYERS))
    wide = wide[wide["dataset"] == measured_on]
    published = wide.set_index("model").reindex(columns=[*QUANTITIES.values(), "dataset"])
    for quantity, column in QUANTITIES.items():
        for model, row in _values(folder, quantity, measured_on).iterrows():
            published.loc[model, [column, "dataset"]] = row["value"], row["dataset"]
    unknown = [label for label in labels if label not in published.index]
    if unknown and all_known:
        raise VieError(
            f"{folder}: nothing is published of {', '.join(unknown)}; there is: "
            f"{', '.join(published.index)}. The labels of the table's evaluations in the "
            "config must be among these"
        )
    return published.reindex(labels)


def read_published_pretext(folder: Path, labels: list[str]) -> pd.DataFrame:
    """As `read_published`, accuracies of pretext tasks: columns value (percent) and dataset."""
    return _values(folder, PRETEXT_QUANTITY, DATASET).reindex(labels)


def read_published_finetuned(
    folder: Path, labels: list[str], targets: list[str], pipeline: str
) -> pd.DataFrame:
    """As `read_published`, accuracies in percent after finetuning: one column per target."""
    columns = {}
    for target in targets:
        quantity = FINETUNED_QUANTITY.format(target=target, pipeline=pipeline)
        columns[target] = _values(folder, quantity, target)["value"]
    return pd.DataFrame(columns, dtype=float).reindex(labels)


def _values(folder: Path, quantity: str, dataset: str) -> pd.DataFrame:
    """Columns value and dataset of a quantity of other.csv, measured on a dataset, by model."""
    table = _read(folder / "other.csv", ("model", "quantity", "value", "dataset"))
    found = table[(table["quantity"] == quantity) & (table["dataset"] == dataset)]
    return found.set_index("model")[["value", "dataset"]]


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise VieError(
            f"{path}: the file of published values is missing; restore it from the repository"
        ) from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise VieError(f"{path}: lacks the columns {', '.join(missing)}")
    return table


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
    network, clip = ROWS[label]
    found = _dataset(metadata, dataset, title)
    networks = metadata["networks"]
    if len(networks) != 1:
        return [*found, f"{len(networks)} networks are read together, not one"]
    found += _pretraining(networks[0], network)
    found += _unlike(metadata["probe"].get("optimiser") or {}, PROBE, " of the classifiers")
    if dataset == IMAGENET:
        return found + _images(metadata, network, **OF_IMAGES[label])
    found += _clips(metadata, NETWORKS[network]["size"], clip)
    scale = {"frames": FRAMES, "classes": PAPER["classes"]}
    found += _unlike(metadata, scale)
    found += _unlike(metadata["probe"], {"clips": PAPER["clips"]})
    found += _videos(metadata)
    return found + _short(metadata["steps"], PROBE_STEPS[label], "the classifiers were trained")


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
    found += _videos(metadata)
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
    found += _unlike(metadata, {"frames": FRAMES, "clips": PAPER["clips"]}) + _videos(metadata)
    low, high = CURVE_STEPS[at]
    if not low <= metadata["step"] <= high:
        found.append(f"it was measured at step {metadata['step']:,}, not {high:,}")
    return found


def differences_finetuned(metadata: Metadata, title: str = "another one") -> list[str]:
    """As `differences`, of a finetuned network, with metadata as written by `vie.finetune`.

    The videos of the validation do not count: the paper does not name them.
    """
    target, found, trained = metadata["target"], metadata["network"], metadata["trained"]
    if target not in FINETUNED_ON:
        return [f"dataset is {title}, not {' or '.join(TITLES[one] for one in FINETUNED_ON)}"]
    networks = found if isinstance(found, list) else [found]  # several that were trained together
    trunks, counts = [one["encoder"].get("network") for one in networks], COUNTS[target]
    size = NETWORKS.get(trunks[0], NETWORKS["single"])["size"]
    of_row = {"optimiser": FINETUNED[trained] | _of_network(networks, trained)}
    found = _dataset(metadata, target, title)
    for network in networks:
        found += _unlike(network["encoder"], {"width": ENCODER["width"]})
    found += _unlike(metadata, {"size": size, "split": 1, "frames": FRAMES} | of_row)
    found += _fewer(metadata["n_train"] + metadata["n_held_out"], counts[TRAIN], "training")
    found += _fewer(metadata["n_test"], counts[TEST], "test")
    if trained and metadata["pretrained_on"] != DATASET:
        found.append(f"it was not pretrained on {TITLES[DATASET]}")
    for network, trunk in zip(networks, trunks, strict=True) if trained else ():
        found += _short(network["steps"], LAST_DROPS.get(trunk, 0), "it was pretrained")
    return found


def _of_network(networks: list[Metadata], trained: bool) -> dict[str, float]:
    """What the optimiser of finetuning has of its own for some pretrained networks."""
    if not trained:
        return {}
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


def _videos(metadata: Metadata) -> list[str]:
    found = _fewer(metadata["n_train"], PAPER["n_train"], "training")
    return found + _fewer(metadata["n_val"], PAPER["n_val"], "validation")


def _images(metadata: Metadata, network: str, frames: int, steps: int) -> list[str]:
    """Differences of a probe on images, each of which is shown so many times."""
    probe, counts = metadata["probe"], COUNTS[IMAGENET]
    found = _unlike(metadata, {"size": NETWORKS[network]["size"], "classes": CLASSES[IMAGENET]})
    found += _unlike(probe, {"clips": 1})
    if probe["frames"] != frames:
        found.append(f"an image is shown {probe['frames']} times, not {frames}")
    if probe["pooled"]:
        found.append("Conv5 is averaged over space")
    found += _fewer(metadata["n_train"], counts["train"], "training", "images")
    found += _fewer(metadata["n_val"], counts["val"], "validation", "images")
    if metadata.get("pretrained_on") != DATASET:
        found.append(f"it was not pretrained on {TITLES[DATASET]}")
    return found + _short(metadata["steps"], steps, "the classifiers were trained")


def _fewer(own: int, theirs: int, kind: str, of: str = "videos") -> list[str]:
    if own >= (1 - MISSING_SHARE) * theirs:
        return []
    return [f"there are {own:,} {kind} {of}, not {theirs:,}"]


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
            found.append(f"{words}{of} is {shown}, not {value}")
    return found
