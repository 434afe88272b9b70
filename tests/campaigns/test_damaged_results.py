"""Results that are damaged between two jobs: a named error, or exactly what was written."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from vie.clips.transform import ClipTransform
from vie.datasets.split_assignment import SplitRow, read_split_assignment, write_split_assignment
from vie.engine.feature_table import FeatureTable, read_features, write_features
from vie.engine.predict import write_predictions
from vie.frames.extract import write_rejected
from vie.frames.index import build_index, load_index
from vie.frames.instances import write_instances
from vie.frames.manifest import (
    Video,
    class_names,
    read_classes,
    read_videos,
    write_classes,
    write_manifest,
)
from vie.frames.motion import Motion, join_motion
from vie.frames.parquet import make_table, open_table, seal_of, write_array, write_table
from vie.frames.shards import TABLE_SCHEMA, ShardWriter, read_shard_table
from vie.models.checkpoint_format import ENCODER, NOTE, describe, read
from vie.models.export import save_weights
from vie.models.untrained import new_encoder
from vie.runtime import torch_files
from vie.runtime.errors import VieError
from vie.runtime.metadata_file import read_metadata, write_metadata

VIDEOS, SHARDS = 12, 2
NAMES = [f"{i}-of-{SHARDS}" for i in range(SHARDS)]
SETTINGS = {"fps": "25", "shorter_side": "48", "quality": "3", "shards": str(SHARDS)}


def frames_of(video: int, run: int) -> list[bytes]:
    """As many frames of the same sizes in every run, with other bytes."""
    shape, content = np.random.default_rng(video), np.random.default_rng([run, video])
    sizes = shape.integers(20, 1500, 4 + video % 5)
    return [b"\xff\xd8" + content.bytes(int(size)) + b"\xff\xd9" for size in sizes]


def write_results(folder: Path, run: int, recipe: dict[str, Any]) -> None:
    """What the rules leave of a small split, and results that are made of it."""
    (folder / "frames").mkdir(parents=True)
    (folder / "motion").mkdir()
    labels = [f"class {run} {i}" for i in range(3)]
    videos = [Video(f"v{i}", f"train/v{i}.mp4", labels[i % 3]) for i in range(VIDEOS)]
    assert class_names(videos) == labels
    write_classes(labels, folder / "classes.csv")
    write_manifest(videos, labels, folder / "manifest.parquet")
    for number, name in enumerate(NAMES):
        rows = []
        with (folder / "frames" / f"{name}.tar").open("wb") as file:
            writer = ShardWriter(file)
            for i in range(number, VIDEOS, SHARDS):
                about = videos[i]._asdict() | {"class": i % 3, "width": 64, "height": 48}
                rows.append(about | writer.add(f"v{i}", frames_of(i, run)))
            writer.finish()
        columns = {column: [row[column] for row in rows] for column in TABLE_SCHEMA.names}
        table = folder / "frames" / f"{name}.parquet"
        write_table(make_table(columns, TABLE_SCHEMA.with_metadata(SETTINGS)), table)
        write_rejected([], folder / "frames" / f"{name}.rejected.csv")
        moves = np.random.default_rng([run, number]).random(sum(columns["n_frames"]))
        seal = seal_of(read_shard_table(table))
        write_array(moves.astype(np.float32), folder / "motion" / f"{name}.npy", seal)
    build(folder)
    (folder / "parts").mkdir()
    write_instances(folder / "index.parquet", folder / "parts" / "index.parquet", {"frames": 4})
    join(folder, folder / "motion.npy")
    rows = [SplitRow(f"v{i}", labels[i % 3], ("train", "test")[i % 2], "g") for i in range(VIDEOS)]
    write_split_assignment(rows, folder / "split_assignment.csv")
    rng = np.random.default_rng(run)
    vectors = {"embedding": rng.random((VIDEOS, 8), np.float32)}
    ids, times = [f"v{i}" for i in range(VIDEOS)], np.zeros(VIDEOS)
    words = [labels[i % 3] for i in range(VIDEOS)], ["train"] * VIDEOS
    write_features(
        FeatureTable(ids, times, times + 1, *words, vectors, {"fps": "25"}),
        folder / "features.parquet",
    )
    top = {f"{kind}_top1": rng.integers(0, 3, VIDEOS) for kind in ("conv5", "knn")}
    write_predictions(
        {"video": pa.array(ids), "label": rng.integers(0, 3, VIDEOS), **top},
        folder / "predictions.parquet",
    )
    write_metadata({"seed": run, "n_val": 100 + run}, folder / "metadata.json")
    encoder = new_encoder(recipe, run)
    about = describe(recipe, ClipTransform.of(recipe), 25.0) | {
        "stage": "s",
        "seed": run,
        "step": 3,
    }
    bank = {"vectors": encoder.state_dict()["head.weight"].new_tensor(rng.random((VIDEOS, 8)))}
    torch_files.save(folder / "stage.pt", about | {ENCODER: encoder.state_dict(), "bank": bank})
    state = {
        "optimiser": {"state": [rng.random(3).tolist()]},
        "bank": bank,
        "run_key": {"seed": run},
    }
    torch_files.save(folder / "checkpoint.pt", state)
    save_weights(encoder.state_dict(), {NOTE: json.dumps(about)}, folder / "encoder.safetensors")


def build(folder: Path, out: Path | None = None) -> None:
    out = out or folder
    out.mkdir(exist_ok=True)
    frames = folder / "frames"
    build_index(
        folder / "manifest.parquet",
        [frames / f"{name}.tar" for name in NAMES],
        [frames / f"{name}.parquet" for name in NAMES],
        [frames / f"{name}.rejected.csv" for name in NAMES],
        out / "index.parquet",
        out / "index.sizes.npy",
        out / "rejected.csv",
        min_frames=3,
    )


def join(folder: Path, out: Path) -> None:
    frames = [
        [folder / "frames" / f"{name}{end}" for name in NAMES] for end in (".tar", ".parquet")
    ]
    motions = [folder / "motion" / f"{name}.npy" for name in NAMES]
    join_motion(folder / "index.parquet", *frames, motions, out)


def everything(path: Path) -> list[Any]:
    """What training reads through an index."""
    index = load_index(path)
    counts = index.n_frames.tolist()
    frames = [index.read_frames(i, range(n)) for i, n in enumerate(counts)]
    about = index.fps, index.shorter_side, index.quality, index.videos.to_pylist()
    shapes = index.labels.tolist(), index.widths.tolist(), index.heights.tolist()
    return [frames, counts, about, shapes]


def of_index(folder: Path) -> Any:
    index = load_index(folder / "index.parquet")
    index.check_classes(read_classes(folder / "classes.csv"), folder / "classes.csv")
    return everything(folder / "index.parquet"), everything(folder / "parts" / "index.parquet")


def of_shards(folder: Path) -> Any:
    """As the rule of the index and then a training do."""
    build(folder, folder / "again")
    labels = [video.label for video in read_videos(folder / "manifest.parquet")]
    return everything(folder / "again" / "index.parquet"), labels


def of_motion(folder: Path) -> Any:
    index = load_index(folder / "index.parquet")
    motion = Motion(folder / "motion.npy", index)
    return [motion.of(i).tolist() for i in range(len(index))]


def of_shard_motion(folder: Path) -> Any:
    join(folder, folder / "again.npy")
    return np.load(folder / "again.npy").tolist()


def of_classes(folder: Path) -> Any:
    labels = read_classes(folder / "classes.csv")
    load_index(folder / "index.parquet").check_classes(labels, folder / "classes.csv")
    return labels


def of_features(folder: Path) -> Any:
    table = read_features(folder / "features.parquet")
    vectors = {name: one.tolist() for name, one in table.vectors.items()}
    return [*map(list, table[:5]), vectors, table.metadata]


def of_predictions(folder: Path) -> Any:
    with open_table(folder / "predictions.parquet", "results") as (file, _):
        return file.read().to_pydict()


def of_metadata(folder: Path) -> Any:
    found = read_metadata(folder / "metadata.json")
    return found.get("seed"), found.get("n_val")


class Kind(NamedTuple):
    """Files of a kind, and what is read of them; `apart`: another's is no damage of it."""

    files: list[str]
    content: Callable[[Path], Any]
    apart: bool = False


KINDS = [
    Kind([f"frames/{name}.tar" for name in NAMES], of_shards),
    Kind([f"frames/{name}.tar" for name in NAMES], of_index),
    Kind([f"frames/{name}.parquet" for name in NAMES], of_shards),
    Kind(["manifest.parquet"], of_shards),
    Kind(["index.parquet"], of_index),
    Kind(["parts/index.parquet"], of_index),
    Kind(["index.sizes.npy"], of_index),
    Kind(["motion.npy"], of_motion),
    Kind([f"motion/{name}.npy" for name in NAMES], of_shard_motion),
    Kind(["classes.csv"], of_classes),
    Kind(["split_assignment.csv"],
         lambda folder: read_split_assignment(folder / "split_assignment.csv"), apart=True),
    Kind(["features.parquet"], of_features, apart=True),
    Kind(["predictions.parquet"], of_predictions, apart=True),
    Kind(["metadata.json"], of_metadata, apart=True),
    Kind(["stage.pt"],
         lambda folder: torch_files.content_digest(read(folder / "stage.pt")), apart=True),
    Kind(["checkpoint.pt"],
         lambda folder: torch_files.content_digest(torch_files.load(folder / "checkpoint.pt")),
         apart=True),
    Kind(["encoder.safetensors"],
         lambda folder: torch_files.content_digest(read(folder / "encoder.safetensors")),
         apart=True),
]  # fmt: skip


class Code:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def flip(content, rng):
    for _ in range(rng.choice([1, 1, 1, 3])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def zero(content, rng):
    start, size = rng.randrange(len(content)), rng.choice([1, 40, 512, 4096])
    content[start : start + size] = bytes(len(content[start : start + size]))


def noise(content, rng):
    start, size = rng.randrange(len(content)), rng.choice([1, 40, 512])
    content[start : start + size] = rng.randbytes(len(content[start : start + size]))


def cut(content, rng):
    del content[rng.randrange(len(content)) :]


def cut_out(content, rng):
    start = rng.randrange(len(content))
    del content[start : start + rng.choice([1, 512, 3000])]


def lengthen(content, rng):
    content += rng.choice([b"\0", b"\n", b"0", rng.randbytes(40)])


def repeat(content, rng):
    start, size = rng.randrange(len(content)), rng.choice([8, 512, 3000])
    content[start:start] = content[start : start + size]


DAMAGES = {f.__name__: f for f in (flip, flip, flip, zero, noise, cut, cut_out, lengthen, repeat)}


def damage(path: Path, others: Path, kind: Kind, marker: Path, rng) -> str:
    """Damage a file; says how."""
    ways = [*DAMAGES, "flip", "flip", "code", *([] if kind.apart else ["stale"])]
    way = rng.choice([*ways, "frame"] if path.suffix == ".tar" else ways)
    content = bytearray(path.read_bytes())
    if way == "stale":
        shutil.copy(others, path)
    elif way == "code":
        path.write_bytes(pickle.dumps(Code(marker)))
    elif way == "frame":  # another frame of the shard in its place, with its beginning and end
        video = rng.randrange(path.name.startswith("1"), VIDEOS, 2)
        frame = rng.choice(frames_of(video, 0))
        place = content.find(frame)
        content[place + 2 : place + len(frame) - 2] = rng.randbytes(len(frame) - 4)
        path.write_bytes(content)
    else:
        DAMAGES[way](content, rng)
        path.write_bytes(content)
    return way


@pytest.mark.campaign(short=40, long=300)
def test_damaged_results(campaign, tmp_path_factory, recipe):
    results = tmp_path_factory.mktemp("results")
    for run in (0, 1):  # which differ in all but their shapes
        write_results(results / str(run), run, recipe)
    right = [kind.content(shutil.copytree(results / "0", results / f"right{i}"))
             for i, kind in enumerate(KINDS)]  # fmt: skip

    def case(rng, folder):
        number = rng.randrange(len(KINDS))
        kind, here, marker = KINDS[number], folder / "results", folder / "code was run"
        shutil.copytree(results / "0", here)
        name = rng.choice(kind.files)
        before = (here / name).read_bytes()
        way = damage(here / name, results / "1" / name, kind, marker, rng)
        if (here / name).read_bytes() == before:
            return "not damaged"
        try:
            found = kind.content(here)
        except VieError as error:
            if Path(name).name not in str(error):
                raise AssertionError(f"{way} of {name} is not named: {error}") from error
            return "named"
        finally:
            assert not marker.exists(), f"{name} ran code"
            shutil.rmtree(here)
        assert found == right[number], f"{way} of {name} gives other content"
        return "the right content"

    campaign.run(case)
