"""Parquet tables of plain columns and arrays on disk, made and read without pandas.

`pyarrow.array` and `to_numpy` import pandas if it is installed, which takes a second and 100 MB in
every job and every worker of the loader. Columns are built from their buffers instead.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vie.frames.seals import check_seal, write_seal
from vie.runtime.disk import check_machine
from vie.runtime.errors import VieError, made_anew
from vie.runtime.files import atomic_write

Column = Sequence[Any] | np.ndarray
SEALED = b"sealed"  # in the metadata of a table with a seal; `read_table` makes it the digest


def make_table(columns: Mapping[str, Column], schema: pa.Schema) -> pa.Table:
    """A table from one sequence per column: numbers, strings or lists of integers.

    A column of lists of one size is an array (n, size).
    """
    arrays = [column_of(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def column_of(values: Column, kind: pa.DataType) -> pa.Array:
    """A column of a type, made of one value per row."""
    if pa.types.is_dictionary(kind):
        return column_of(values, kind.value_type).dictionary_encode()
    if pa.types.is_fixed_size_list(kind):
        content = column_of(np.ravel(values), kind.value_type)  # (n, size) -> (n * size,)
        return pa.FixedSizeListArray.from_arrays(content, type=kind)
    if pa.types.is_list(kind):
        content = np.concatenate([np.empty(0, np.int64), *values])
        return pa.ListArray.from_arrays(_starts(values), column_of(content, kind.value_type))
    if pa.types.is_string(kind):
        texts = [value.encode() for value in values]
        starts = _starts(texts).buffers()[1]
        return pa.Array.from_buffers(
            kind, len(values), [None, starts, pa.py_buffer(b"".join(texts))]
        )
    numbers = np.asarray(values, dtype=kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers.tobytes())])


def _starts(values: Column) -> pa.Array:
    """Where each of n values starts if they lie back to back, and the end -> (n + 1,) int32."""
    lengths = np.fromiter((len(value) for value in values), np.int64, len(values))
    return column_of(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """An integer column as a read-only numpy array of the same type."""
    chunks = [np.from_dlpack(chunk) for chunk in column.chunks if len(chunk)]
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate([np.empty(0, column.type.to_pandas_dtype()), *chunks])


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table with a seal (`vie.frames.seals`) to a path that `atomic_write` gave."""
    metadata = {**(table.schema.metadata or {}), SEALED: b"sha256"}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    write_seal(path)


@contextlib.contextmanager
def open_table(
    path: Path, kind: str, advice: str = ""
) -> Iterator[tuple[pq.ParquetFile, bytes | None]]:
    """A Parquet file and the digest in its seal. Its bytes are those that were written, as far
    as it has one.

    Messages call it a `kind`, and end with the advice; the usual one is true of results of rules.

    Raises:
        VieError: it is damaged, or no Parquet file; also if reading from it fails.
        OSError: it cannot be read now (`vie.runtime.disk.check_machine`).
    """
    advice = advice or made_anew(path)
    try:
        seal = check_seal(path)
        with pq.ParquetFile(path) as file:  # pq.read_table would import pyarrow.dataset, 0.5 s
            if seal is None and SEALED in (file.schema_arrow.metadata or {}):
                raise VieError(f"{path}: damaged: its seal is gone; {advice}")
            yield file, seal
    except VieError:
        raise
    except FileNotFoundError as error:
        raise VieError(f"{path}: no such file") from error
    except (pa.ArrowException, MemoryError, OSError, ValueError) as error:
        check_machine(error, path)
        raise VieError(
            f"{path}: cannot be read as {kind}: {str(error).rstrip('.')}; {advice}"
        ) from error


def read_table(
    path: Path,
    schema: pa.Schema,
    kind: str,
    columns: list[str] | None = None,
    *,
    other: pa.Schema | None = None,
) -> pa.Table:
    """Read a Parquet table with this schema or the `other`, or only some of its columns.

    Raises:
        VieError: as `open_table`, or its columns differ.
    """
    with open_table(path, kind) as (file, seal):
        if not any(file.schema_arrow.equals(one) for one in (schema, other or schema)):
            raise VieError(
                f"{path}: not the format of {kind}: its columns are "
                f"{', '.join(file.schema_arrow.names)}; "
                f"expected {', '.join(f'{f.name} ({f.type})' for f in schema)}; {made_anew(path)}"
            )
        table = file.read(columns).combine_chunks()
    if seal is None:
        return table
    metadata = {**(table.schema.metadata or {}), SEALED: seal.hex().encode()}
    return table.replace_schema_metadata(metadata)


def texts_of(values: Sequence[str] | pa.ChunkedArray) -> pa.Array:
    """Strings as one array."""
    if isinstance(values, pa.ChunkedArray):
        return pa.concat_arrays([column_of([], values.type), *values.chunks])
    return column_of(values, pa.string())


def take(column: pa.Array | pa.ChunkedArray, rows: np.ndarray) -> pa.Array:
    """Some rows (n,) of a column."""
    chosen = column.take(column_of(rows, pa.int64()))
    return pa.concat_arrays(chosen.chunks) if isinstance(chosen, pa.ChunkedArray) else chosen


def rows_of(table: pa.Table, rows: np.ndarray) -> list[dict[str, Any]]:
    """Some rows (n,) of a table as Python has them, which takes much more memory than a table."""
    columns = [take(table[name], rows).to_pylist() for name in table.schema.names]
    return [dict(zip(table.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def metadata_of(table: pa.Table) -> dict[str, str]:
    """The metadata of a table's schema, without what says that it has a seal."""
    metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    return {key: value for key, value in metadata.items() if key != SEALED.decode()}


def seal_of(table: pa.Table) -> str:
    """What tells a table that `read_table` read from others: the digest in its seal."""
    return ((table.schema.metadata or {}).get(SEALED) or b"").decode()


def write_array(array: np.ndarray, path: Path, belongs_to: str) -> None:
    """Write a .npy file, whole, with a seal that fits only with the table whose `seal_of` it is."""
    with atomic_write(path) as temporary:
        np.save(temporary, array)
        write_seal(temporary, belongs_to.encode())


def read_array(path: Path, belongs_to: str | None = None) -> np.ndarray:
    """An array of a .npy file, mapped into memory.

    Args:
        belongs_to: as of `write_array`; without it, no seal is asked for.

    Raises:
        VieError: it cannot be read, is damaged, or of another table.
        OSError: as `open_table`.
    """
    try:
        if belongs_to is not None and check_seal(path, belongs_to.encode()) is None:
            raise ValueError("it has no seal: it is damaged, or of an earlier version of vie")
        return np.asarray(np.load(path, mmap_mode="r"))
    except FileNotFoundError as error:
        raise VieError(f"{path}: no such file; {made_anew(path)}") from error
    except Exception as error:  # numpy raises many kinds on damaged files
        check_machine(error, path)
        raise VieError(f"{path}: cannot be read: {error}; {made_anew(path)}") from error
