"""Parquet tables of plain columns, made and read without pandas.

`pyarrow.array` and `to_numpy` import pandas wherever it is installed: a second and 100 MB for
every job and every worker of the loader. Columns are built from their buffers instead.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vie.runtime.errors import VieError


def make_table(columns: Mapping[str, Sequence], schema: pa.Schema) -> pa.Table:
    """A table from one sequence per column, of integers, strings or lists of integers."""
    arrays = [_array(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: Sequence, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return _array(values, kind.value_type).dictionary_encode()
    if pa.types.is_list(kind):
        content = np.concatenate([np.empty(0, np.int64), *values])
        return pa.ListArray.from_arrays(_starts(values), _array(content, kind.value_type))
    if pa.types.is_string(kind):
        content = [value.encode() for value in values]
        starts = _starts(content).buffers()[1]
        return pa.Array.from_buffers(
            kind, len(values), [None, starts, pa.py_buffer(b"".join(content))]
        )
    numbers = np.asarray(values, dtype=kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers.tobytes())])


def _starts(values: Sequence) -> pa.Array:
    """Where each of n values starts when they lie back to back, and the end -> (n + 1,) int32."""
    lengths = np.fromiter((len(value) for value in values), np.int64, len(values))
    return _array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """An integer column as a numpy array of the same type, read-only."""
    chunks = [np.from_dlpack(chunk) for chunk in column.chunks if len(chunk)]
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate([np.empty(0, column.type.to_pandas_dtype()), *chunks])


def read_table(
    path: Path, schema: pa.Schema, kind: str, columns: list[str] | None = None
) -> pa.Table:
    """Read a Parquet table that must have the columns of `schema`, or some of its columns.

    Raises:
        VieError: it is not Parquet or its columns differ.
    """
    try:
        with pq.ParquetFile(path) as file:  # pq.read_table would import pyarrow.dataset, 0.5 s
            if not file.schema_arrow.equals(schema):
                raise VieError(
                    f"{path}: not the format of {kind}: its columns are "
                    f"{', '.join(file.schema_arrow.names)}; "
                    f"expected {', '.join(f'{f.name} ({f.type})' for f in schema)}"
                )
            return file.read(columns).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise VieError(f"{path}: cannot be read as {kind}: {error}") from error
