"""The manifest: which videos a split should have, before any file is opened.

`manifest.parquet` has one row per video, in the order of (class, video), with the fields of
`vie.datasets.video.Video` and the number of the class as columns. Where start and end are floats,
they are exact; where they are integers, others annotated them, and the file may be the clip itself
(`vie.frames.excerpts`). `classes.csv` has the columns class and label, with classes 0..C-1 in the
order of their labels. Videos without a label have the label "" and class -1; `classes.csv` then has
no row.
"""

import collections
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from vie.datasets.video import Video
from vie.frames.parquet import make_table, read_table, write_table
from vie.runtime.csv_files import read_rows, write_sealed
from vie.runtime.errors import VieError, made_anew
from vie.runtime.files import atomic_write

SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("path", pa.string()),
        ("label", pa.string()),
        ("class", pa.int32()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("file_found", pa.int8()),
    ]
)
EXACT_SCHEMA = pa.schema(
    [
        pa.field(field.name, pa.float64()) if field.name in ("start", "end") else field
        for field in SCHEMA
    ]
)

CLASSES_HEADER = ("class", "label")
LONGEST_ID = 155  # bytes, of a folder inside a tar
NO_CLASS = -1
CLASSES = "classes"  # in the metadata of manifests and indexes: `classes_digest`


def class_names(videos: Iterable[Video]) -> list[str]:
    """The labels that occur, sorted: class number = place in this list."""
    return sorted({video.label for video in videos} - {""})


def write_classes(labels: list[str], path: Path) -> None:
    """Write `classes.csv`."""
    write_sealed(path, CLASSES_HEADER, enumerate(labels))


def read_classes(path: Path) -> list[str]:
    """Labels of `classes.csv`, class 0 first.

    Raises:
        VieError: the file is not one that `write_classes` wrote.
    """
    rows = read_rows(path, CLASSES_HEADER)
    if [number for number, _ in rows] != [*map(str, range(len(rows)))]:
        raise VieError(f"{path}: its classes must be 0, 1, 2, ... in order; {made_anew(path)}")
    return [label for _, label in rows]


def classes_digest(labels: Sequence[str]) -> str:
    """What a manifest and an index say of the labels that their numbers of classes are of."""
    return hashlib.sha256(json.dumps(list(labels)).encode()).hexdigest()[:16]


def write_manifest(
    videos: Iterable[Video], labels: list[str], path: Path, *, exact: bool = False
) -> None:
    """Write `manifest.parquet`, sorted by (class, video); `labels` are those of `classes.csv`.

    `exact`: start and end are exact places in files, and not somebody's annotations.

    Raises:
        VieError: no videos, a repeated id, or a label that is not in `labels`.
    """
    number = {"": NO_CLASS} | {label: i for i, label in enumerate(labels)}
    videos = list(videos)
    if unknown := sorted({video.label for video in videos} - set(number)):
        raise VieError(
            f"{path}: {len(unknown)} labels are not among the {len(labels)} classes, "
            f"the first is {unknown[0]!r}; classes come from the train annotation"
        )
    counts = collections.Counter(video.video for video in videos)
    if repeated := [video for video, count in counts.items() if count > 1]:
        raise VieError(f"{path}: {len(repeated)} repeated video ids, the first is {repeated[0]!r}")
    if not videos:
        raise VieError(f"{path}: no videos")
    if long := [v.video for v in videos if len(v.video.encode()) > LONGEST_ID]:
        raise VieError(
            f"{path}: {len(long)} videos have names of more than {LONGEST_ID} bytes, class folder "
            f"included, which do not fit a tar: rename them; the first is {long[0]!r}"
        )
    schema = EXACT_SCHEMA if exact else SCHEMA
    rows = sorted((number[video.label], *video) for video in videos)
    columns = dict(zip(("class", *Video._fields), zip(*rows, strict=True), strict=True))
    with atomic_write(path) as temporary:
        write_table(
            make_table(columns, schema.with_metadata({CLASSES: classes_digest(labels)})), temporary
        )


def read_manifest(path: Path) -> pa.Table:
    """Read `manifest.parquet`; see `read_table`."""
    return read_table(path, SCHEMA, "a manifest", other=EXACT_SCHEMA)


def read_videos(path: Path) -> list[Video]:
    """The videos of `manifest.parquet`, in its order."""
    table = read_manifest(path)
    rows = zip(*(table[name].to_pylist() for name in Video._fields), strict=True)
    return [Video(*row)._replace(file_found=bool(row[-1])) for row in rows]
