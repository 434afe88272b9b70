"""Features of videos as Parquet: a row per video, a column of vectors per layer."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vie.config.settings import VECTORS
from vie.frames.parquet import metadata_of
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write


class FeatureTable(NamedTuple):
    """Features of N videos."""

    ids: list[str]
    starts: np.ndarray  # (N,) float64, seconds
    ends: np.ndarray  # (N,) float64, seconds
    labels: list[str]  # "" where there is none
    splits: list[str]  # train, val, all, or ""
    vectors: dict[str, np.ndarray]  # {layer: (N, D) float32}
    metadata: dict[str, str]


def write_features(table: FeatureTable, path: Path) -> None:
    """Write a table, whole."""
    columns = {
        "id": pa.array(table.ids, pa.string()),
        "start": pa.array(table.starts, pa.float64()),
        "end": pa.array(table.ends, pa.float64()),
        "label": pa.array(table.labels, pa.string()),
        "split": pa.array(table.splits, pa.string()),
    }
    for layer, vectors in table.vectors.items():
        flat = pa.array(np.asarray(vectors, np.float32).ravel())  # (N, D) -> (N * D,)
        columns[layer] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    whole = pa.table(columns).replace_schema_metadata(table.metadata)
    with atomic_write(path) as temporary:
        pq.write_table(whole, temporary)


def read_features(path: Path) -> FeatureTable:
    """Read what `write_features` wrote.

    Raises:
        VieError: it is no such file.
    """
    try:
        with pq.ParquetFile(path) as file:
            table = file.read().combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise VieError(f"{path}: cannot be read as features: {error}") from error
    needed = ("id", "start", "end", "label", "split")
    layers = [name for name in table.column_names if name in VECTORS]
    if not layers or any(name not in table.column_names for name in needed):
        raise VieError(f"{path}: not a table of features: it has {', '.join(table.column_names)}")
    vectors = {
        name: np.from_dlpack(pc.list_flatten(table[name]).combine_chunks()).reshape(len(table), -1)
        for name in layers
    }
    return FeatureTable(
        table["id"].to_pylist(),
        np.array(table["start"].to_pylist(), np.float64),
        np.array(table["end"].to_pylist(), np.float64),
        table["label"].to_pylist(),
        table["split"].to_pylist(),
        vectors,
        metadata_of(table),
    )
