"""Files of any name, from their folder to the index: each is read or rejected, once."""

import csv
import os
import struct

import pytest
from PIL import Image

from tests.datasets.test_file_names import STRANGE
from tests.frames.test_excerpts import SETTINGS, shown, write
from vie.datasets.file_names import as_text
from vie.datasets.layouts import LAYOUTS
from vie.datasets.layouts.flat import FlatSettings
from vie.frames.extract import Shard, extract_shard
from vie.frames.flat import FlatOutputs, write_flat
from vie.frames.images import ImageSettings
from vie.frames.index import build_index, load_index
from vie.frames.manifest import class_names, read_videos, write_manifest


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write(tmp_path_factory.mktemp("video") / "x.mp4", n=4).read_bytes()


def fill(folder, content, end, broken=STRANGE[::3]):
    """A file of every strange name, no two with the same bytes; some of them broken."""
    folder.mkdir(parents=True)
    for number, name in enumerate(STRANGE):
        good = content + struct.pack(">I4sI", 12, b"free", number)
        (folder / f"{name}{end}").write_bytes(
            b"no video" * (number + 1) if name in broken else good
        )
    return broken


def indexed(folder, manifest, videos, settings):
    """(the index, rows of rejected.csv) of the files of a manifest."""
    parts = [folder / f"0-of-1{end}" for end in (".tar", ".parquet", ".rejected.csv")]
    extract_shard(Shard(manifest, 0, 1, *parts), videos, settings, processes=2)
    made = folder / "index.parquet", folder / "index.sizes.npy", folder / "rejected.csv"
    build_index(manifest, *([part] for part in parts), *made, min_frames=1)
    with made[2].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(made[2].read_text().split("\n")) == len(rows) + 2  # no name breaks a line
    return load_index(made[0]), rows


def check(index, rows, broken):
    assert len(index) == len(STRANGE) - len(broken)
    assert len({row["video"] for row in rows}) == len(rows) == len(broken)
    assert not {row["video"] for row in rows} & set(index.videos.to_pylist())
    for row in rows:
        assert row["reason"].startswith("cannot be decoded"), row


@pytest.mark.parametrize("layout", ["folders", "flat"])
def test_videos_of_any_name(tmp_path, video, layout):
    root, manifest = tmp_path / "root", tmp_path / "manifest.parquet"
    label = STRANGE[6]
    broken = fill(root / label, video, ".mp4")
    if layout == "folders":
        videos = LAYOUTS["folders"].read(root, root, "all")
        assert {one.label for one in videos} == {as_text(label)}
        write_manifest(videos, class_names(videos), manifest)
    else:
        (root / "other.mp4").write_bytes(video)  # validates, or trains
        outputs = FlatOutputs(
            tmp_path / "classes.csv", tmp_path / "train.parquet", tmp_path / "val.parquet"
        )
        how = FlatSettings(None, 0.1, 0)
        write_flat([root], how, outputs, timeout_seconds=60, processes=2)
        videos = [*read_videos(outputs.train), *read_videos(outputs.val)]
        assert len({one.video for one in videos}) == len(videos) == len(STRANGE) + 1
        one_folder = [one for one in videos if one.path != "other.mp4"]
        write_manifest(one_folder, [], manifest, exact=True)
    index, rows = indexed(tmp_path, manifest, root, SETTINGS)
    check(index, rows, broken)
    for number in range(len(index)):
        assert shown(index.read_frames(number, [0, 3])) == [0, 3]


def test_images_of_any_name(tmp_path):
    picture = tmp_path / "x.png"
    Image.new("RGB", (20, 20), "red").save(picture)
    root = tmp_path / "root"
    broken = fill(root / "train" / STRANGE[6], picture.read_bytes(), ".png")
    videos = LAYOUTS["imagefolder"].read(root, root / "train", "train")
    assert len({one.video for one in videos}) == len(STRANGE)
    write_manifest(videos, class_names(videos), tmp_path / "manifest.parquet")
    found = indexed(tmp_path, tmp_path / "manifest.parquet", root, ImageSettings(16))
    check(*found, broken)


def test_what_is_no_file_is_rejected_and_the_rest_is_read(tmp_path, video):
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "good.mp4").write_bytes(video)
    (root / "a" / "circle.mp4").symlink_to("circle.mp4")
    (root / "a" / "gone.mp4").symlink_to("nowhere")
    os.mkfifo(root / "a" / "pipe.mp4")
    (root / "loop").symlink_to("loop")
    videos = LAYOUTS["folders"].read(root, root, "all")
    write_manifest(videos, class_names(videos), tmp_path / "manifest.parquet")
    index, rows = indexed(tmp_path, tmp_path / "manifest.parquet", root, SETTINGS)
    assert index.videos.to_pylist() == ["a/good"]
    reasons = {row["video"]: row["reason"] for row in rows}
    assert set(reasons) == {"a/circle", "a/gone", "a/pipe"}
    assert reasons["a/gone"] == "missing file"
    assert reasons["a/pipe"] == "not a regular file"
    assert "symbolic links" in reasons["a/circle"]


def test_a_shard_of_links_that_lead_nowhere_stops_nothing(tmp_path, video):
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "gone.mp4").symlink_to("nowhere")
    (root / "a" / "good.mp4").write_bytes(video)
    videos = LAYOUTS["folders"].read(root, root, "all")
    manifest = tmp_path / "manifest.parquet"
    write_manifest(videos, class_names(videos), manifest)
    for number in range(2):
        parts = [tmp_path / f"{number}-of-2{end}" for end in (".tar", ".parquet", ".csv")]
        extract_shard(Shard(manifest, number, 2, *parts), root, SETTINGS, processes=1)
    assert "gone" in (tmp_path / "0-of-2.csv").read_text()
