"""Results of the runs that tables are made of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vie.frames.parquet import open_table
from vie.runtime.errors import VieError, made_anew
from vie.runtime.metadata_file import read_metadata


def read_runs(files: Sequence[dict[str, Any]], results: str, same_videos: str) -> pd.DataFrame:
    """Results with one value per video, and their metadata: one row per run.

    Args:
        files: of each run, {results: Parquet file, "metadata": JSON file} and what else is known.
        results: key of the Parquet file in `files`.
        same_videos: another key; runs where it is the same have to be of the same videos.

    Returns:
        What else is known, seed, metadata (dict), and an array for each column of the Parquet file.

    Raises:
        VieError: runs are of different videos.
    """
    rows = []
    for file in files:
        with open_table(Path(file[results]), "results") as (opened, _):
            table = opened.read().to_pandas()
        metadata = read_metadata(Path(file["metadata"]))
        arrays = {name: table[name].to_numpy() for name in table}
        rows.append(file | {"seed": metadata["seed"], "metadata": metadata} | arrays)
    runs = pd.DataFrame(rows)
    for name, here in runs.groupby(same_videos, sort=False):
        if any(not np.array_equal(videos, here["video"].iloc[0]) for videos in here["video"]):
            raise VieError(
                f"the runs of {name} were tested on different videos; {made_anew(*here[results])}"
            )
    return runs


def seeds_of(runs: pd.DataFrame) -> str:
    """The seeds, each once, with a space between."""
    return " ".join(map(str, dict.fromkeys(runs["seed"])))


def right(runs: pd.DataFrame, column: str = "top1") -> np.ndarray:
    """(S, n) bool: whether the class in `column` is the label, of S runs on the same n videos."""
    return np.stack([found == label for found, label in runs[[column, "label"]].to_numpy()])
