"""Published accuracies, and whether a measured accuracy is comparable with them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from vie.clips.sampling import sampling
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
MISSING_SHARE = 0.05  # videos disappear from the web: every copy of Kinetics lacks some
# Quantities of other.csv that are columns of Tables 1 and S1; those of other datasets are not.
LAST = "(last printed validation)"
QUANTITIES = {f"linear probe {layer} top-1 {LAST}": layer for layer in LAYERS}
QUANTITIES |= {f"10-nearest-neighbour top-1 at about step 1.47 million {LAST}": "knn10"}
# What makes a pretext task the published one (section 9), and the step of OPN's last drop of the
# learning rate.
PRETEXT_QUANTITY = "frame-order accuracy on its training task"
PRETEXT = {
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
# Optimiser of finetuned networks (True) and of those trained from scratch (section 8).
FINETUNED = {
    True: {"batch": 128, "lr": 0.0005, "weight_decay": 1e-5, "decayed": "new_layer"},
    False: {"batch": 128, "lr": 0.01, "weight_decay": 1e-4, "decayed": "all"},
}
TWO_PATHWAY: dict[str, float] = {"batch": 64}  # what these networks have of their own
ROTNET_3D = {"lr": 0.008}


def read_published(folder: Path, labels: list[str], *, all_known: bool = False) -> pd.DataFrame:
    """Published values of the models `labels`, in that order, indexed by model.

    Args:
        folder: of table_s1.csv and other.csv, whose rows name their sources.
        labels: models.
        all_known: whether a model without published values is an error.

    Returns:
        Columns conv3, conv4, conv5 and knn10 in percent, and dataset; NaN where nothing is
        published.

    Raises:
        VieError: a file is missing or lacks a column, or, with `all_known`, nothing is published
            of a model.
    """
    wide = _read(folder / "table_s1.csv", ("model", "dataset", *LAYERS))
    published = wide.set_index("model").reindex(columns=[*QUANTITIES.values(), "dataset"])
    for quantity, column in QUANTITIES.items():
        for model, row in _values(folder, quantity, DATASET).iterrows():
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


def comparable(metadata: Metadata, label: str, dataset: str | float) -> bool:
    """Whether an evaluation has the dataset and the scale of the published values.

    Args:
        metadata: of a probe, as written by `vie.probe`.
        label: of the row.
        dataset: that the published values are of; NaN where nothing is published.
    """
    if label not in ROWS:
        return False
    network, clip = ROWS[label]
    scale = {
        "dataset_official_name": dataset,
        "classes": PAPER["classes"],
        "frames": FRAMES,
        "size": NETWORKS[network]["size"],
        "sampling": _numbers_of(clip),
        "probe": {"clips": PAPER["clips"], "optimiser": PROBE},
    }
    pretraining = {
        "batch": NETWORKS[network]["batch"],
        "encoder": ENCODER | {"network": network},
        "objective": OBJECTIVE,
    }
    networks = metadata["networks"]
    return (
        _holds(metadata, scale)
        and _has_enough_videos(metadata)
        and len(networks) == 1
        and _holds(networks[0], pretraining)
        and networks[0]["steps"] >= LAST_DROPS[network]
        and metadata["steps"] >= PROBE_STEPS[label]
    )


def comparable_pretext(metadata: Metadata, label: str, dataset: str | float) -> bool:
    """As `comparable`, of a pretext accuracy with metadata written by `vie.pretext`."""
    if label not in PRETEXT:
        return False
    source = {"dataset_official_name": dataset, "sampling": _numbers_of("opn")}
    return (
        _holds(metadata, PRETEXT[label] | source)
        and _has_enough_videos(metadata)
        and metadata["steps"] >= PRETEXT_STEPS
    )


def comparable_finetuned(metadata: Metadata) -> bool:
    """Whether a finetuned network has the dataset and the scale of the paper's.

    The videos of the validation do not count: the paper does not name them.

    Args:
        metadata: as written by `vie.finetune`.
    """
    found, trained = metadata["network"], metadata["trained"]
    networks = found if isinstance(found, list) else [found]  # several that were trained together
    trunks = [network["encoder"].get("network") for network in networks]
    scale = {
        "dataset_official_name": metadata["target"],
        "split": 1,
        "size": NETWORKS.get(trunks[0], NETWORKS["single"])["size"],
        "frames": FRAMES,
        "optimiser": FINETUNED[trained] | _of_network(networks, trained),
    }
    counts = COUNTS.get(metadata["target"], {})
    n_train = metadata["n_train"] + metadata["n_held_out"]
    return (
        _holds(metadata, scale)
        and n_train >= (1 - MISSING_SHARE) * counts[TRAIN]
        and metadata["n_test"] >= (1 - MISSING_SHARE) * counts[TEST]
        and all(network["encoder"].get("width") == ENCODER["width"] for network in networks)
        and (not trained or metadata["pretrained_on"] == DATASET)
        and (
            not trained
            or all(
                network["steps"] >= LAST_DROPS.get(trunk, 0)
                for network, trunk in zip(networks, trunks, strict=True)
            )
        )
    )


def _of_network(networks: list[Metadata], trained: bool) -> dict[str, float]:
    """What the optimiser of finetuning has of its own for some pretrained networks."""
    if not trained:
        return {}
    if len(networks) > 1:
        return TWO_PATHWAY
    network, objective = networks[0]["encoder"].get("network"), networks[0].get("objective") or {}
    return ROTNET_3D if network == "3dresnet" and "rotation" in objective else {}


def _has_enough_videos(metadata: Metadata) -> bool:
    return all(metadata[n] >= (1 - MISSING_SHARE) * PAPER[n] for n in ("n_train", "n_val"))


def _numbers_of(clip: str) -> dict[str, Any]:
    """A clip sampling as in metadata.json, where tuples are lists."""
    numbers: dict[str, Any] = json.loads(json.dumps(asdict(sampling(clip))))
    return numbers


def _holds(settings: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether `settings` has all values of `wanted`, and perhaps others."""
    return all(
        _holds(settings.get(key) or {}, value)
        if isinstance(value, dict)
        else settings.get(key) == value
        for key, value in wanted.items()
    )
