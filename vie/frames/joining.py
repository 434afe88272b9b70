"""Shards -> the columns of an index, in the order of the manifest.

Columns, not rows: at the paper's scale a split has a quarter of a million videos, and one of
ImageNet's 1.28 million images; rows as Python has them would take 3 kB each.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vie.frames.parquet import metadata_of, numbers, take, texts_of
from vie.frames.shards import check_shard, read_shard_table
from vie.runtime.errors import VieError, made_anew

SETTINGS = ("fps", "shorter_side", "quality")
Row = dict[str, Any]


class Joined(NamedTuple):
    """All usable videos of all shards, shard by shard."""

    settings: dict[str, str]  # SETTINGS of the shards
    table: pa.Table  # what shards and manifest say of each video
    shards: list[str]  # paths of the tars, relative to the index's folder
    shard_of: np.ndarray  # (N,) place in `shards`
    first_offsets: np.ndarray  # (N,) int64, byte of the first JPEG in its shard
    jpegs: list[np.ndarray]  # of each shard: (F, 2) uint32, size and checksum of all its JPEGs


def join(tars: Sequence[Path], tables: Sequence[Path], folder: Path) -> Joined:
    """Read the tables of all shards of a split, and look whether they describe their tars.

    Raises:
        VieError: a shard does not match its table, or shards were made with different settings.
    """
    if not tables or len(tars) != len(tables):
        raise VieError(f"{len(tars)} shards, {len(tables)} tables: each shard needs its table")
    settings: dict[str, str] = {}
    kept, firsts, jpegs = list[pa.Table](), list[np.ndarray](), list[np.ndarray]()
    for tar, path in zip(tars, tables, strict=True):
        table = read_shard_table(path)
        metadata = metadata_of(table)
        found = {name: metadata.get(name, "not said") for name in (*SETTINGS, "shards")}
        if (settings := settings or found) != found:
            raise VieError(
                f"{path} was made with {json.dumps(found)}, but {tables[0]} with "
                f"{json.dumps(settings)}; {made_anew(path, tables[0])}"
            )
        check_shard(tar, table)
        lists = ("offsets", "sizes", "checksums")
        offsets, *flat = (numbers(pc.list_flatten(table[name])) for name in lists)
        counts = numbers(table["n_frames"])
        firsts.append(offsets[np.cumsum(counts) - counts])
        jpegs.append(np.stack([one.astype(np.uint32) for one in flat], axis=1))
        kept.append(table.drop_columns(lists).replace_schema_metadata())
    return Joined(
        {name: settings[name] for name in SETTINGS},
        pa.concat_tables(kept),
        [os.path.relpath(tar, folder) for tar in tars],
        np.repeat(np.arange(len(kept)), [len(table) for table in kept]),
        np.concatenate(firsts),
        jpegs,
    )


def places(
    wanted: pa.Table, table: pa.Table, refused: list[Row], manifest: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the manifest of the videos of `table` (N,) and of the refused ones (R,).

    Raises:
        VieError: a video of the manifest is in neither or twice, or what they say of it differs.
    """
    ids, frames = texts_of(wanted["video"]), manifest.with_name("frames")
    advice = f"; the shards are of another run: {made_anew(frames)}"
    if again := len(ids) - len(pc.unique(ids)):
        raise VieError(f"{manifest}: {again} video ids occur more than once; {made_anew(manifest)}")
    found = {
        name: pa.concat_arrays([texts_of(table[name]), texts_of([row[name] for row in refused])])
        for name in ("video", "path", "label")
    }
    place = pc.index_in(found["video"], value_set=ids)
    if place.null_count:
        first = found["video"][pc.index(place.is_null(), True).as_py()].as_py()
        raise VieError(f"{manifest}: does not have video {first!r}, but a shard does{advice}")
    rows = np.from_dlpack(place).astype(np.int64)
    seen = np.bincount(rows, minlength=len(ids))
    if seen.max(initial=0) > 1:
        first = ids[int(np.argmax(seen))].as_py()
        raise VieError(f"{manifest}: video {first!r} is in the shards twice{advice}")
    found["class"] = table["class"].combine_chunks()
    for name, values in found.items():
        same = pc.equal(values, take(wanted[name], rows[: len(values)]))
        if (other := pc.index(same, False).as_py()) >= 0:
            raise VieError(
                f"{manifest}: gives another path or class to video "
                f"{found['video'][other].as_py()!r}{advice}"
            )
    if missing := int((seen == 0).sum()):
        first = ids[int(np.argmin(seen))].as_py()
        raise VieError(
            f"{manifest}: {missing} videos are in no shard and not rejected, the first is "
            f"{first!r}{advice}"
        )
    return rows[: len(table)], rows[len(table) :]


def ordered_jpegs(joined: Joined, order: np.ndarray) -> np.ndarray:
    """Sizes and checksums of the JPEGs of some rows (N,) of the table, back to back in their order:
    (F, 2) uint32.

    Frames lie shard by shard; each goes to its place in the index.
    """
    counts = numbers(joined.table["n_frames"]).astype(np.int64)
    chosen = counts[order]
    starts = np.full(len(counts), -1)  # in the result; -1: not in it
    starts[order] = np.cumsum(chosen) - chosen
    result = np.empty((chosen.sum(), 2), np.uint32)
    for shard, jpegs in enumerate(joined.jpegs):
        here = joined.shard_of == shard
        each, to = counts[here], starts[here]
        moved = np.repeat(to - (np.cumsum(each) - each), each) + np.arange(len(jpegs))
        kept = np.repeat(to >= 0, each)
        result[moved[kept]] = jpegs[kept]
    return result
