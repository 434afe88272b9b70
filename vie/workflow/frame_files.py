"""Files that whoever reads frames needs beside the index: inputs, so that a dry run sees them gone.

Arithmetic only: imports neither torch, pandas nor Snakemake.
"""

from typing import Any

from vie.workflow.image_probes import image_dataset
from vie.workflow.paths import Experiment


def sizes_of(dataset: str, split: str) -> str:
    """What the index of a split says of its JPEGs; it cannot be loaded without."""
    return f"resources/{dataset}/{split}/index.sizes.npy"


def frame_files(experiment: Experiment, dataset: str, *splits: str) -> list[str]:
    """What is read of some splits, or of all, by whoever decodes their frames."""
    shards = experiment.shard_files(".tar")
    return [
        path
        for split in splits or experiment.splits(dataset)
        for path in (sizes_of(dataset, split), *shards(dataset, split))
    ]


def image_frame_files(experiment: Experiment) -> list[str]:
    """`frame_files` of the images that are probed."""
    return frame_files(experiment, image_dataset(experiment))


def target_frame_files(experiment: Experiment) -> Any:
    """A function of a target: `frame_files` of its dataset."""
    return lambda target: frame_files(experiment, experiment.single_splits[target]["dataset"])
