"""Other instances than whole videos: a share of the videos, or windows of frames (section 11).

They are an index like any other, whose rows are parts of the videos of another index.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vie.config.settings import full_windows
from vie.frames.index import PARTS, SCHEMA, load_index
from vie.frames.parquet import make_table, metadata_of, read_table, write_table
from vie.frames.shards import BLOCK, blocks
from vie.runtime.files import atomic_write
from vie.runtime.randomness import generator


def instances_of(
    n_frames: np.ndarray, settings: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which parts of which videos are instances.

    With `share`, that share of the videos, rounded, but one at least. They are drawn at random once
    and for all: a smaller share is part of a larger one, and seeds of networks change nothing. With
    `frames`, each video is cut into windows of so many frames. A rest that is at least half as long
    is one more window, and a video that is shorter than that is an instance as it is.

    Args:
        n_frames: (N,) frames of each video.
        settings: share, frames, or both: then windows of a share of the videos.

    Returns:
        Of each of the M instances its video, its first frame and its number of frames, all (M,)
        int64, in the order of the videos.
    """
    videos = np.arange(len(n_frames))
    if "share" in settings:
        order = generator(0, "instances").permutation(len(videos))
        videos = np.sort(order[: max(1, round(settings["share"] * len(videos)))])
    counts = n_frames[videos].astype(np.int64)
    window = settings.get("frames")
    if window is None:
        return videos, np.zeros_like(counts), counts
    windows = np.maximum(1, full_windows(counts, window))
    rows = np.repeat(np.arange(len(videos)), windows)  # (M,)
    first = (np.arange(len(rows)) - np.repeat(np.cumsum(windows) - windows, windows)) * window
    return videos[rows], first, np.minimum(window, counts[rows] - first)


def write_instances(index: Path, out: Path, settings: Mapping[str, Any]) -> None:
    """Write the index of the instances that `instances_of` finds in the videos of an index.

    Args:
        index: `index.parquet` of whole videos.
        out: to write; it names the array of sizes and the shards of `index`.

    Raises:
        VieError: `index` cannot be read.
    """
    whole, table = load_index(index), read_table(index, SCHEMA, "an index")
    videos, first, counts = instances_of(whole.n_frames, settings)
    starts = whole.first_frames[videos]  # (M,) places of the videos in the array of sizes
    offsets = whole.first_offsets[videos]
    if first.any():
        # (F + 1,) bytes of the tar before each frame, as if the frames of all videos were in one
        before = np.cumsum(np.append(0, BLOCK + blocks(whole.jpegs[:, 0].astype(np.int64))))
        offsets = offsets + before[starts + first] - before[starts]
    shards = [os.path.relpath(path, out.parent) for path in whole.reader.shards]
    rows = make_table({"row": videos}, pa.schema([("row", pa.int64())]))["row"]
    kept = table.select(["video", "label", "class", "width", "height"]).take(rows)
    new = {
        "instance": range(len(videos)),
        "shard": [shards[shard] for shard in whole.shards[videos]],
        "n_frames": counts,
        "first_offset": offsets,
        "first_size": starts + first,
        "first_number": first,
    }
    made = make_table(new, pa.schema([field for field in PARTS if field.name in new]))
    sizes = os.path.relpath(index.parent / metadata_of(table)["sizes"], out.parent)
    about = metadata_of(table) | {"sizes": sizes, "frames": str(len(whole.jpegs))}
    about["whole"] = whole.seal
    columns = [(made if name in new else kept)[name] for name in PARTS.names]
    with atomic_write(out) as temporary:
        write_table(pa.Table.from_arrays(columns, schema=PARTS.with_metadata(about)), temporary)
