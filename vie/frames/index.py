"""The index: the dataset as training and evaluation see it.

`index.parquet` has one row per usable video, in the manifest's order; row number = instance number
= row of the memory bank. Columns: instance, video, label, class, shard (path of the tar relative
to the index's folder), n_frames, width, height (pixels), first_offset (byte of the first JPEG in
the shard). Its metadata carries fps, shorter_side and quality.

The sizes and checksums of the JPEGs lie beside it in one array, all frames of the split back to
back (uint32). At the paper's scale these are 60 million rows. The array is mapped into memory: all
workers share one copy, only the pages of the videos that are read are touched, and an index loads
fast. A frame is read only with the bytes that were extracted; damage of a shard or of the array is
an error when the frame is read. The index itself has a seal (`vie.frames.seals`).
`python -m vie.frames.index --verify INDEX` looks at everything.

`vie.frames.instances` makes an index of parts of another one's videos, which shares its array. It
has two more columns: first_size (place in the array) and first_number (number in the shard) of the
first frame. Its metadata has the length of the array, and the seal of the other index (whole).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from vie.frames.extract import read_rejected, write_rejected
from vie.frames.images import ImageSettings
from vie.frames.joining import SETTINGS, Joined, join, ordered_jpegs, places
from vie.frames.manifest import CLASSES, classes_digest, read_manifest
from vie.frames.parquet import (
    column_of,
    metadata_of,
    numbers,
    read_array,
    read_table,
    rows_of,
    seal_of,
    take,
    texts_of,
    write_table,
)
from vie.frames.shards import Place, ShardReader, frame_offsets
from vie.frames.unusable import MISSING
from vie.runtime.errors import VieError, made_anew
from vie.runtime.files import atomic_write

SCHEMA = pa.schema(
    [
        ("instance", pa.int32()),
        ("video", pa.string()),
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("class", pa.int32()),
        ("shard", pa.dictionary(pa.int32(), pa.string())),
        ("n_frames", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("first_offset", pa.int64()),
    ]
)
PARTS = pa.schema([*SCHEMA, ("first_size", pa.int64()), ("first_number", pa.int32())])


@dataclass(frozen=True)
class Index:
    """A loaded index of N videos and F frames in total."""

    path: Path
    fps: float
    shorter_side: int  # of the frames, in pixels
    quality: int | str  # of the JPEGs, on ffmpeg's scale, or "default"
    videos: pa.Array  # (N,) ids, strings
    labels: np.ndarray  # (N,) int64, classes
    n_frames: np.ndarray  # (N,) int32
    widths: np.ndarray  # (N,) int32, pixels
    heights: np.ndarray  # (N,) int32, pixels
    shards: np.ndarray  # (N,) int32, numbers into `reader.shards`
    first_offsets: np.ndarray  # (N,) int64, bytes
    first_frames: np.ndarray  # (N,) int64, rows of `jpegs`
    first_numbers: np.ndarray  # (N,) int32, numbers of the first frames in the shards
    jpegs: np.ndarray  # (F, 2) uint32, size in bytes and CRC-32 of each JPEG, mapped into memory
    seal: str  # tells this index, or that of the whole videos, from others
    classes: str | None  # digest of the labels of the classes (`vie.frames.manifest`)
    reader: ShardReader  # each process opens its own files

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def of_images(self) -> bool:
        """Whether its videos are images, of one frame each."""
        return self.quality == ImageSettings.quality

    def __reduce__(self) -> tuple[Callable[[Path], "Index"], tuple[Path]]:
        # A worker gets the path and loads the index: a pickle would contain all of `jpegs`.
        return load_index, (self.path,)

    def check_classes(self, labels: Sequence[str], path: Path) -> None:
        """Whether the classes of this index are those of a file `path`, which has these labels.

        Raises:
            VieError: they are others.
        """
        if self.classes not in (None, classes_digest(labels)):
            raise VieError(
                f"{path}: its classes are not those that {self.path} was made with: it is damaged "
                f"or of another run; {made_anew(path)}"
            )

    def read_frames(self, instance: int, frames: Sequence[int] | np.ndarray) -> list[bytes]:
        """JPEGs of some frames of a video; `frames` are numbers, 0 = first, and may repeat.

        Raises:
            VieError: the video does not have a frame, or the shard does not.
        """
        n = int(self.n_frames[instance])
        video = self.videos[instance].as_py()
        if len(frames) and (min(frames) < 0 or max(frames) >= n):
            raise VieError(
                f"{self.path}: video {video!r} has frames 0..{n - 1}, not {list(frames)}"
            )
        return [self.reader.read(place) for place in self._places(instance, frames)]

    def undecodable(self, instance: int, frame: int, error: ValueError) -> VieError:
        """What to raise when a frame that `read_frames` gave cannot be decoded."""
        (place,) = self._places(instance, [frame])
        return self.reader.undecodable(place, error)

    def _places(self, instance: int, frames: Sequence[int] | np.ndarray) -> Iterator[Place]:
        first, n = int(self.first_frames[instance]), int(self.n_frames[instance])
        sizes, checksums = np.asarray(self.jpegs[first : first + n]).T  # (n,) each
        offsets = frame_offsets(int(self.first_offsets[instance]), sizes)
        shard, number = int(self.shards[instance]), int(self.first_numbers[instance])
        video = self.videos[instance].as_py()
        for i in map(int, frames):
            numbers = int(offsets[i]), int(sizes[i]), int(checksums[i])
            yield Place(shard, *numbers, video, number + i)


def build_index(
    manifest: Path,
    tars: Sequence[Path],
    tables: Sequence[Path],
    rejected: Sequence[Path],
    index: Path,
    sizes: Path,
    rejected_out: Path,
    *,
    min_frames: int,
) -> None:
    """Join the shards of a split into its index.

    Args:
        manifest: `manifest.parquet` of the split.
        tars, tables, rejected: outputs of `extract_shard`, one of each per shard, in one order.
        index, sizes: `index.parquet` and the array of JPEGs' sizes and checksums to write, in one
            folder.
        rejected_out: CSV to write, all rejected videos of the split in the manifest's order.
        min_frames: a shorter video is rejected (3 in protocol section 1).

    Raises:
        VieError: a shard does not match its table, shards were made with different settings or
            from another manifest, a video is missing or occurs twice, or none is usable.
    """
    if index.parent.resolve() != sizes.parent.resolve():
        raise VieError(f"{index} and {sizes} must lie in one folder")
    wanted, joined = read_manifest(manifest), join(tars, tables, index.parent)
    refused = [row for path in rejected for row in read_rejected(path)]
    place, refused_place = places(wanted, joined.table, refused, manifest)
    counts = numbers(joined.table["n_frames"])
    short = np.flatnonzero(counts < min_frames)
    for row in rows_of(joined.table, short):
        few = f"too short: {row['n_frames']} frames, at least {min_frames} needed"
        refused.append({**row, "reason": few})
    refused_place = np.concatenate([refused_place, place[short]])
    usable = np.flatnonzero(counts >= min_frames)
    if not len(usable):
        advice = f"; all files are missing: delete {manifest} to have the copy read anew"
        raise VieError(
            f"{manifest}: none of its {len(refused)} videos is usable; see the reasons in "
            f"{', '.join(map(str, rejected))}"
            f"{advice if all(row['reason'] == MISSING for row in refused) else ''}"
        )
    order = usable[np.argsort(place[usable])]  # rows of the joined table, as in the manifest
    classes = {key: value for key, value in metadata_of(wanted).items() if key == CLASSES}
    schema = SCHEMA.with_metadata({**joined.settings, **classes, "sizes": sizes.name})
    # The last file to be opened appears first. The index names the array, so it is opened first.
    with (
        atomic_write(index) as index_to,
        atomic_write(sizes) as sizes_to,
        atomic_write(rejected_out) as refused_to,
    ):
        np.save(sizes_to, ordered_jpegs(joined, order))
        write_table(_table(joined, order, schema), index_to)
        write_rejected([refused[i] for i in np.argsort(refused_place)], refused_to)


def _table(joined: Joined, order: np.ndarray, schema: pa.Schema) -> pa.Table:
    """The index of some rows (N,) of joined shards."""
    columns = {
        name: take(joined.table[name], order)
        for name in ("video", "label", "class", "n_frames", "width", "height")
    }
    columns["label"] = columns["label"].dictionary_encode()
    shards = take(texts_of(joined.shards), joined.shard_of[order])
    columns["shard"] = shards.dictionary_encode()
    columns["instance"] = column_of(np.arange(len(order)), pa.int32())
    columns["first_offset"] = column_of(joined.first_offsets[order], pa.int64())
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def frame_counts(path: Path) -> np.ndarray:
    """Frames of each video of an index, also of one that an earlier version has written: (V,).

    Raises:
        VieError: it is not an index.
    """
    return numbers(read_table(path, SCHEMA, "an index", ["n_frames"], other=PARTS)["n_frames"])


def load_index(path: Path) -> Index:
    """Load an index. What it says of JPEGs stays on disk until it is used.

    Raises:
        VieError: it is not an index, or its array of sizes is missing or of another index.
    """
    path = Path(path)
    needed = [name for name in PARTS.names if name not in ("instance", "label")]
    table = read_table(path, SCHEMA, "an index", needed, other=PARTS)
    metadata = metadata_of(table)
    if missing := [name for name in (*SETTINGS, "sizes") if name not in metadata]:
        raise VieError(
            f"{path}: not an index: its metadata lack {', '.join(missing)}; {made_anew(path)}"
        )
    n_frames = numbers(table["n_frames"])
    first_frames = np.cumsum(n_frames, dtype=np.int64) - n_frames
    first_numbers = np.zeros_like(n_frames)
    if "first_size" in table.column_names:
        first_frames, first_numbers = (numbers(table[name]) for name in PARTS.names[-2:])
    frames = int(metadata.get("frames", n_frames.sum()))
    sizes_path = path.parent / metadata["sizes"]
    jpegs = read_array(sizes_path)
    if jpegs.dtype != np.uint32 or jpegs.shape != (frames, 2):
        raise VieError(
            f"{sizes_path}: {jpegs.shape} {jpegs.dtype}, but {path} has {frames} frames, each with "
            f"a size and a checksum; {made_anew(sizes_path)}"
        )
    shards = table["shard"].unify_dictionaries().chunk(0)
    return Index(
        path=path,
        fps=float(metadata["fps"]),
        shorter_side=int(metadata["shorter_side"]),
        quality=int(quality) if (quality := metadata["quality"]).isdecimal() else quality,
        videos=table["video"].chunk(0),
        labels=numbers(table["class"]).astype(np.int64),
        n_frames=n_frames,
        widths=numbers(table["width"]),
        heights=numbers(table["height"]),
        shards=np.from_dlpack(shards.indices),
        first_offsets=numbers(table["first_offset"]),
        first_frames=first_frames,
        first_numbers=first_numbers,
        jpegs=jpegs,
        seal=metadata.get("whole", seal_of(table)),
        classes=metadata.get(CLASSES),
        reader=ShardReader(
            [path.parent / name for name in shards.dictionary.to_pylist()], sizes_path
        ),
    )


if __name__ == "__main__":
    from vie.frames.verify import main
    from vie.runtime.logs import run_command

    run_command(main)
