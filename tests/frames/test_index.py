import csv
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vie.frames.extract import write_rejected
from vie.frames.index import build_index, frame_counts, load_index
from vie.frames.manifest import Video, class_names, write_classes, write_manifest
from vie.frames.parquet import write_table as save_table
from vie.frames.shards import TABLE_SCHEMA, ShardWriter
from vie.reporting.summary import write_summary
from vie.runtime.errors import VieError

SETTINGS = {"fps": "25", "shorter_side": "48", "quality": "3"}
JPEGS = {}  # every video's frames, by id


def jpegs(video: str, n: int) -> list[bytes]:
    rng = np.random.default_rng([len(video), *video.encode()])
    middles = (rng.bytes(int(rng.integers(1, 1500))) for _ in range(n))
    JPEGS[video] = [b"\xff\xd8" + middle + b"\xff\xd9" for middle in middles]
    return JPEGS[video]


def dataset(folder, n=10, shards=3, split="train", bad=(4,), short=(7,), classes=3):
    """Shards, tables and rejections of `n` videos as `extract_shard` leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = [Video(f"v{i}", f"{split}/v{i}.mp4", f"class {i % classes}") for i in range(n)]
    write_manifest(videos, class_names(videos), folder / "manifest.parquet")
    write_classes(class_names(videos), folder / "classes.csv")
    (folder / "frames").mkdir(exist_ok=True)
    rows = pq.read_table(folder / "manifest.parquet").to_pylist()
    for shard in range(shards):
        name, kept, refused = f"{shard}-of-{shards}", [], []
        with (folder / "frames" / f"{name}.tar").open("wb") as file:
            writer = ShardWriter(file)
            for row in rows[shard::shards]:
                number = int(row["video"][1:])
                if number in bad:
                    refused.append({**row, "reason": "cannot be decoded: moov atom not found"})
                    continue
                frames = jpegs(row["video"], 2 if number in short else 3 + number)
                shape = {"width": 64, "height": 48 + number}
                kept.append({**row, **shape, **writer.add(row["video"], frames)})
            writer.finish()
        write_table(folder / "frames" / f"{name}.parquet", kept, shards=str(shards))
        write_rejected(refused, folder / "frames" / f"{name}.rejected.csv")
    return folder


def write_table(path, rows, **settings):
    schema = TABLE_SCHEMA.with_metadata({**SETTINGS, **settings})
    save_table(pa.Table.from_pylist(rows, schema=schema), path)


def build(folder, shards=3, min_frames=3):
    frames = folder / "frames"
    names = [f"{i}-of-{shards}" for i in range(shards)]
    build_index(
        folder / "manifest.parquet",
        [frames / f"{name}.tar" for name in names],
        [frames / f"{name}.parquet" for name in names],
        [frames / f"{name}.rejected.csv" for name in names],
        folder / "index.parquet",
        folder / "frame_sizes.npy",
        folder / "rejected.csv",
        min_frames=min_frames,
    )
    return folder / "index.parquet"


def test_index_follows_the_manifest(tmp_path):
    index = load_index(build(dataset(tmp_path)))
    wanted = pq.read_table(tmp_path / "manifest.parquet").to_pylist()
    wanted = [row for row in wanted if row["video"] not in ("v4", "v7")]
    assert len(index) == 8
    assert index.videos.to_pylist() == [row["video"] for row in wanted]
    assert index.labels.tolist() == [row["class"] for row in wanted]
    assert index.labels.dtype == np.int64
    assert index.n_frames.tolist() == [3 + int(row["video"][1:]) for row in wanted]
    assert index.heights.tolist() == [48 + int(row["video"][1:]) for row in wanted]
    assert (index.fps, index.shorter_side) == (25.0, 48)
    table = pq.read_table(tmp_path / "index.parquet")
    assert table["instance"].to_pylist() == list(range(8))
    assert table["label"].to_pylist() == [row["label"] for row in wanted]
    assert set(table["shard"].to_pylist()) == {f"frames/{i}-of-3.tar" for i in range(3)}
    with (tmp_path / "rejected.csv").open() as file:
        refused = [(row["video"], row["reason"]) for row in csv.DictReader(file)]
    assert refused == [
        ("v4", "cannot be decoded: moov atom not found"),
        ("v7", "too short: 2 frames, at least 3 needed"),
    ]


def test_every_frame_is_read_back(tmp_path):
    index = load_index(build(dataset(tmp_path)))
    for reader in (index, pickle.loads(pickle.dumps(index))):
        for i in range(len(reader)):
            video = reader.videos[i].as_py()
            n = len(JPEGS[video])
            assert reader.read_frames(i, np.arange(n)) == JPEGS[video]
            assert reader.read_frames(i, [n - 1, 0, 0]) == [JPEGS[video][k] for k in (-1, 0, 0)]
    for frame in (-1, 3):
        with pytest.raises(VieError, match=r"'v0' has frames 0\.\.2"):
            index.read_frames(0, [0, frame])


def test_moved_folder_still_reads(tmp_path):
    build(dataset(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    index = load_index(tmp_path / "there" / "index.parquet")
    assert index.read_frames(0, [1]) == [JPEGS["v0"][1]]


def test_number_of_shards_does_not_change_the_instances(tmp_path):
    one = load_index(build(dataset(tmp_path / "a", shards=1), shards=1))
    many = load_index(build(dataset(tmp_path / "b", shards=4), shards=4))
    assert one.videos.equals(many.videos)
    assert np.array_equal(one.jpegs, many.jpegs)


def test_a_shard_without_usable_videos(tmp_path):
    index = load_index(build(dataset(tmp_path, n=4, shards=4, bad=(2,), short=()), shards=4))
    assert index.videos.to_pylist() == ["v0", "v3", "v1"]


def test_no_usable_video(tmp_path):
    with pytest.raises(VieError, match="none of its 10 videos is usable"):
        build(dataset(tmp_path, bad=range(10)))
    with pytest.raises(VieError, match="none of its 10 videos is usable"):
        build(dataset(tmp_path), min_frames=1000)
    assert not (tmp_path / "index.parquet").exists()


@pytest.mark.parametrize("present", [0, 1])
def test_no_file_at_all_is_a_manifest_to_be_made_anew(tmp_path, present):
    dataset(tmp_path, n=6, bad=range(6))
    for path in (tmp_path / "frames").glob("*.rejected.csv"):
        text = path.read_text().replace("cannot be decoded: moov atom not found", "missing file")
        path.write_text(text.replace("missing file", "empty file", present))
    with pytest.raises(VieError, match="none of its 6 videos is usable") as error:
        build(tmp_path)
    advice = f"delete {tmp_path / 'manifest.parquet'} to have the copy read anew"
    assert (advice in str(error.value)) == (not present)


def change_rows(path, change):
    rows = pq.read_table(path).to_pylist()
    write_table(path, change(rows) or rows, shards="3")


def test_what_does_not_fit_together_is_named(tmp_path):
    def fails(message, damage):
        folder = dataset(tmp_path / message[:3])
        damage(folder / "frames" / "1-of-3", folder)
        with pytest.raises(VieError, match=message):
            build(folder)
        assert not {"index.parquet", "frame_sizes.npy", "rejected.csv"} & {*os.listdir(folder)}

    def truncate(name, folder):
        tar = name.with_suffix(".tar")
        tar.write_bytes(tar.read_bytes()[:-10240])

    def other_shard(name, folder):
        name.with_suffix(".tar").write_bytes(name.with_name("2-of-3.tar").read_bytes())

    def settings(name, folder):
        table = name.with_suffix(".parquet")
        write_table(table, pq.read_table(table).to_pylist(), shards="3", fps="30")

    def lost(name, folder):
        write_rejected([], folder / "frames" / "1-of-3.rejected.csv")
        write_rejected([], folder / "frames" / "0-of-3.rejected.csv")
        write_rejected([], folder / "frames" / "2-of-3.rejected.csv")

    def twice(name, folder):
        row = {"video": "v0", "path": "train/v0.mp4", "label": "class 0", "reason": "no frames"}
        write_rejected([row], folder / "frames" / "1-of-3.rejected.csv")

    def stranger(name, folder):
        row = {"video": "w", "path": "train/w.mp4", "label": "class 0", "reason": "no frames"}
        write_rejected([row], folder / "frames" / "1-of-3.rejected.csv")

    def other_class(name, folder):
        table = pq.read_table(name.with_suffix(".parquet"))
        rows = [{**row, "class": 2 - row["class"]} for row in table.to_pylist()]
        write_table(name.with_suffix(".parquet"), rows, shards="3")

    def other_columns(name, folder):
        table = pq.read_table(name.with_suffix(".parquet"))
        rest = table.drop_columns(["sizes"]).replace_schema_metadata()
        pq.write_table(rest, name.with_suffix(".parquet"))

    def other_csv(name, folder):
        (folder / "frames" / "1-of-3.rejected.csv").write_text("video,reason\n")

    fails(r"1-of-3\.tar: the shard has \d+ bytes.*truncated", truncate)
    fails(r"of-3\.tar", other_shard)
    fails(r"parquet was made with .*\"fps\": \"30\".*, but .*\"25\"", settings)
    fails("manifest.parquet: 1 videos are in no shard and not rejected, the first is 'v4'", lost)
    fails(".*video 'v0' is in the shards twice", twice)
    fails("anifest.parquet: does not have video 'w'", stranger)
    fails("nifest.parquet: gives another path or class", other_class)
    fails("-of-3.parquet: not the format of the table of a shard", other_columns)
    fails("rejected.csv: columns must be", other_csv)


def test_index_whose_sizes_are_lost_or_of_another(tmp_path):
    path = build(dataset(tmp_path))
    wanted, sizes = load_index(path).n_frames.tolist(), np.load(tmp_path / "frame_sizes.npy")
    np.save(tmp_path / "frame_sizes.npy", sizes[:-1])
    assert frame_counts(path).tolist() == wanted
    with pytest.raises(VieError, match=r"frame_sizes\.npy: .*delete .*frame_sizes\.npy, and run"):
        load_index(path)
    (tmp_path / "frame_sizes.npy").unlink()
    with pytest.raises(VieError, match=r"frame_sizes\.npy: no such file"):
        load_index(path)
    with pytest.raises(VieError, match=r"manifest\.parquet: not the format of an index"):
        load_index(tmp_path / "manifest.parquet")


@pytest.mark.parametrize("classes", [3, 60])
def test_summary(tmp_path, classes):
    n = 4 * classes
    folders = {
        split: dataset(tmp_path / split, n, 3, split, classes=classes) for split in ("train", "val")
    }
    for folder in folders.values():
        build(folder)
    arguments = (
        {split: folder / "index.parquet" for split, folder in folders.items()},
        {split: folder / "rejected.csv" for split, folder in folders.items()},
        tmp_path / "train" / "classes.csv",
        tmp_path / "summary.csv",
    )
    made = []
    for run in ("a", "b"):
        plots = [tmp_path / run / f"summary.{kind}" for kind in ("svg", "png")]
        write_summary(*arguments, plots, {}, "mine")
        made.append([path.read_bytes() for path in plots])
    assert made[0] == made[1]  # no date, no random ids
    assert made[0][0].startswith(b"<?xml")
    assert made[0][1].startswith(b"\x89PNG")
    with (tmp_path / "summary.csv").open() as file:
        rows = {(r["split"], r["quantity"], r["name"]): r["value"] for r in csv.DictReader(file)}
    usable = [i for i in range(n) if i not in (4, 7)]
    for split in ("train", "val"):
        assert rows[split, "videos", "all"] == str(len(usable))
        for c in range(classes):
            wanted = sum(i % classes == c for i in usable)
            assert rows[split, "videos", f"class {c}"] == str(wanted)
        assert rows[split, "seconds", "total"] == f"{sum(3 + i for i in usable) / 25:.2f}"
        assert rows[split, "seconds", "p0"] == "0.12"
        assert rows[split, "seconds", "p100"] == f"{(2 + n) / 25:.2f}"
        assert rows[split, "rejected", "cannot be decoded"] == "1"
        assert rows[split, "rejected", "too short"] == "1"
        assert rows[split, "rejected", "all"] == "2"
    assert not {"expected", "difference"} & {quantity for _, quantity, _ in rows}
    write_summary(*arguments, plots, {"train": 1_000, "test": 5}, "mine")
    with (tmp_path / "summary.csv").open() as file:
        found = [r for r in csv.DictReader(file) if r["quantity"] in ("expected", "difference")]
    assert [(r["split"], r["name"], r["value"]) for r in found] == [
        ("train", "videos", "1000"),
        ("train", "videos", str(len(usable) - 1_000)),
    ]
    assert plots[0].read_bytes() != made[0][0]  # the plot says it, too
