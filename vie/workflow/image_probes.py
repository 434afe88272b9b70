"""Which files linear probes on images are made of (protocol section 10), and their settings.

All of it follows from the config alone. Imports neither torch, pandas nor Snakemake.
"""

from typing import Any

from vie.config.clip_frames import clip_frames
from vie.runtime.errors import VieError
from vie.workflow.paths import IMAGES_TABLE, Experiment


def image_dataset(experiment: Experiment) -> str:
    """The dataset of images.

    Raises:
        VieError: the config has no settings for images.
    """
    if not experiment.has_images:
        missing = "image_probe" if IMAGES_TABLE in experiment.rows else f"tables.{IMAGES_TABLE}"
        raise VieError(
            f"{IMAGES_TABLE} needs `{missing}`, which this config does not have: config.yaml and "
            "experiments/kinetics400.yaml have it"
        )
    name: str = experiment.config["image_probe"]["dataset"]
    return name


def image_file(experiment: Experiment, file: str) -> str:
    """A file of the dataset of images."""
    return f"resources/{image_dataset(experiment)}/{file}"


def image_transform(experiment: Experiment, evaluation: str) -> dict[str, Any]:
    """Crops and colour jitter of images: the evaluation's sizes, all else the image probe's."""
    settings = experiment.config["image_probe"]
    geometry = experiment.transform(evaluation)["geometry"]
    return {
        "geometry": geometry | {"random_sized": settings["random_sized"]},
        "color_jitter": settings["color_jitter"],
    }


def image_settings(experiment: Experiment, evaluation: str) -> dict[str, Any]:
    """Settings of the classifiers of an evaluation, as `vie.probe.probe` takes them."""
    settings, row = experiment.config["image_probe"], experiment.evaluations[evaluation]
    own = row.get("image_probe", {})
    return {
        "optimiser": settings["optimiser"],
        "schedule": own.get("schedule", settings["schedule"]),
        "clips": 1,
        "frames": clip_frames(row["clip"]).frames,
        "pooled": own.get("pooled", False),
    }


def image_probes(experiment: Experiment, file: str) -> list[str]:
    """`file` of every evaluation and seed of the table, evaluation by evaluation.

    Raises:
        VieError: as `image_dataset`.
    """
    image_dataset(experiment)
    return experiment.probes(IMAGES_TABLE, file, kind="image_probe")
