import os
import signal
import socket
import subprocess
import sys
import tarfile
import time

import pyarrow.parquet as pq
import pytest

from vie.frames import extract as module
from vie.frames.excerpts import extract_clip
from vie.frames.extract import extract_shard, read_rejected
from vie.frames.ffmpeg import extract_jpegs, ffmpeg_executable
from vie.frames.manifest import Video, class_names, read_videos, write_manifest
from vie.frames.shards import check_shard, read_shard_table
from vie.runtime.errors import VieError

DECODE = {"fps": 25, "shorter_side": 48, "quality": 3, "timeout_seconds": 20, "max_seconds": 60}


def dataset(folder, n=6, bad=("missing", "empty", "text")):
    """`n` good videos of 3, 4, 5, ... frames and some bad ones -> (manifest, folder)."""
    (folder / "videos").mkdir(parents=True)
    videos = []
    for i in range(n):
        path = folder / "videos" / f"v{i:03d}.mp4"
        source = f"testsrc2=size=64x48:rate=25:duration={(3 + i % 8) / 25}"
        argv = [ffmpeg_executable(), "-v", "error", "-f", "lavfi", "-i", source, "-threads", "1"]
        if i < 8:
            subprocess.run([*argv, "-c:v", "mpeg4", "-q:v", "2", path], check=True)
        else:
            os.link(folder / "videos" / f"v{i % 8:03d}.mp4", path)
        videos.append(Video(f"v{i:03d}", path.name, f"class {i % 2}"))
    for name in bad:
        videos.append(Video(name, f"{name}.mp4", "class 0"))
        if name != "missing":
            (folder / "videos" / f"{name}.mp4").write_text("no video" * (name == "text"))
    write_manifest(videos, class_names(videos), folder / "manifest.parquet")
    return folder / "manifest.parquet", folder / "videos"


def outputs(folder, shard=0, shards=1):
    name = folder / f"{shard}-of-{shards}"
    return [name.with_suffix(end) for end in (".tar", ".parquet", ".rejected.csv")]


def extract(folder, shard=0, shards=1, processes=2, name="frames", **changes):
    made = outputs(folder / name, shard, shards)
    manifest, videos = folder / "manifest.parquet", folder / "videos"
    extract_shard(
        manifest, shard, shards, videos, *made, **{**DECODE, **changes}, processes=processes
    )
    return made


def test_bad_videos_are_recorded_and_the_rest_goes_on(tmp_path):
    _, videos = dataset(tmp_path)
    tar, table, rejected = extract(tmp_path)
    rows = read_shard_table(table).to_pylist()
    assert [row["video"] for row in rows] == ["v000", "v002", "v004", "v001", "v003", "v005"]
    assert [row["n_frames"] for row in rows] == [3, 5, 7, 4, 6, 8]
    assert {(row["width"], row["height"]) for row in rows} == {(64, 48)}
    check_shard(tar, read_shard_table(table))
    refused = {row["video"]: row for row in read_rejected(rejected)}
    assert refused["missing"]["reason"] == "missing file"
    assert refused["empty"]["reason"] == "empty file"
    assert refused["text"]["reason"].startswith("cannot be decoded: ")
    assert refused["text"]["path"] == "text.mp4"
    assert refused["text"]["label"] == "class 0"
    wanted = extract_jpegs(videos / "v003.mp4", **DECODE).jpegs
    with tarfile.open(tar) as archive:
        found = [archive.extractfile(f"v003/{i:06d}.jpg").read() for i in range(6)]
    assert found == wanted
    metadata = pq.read_schema(table).metadata
    assert (metadata[b"fps"], metadata[b"shorter_side"], metadata[b"shards"]) == (
        b"25",
        b"48",
        b"1",
    )


def test_shards_share_out_the_manifest(tmp_path):
    dataset(tmp_path)
    found = []
    for shard in range(4):
        _, table, rejected = extract(tmp_path, shard, 4)
        found.append([row["video"] for row in read_shard_table(table).to_pylist()])
        found[-1] += [row["video"] for row in read_rejected(rejected)]
    assert sorted(video for videos in found for video in videos) == sorted(
        ["empty", "missing", "text", *(f"v{i:03d}" for i in range(6))]
    )
    assert {len(videos) for videos in found} == {2, 3}


def test_number_of_processes_does_not_matter(tmp_path):
    dataset(tmp_path, n=8)
    one, many = extract(tmp_path, processes=1, name="a"), extract(tmp_path, processes=3, name="b")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in many]


def test_shard_with_no_good_video(tmp_path):
    dataset(tmp_path, n=0)
    tar, table, rejected = extract(tmp_path)
    assert len(read_shard_table(table)) == 0
    assert len(read_rejected(rejected)) == 3
    check_shard(tar, read_shard_table(table))


def test_files_that_were_there_and_are_gone(tmp_path):
    """A node that does not see the folder fails; one file that is gone is a rejected video."""
    manifest, videos = dataset(tmp_path, n=3)
    listed = [video._replace(there=video.video != "missing") for video in read_videos(manifest)]
    write_manifest(listed, class_names(listed), manifest)
    (videos / "v001.mp4").unlink()
    _, _, rejected = extract(tmp_path)
    assert [r["reason"] for r in read_rejected(rejected)].count("missing file") == 2
    videos.rename(tmp_path / "elsewhere")
    videos.mkdir()  # the mount point without its mount
    with pytest.raises(VieError, match=r"none of this shard's 5 files is there on ") as error:
        extract(tmp_path, name="again")
    for words in (str(videos), socket.gethostname(), "mounted", str(manifest)):
        assert words in str(error.value)
    assert not any(path.exists() for path in outputs(tmp_path / "again"))


def test_files_that_go_while_they_are_read(tmp_path, monkeypatch):
    manifest, videos = dataset(tmp_path, n=2, bad=())
    listed = [video._replace(there=True) for video in read_videos(manifest)]
    write_manifest(listed, class_names(listed), manifest)

    def decode(path, **settings):
        for file in videos.iterdir():
            file.unlink()
        return extract_clip(path, **settings)

    monkeypatch.setattr(module, "extract_clip", decode)
    with pytest.raises(VieError, match="none of this shard's 2 files is there"):
        extract(tmp_path, processes=1)


def test_waiting_results_are_bounded(tmp_path, monkeypatch):
    dataset(tmp_path, n=40, bad=())
    alive, most = set(), []

    def decode(path, **settings):
        alive.add(path.stem)
        most.append(len(alive))
        return extract_clip(path, **settings)

    class Writer(module.ShardWriter):
        def add(self, video, jpegs):
            time.sleep(0.02)  # slower than the decoding
            alive.discard(video)
            return super().add(video, jpegs)

    monkeypatch.setattr(module, "extract_clip", decode)
    monkeypatch.setattr(module, "ShardWriter", Writer)
    extract(tmp_path, processes=2)
    assert max(most) <= module.VIDEOS_AHEAD * 2 + 1


def test_error_leaves_nothing(tmp_path, monkeypatch):
    dataset(tmp_path, bad=())

    def decode(path, **settings):
        if path.stem == "v003":
            raise VieError("ffmpeg was killed from outside")
        return extract_clip(path, **settings)

    monkeypatch.setattr(module, "extract_clip", decode)
    with pytest.raises(VieError, match="killed from outside"):
        extract(tmp_path)
    assert os.listdir(tmp_path / "frames") == []


def test_wrong_shard_and_folder(tmp_path):
    dataset(tmp_path, n=1, bad=())
    with pytest.raises(VieError, match="shard 2 of 2"):
        extract(tmp_path, 2, 2)
    (tmp_path / "videos").rename(tmp_path / "elsewhere")
    with pytest.raises(VieError, match="no such folder of videos"):
        extract(tmp_path)


def test_kill_midway_leaves_no_output(tmp_path):
    manifest, videos = dataset(tmp_path, n=60, bad=())
    made = outputs(tmp_path / "frames")
    paths = ", ".join(f"Path({str(path)!r})" for path in (videos, *made))
    script = (
        "from pathlib import Path; from vie.frames.extract import extract_shard\n"
        f"extract_shard(Path({str(manifest)!r}), 0, 1, {paths}, **{DECODE!r}, processes=1)"
    )
    job = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    while not any(p.stat().st_size > 50_000 for p in (tmp_path / "frames").glob(".*.tar")):
        assert job.poll() is None
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert not any(path.exists() for path in made)
    assert os.listdir(tmp_path / "frames") != []
    tar, table, _ = extract(tmp_path)
    assert set(os.listdir(tmp_path / "frames")) == {path.name for path in made}
    assert len(read_shard_table(table)) == 60
    check_shard(tar, read_shard_table(table))
