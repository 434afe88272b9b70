"""Features of videos or clips as a Parquet table.

Columns: `id` (of the video), `start` and `end` (seconds in its file), `label` ("": none), `split`
(of an index; "" for other files), then one for each layer, a list of D float32. The metadata of
the schema are strings: vie_version, encoder (digest of its weights), layers, clips or
stride_seconds, fps, recipe (its label), and of results of the workflow the seed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vie.config.settings import VECTORS
from vie.frames.parquet import make_table, metadata_of, numbers, open_table, write_table
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("label", pa.string()),
        ("split", pa.string()),
    ]
)
WRITTEN = "name a .parquet that vie.extract or the workflow wrote, or make this one again"


class FeatureTable(NamedTuple):
    """N rows, of whole videos or of clips."""

    ids: list[str]  # N, of videos; a video with several clips has several rows
    starts: np.ndarray  # (N,) float64, seconds in the file
    ends: np.ndarray  # (N,) float64
    labels: list[str]  # N, "" for none
    splits: list[str]  # N, "" for none
    vectors: dict[str, np.ndarray]  # {layer: (N, D) float32}
    metadata: dict[str, str]


def write_features(table: FeatureTable, path: Path) -> None:
    """Write a table, whole or not at all."""
    schema = SCHEMA
    for layer, vectors in table.vectors.items():
        schema = schema.append(pa.field(layer, pa.list_(pa.float32(), vectors.shape[1])))
    columns = dict(zip(SCHEMA.names, table[:5], strict=True)) | table.vectors
    with atomic_write(path) as temporary:
        write_table(make_table(columns, schema.with_metadata(table.metadata)), temporary)


def read_features(path: Path) -> FeatureTable:
    """Read a table that `write_features` wrote.

    Raises:
        VieError: it is no such file.
    """
    with open_table(path, "a table of features", WRITTEN) as (file, _):
        schema = file.schema_arrow
        layers = [field for field in schema if field.name not in SCHEMA.names]
        if [*schema][: len(SCHEMA)] != [*SCHEMA] or not all(map(_is_layer, layers)):
            raise VieError(
                f"{path}: no table of features: its columns are {', '.join(schema.names)}; "
                f"expected {', '.join(SCHEMA.names)} and then some of {', '.join(VECTORS)}"
            )
        table = file.read()
    return FeatureTable(
        table["id"].to_pylist(),
        numbers(table["start"]),
        numbers(table["end"]),
        table["label"].to_pylist(),
        table["split"].to_pylist(),
        {
            # (N * D,) -> (N, D)
            one.name: numbers(pc.list_flatten(table[one.name])).reshape(len(table), -1)
            for one in layers
        },
        metadata_of(table),
    )


def _is_layer(field: pa.Field) -> bool:
    kind = field.type
    listed = pa.types.is_fixed_size_list(kind) and pa.types.is_float32(kind.value_type)
    return listed and field.name in VECTORS


def join(tables: Sequence[FeatureTable], metadata: dict[str, str]) -> FeatureTable:
    """The rows of tables with the same layers, one behind the other."""
    return FeatureTable(
        [name for table in tables for name in table.ids],
        np.concatenate([table.starts for table in tables]),
        np.concatenate([table.ends for table in tables]),
        [label for table in tables for label in table.labels],
        [split for table in tables for split in table.splits],
        {layer: np.concatenate([t.vectors[layer] for t in tables]) for layer in tables[0].vectors},
        metadata,
    )


def take(table: FeatureTable, rows: Sequence[int], metadata: dict[str, str]) -> FeatureTable:
    """Some rows of a table, in this order."""
    return FeatureTable(
        [table.ids[row] for row in rows],
        table.starts[rows],
        table.ends[rows],
        [table.labels[row] for row in rows],
        [table.splits[row] for row in rows],
        {layer: vectors[rows] for layer, vectors in table.vectors.items()},
        metadata,
    )
