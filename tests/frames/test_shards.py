"""Shards against Python's tarfile and the system's tar."""

import io
import os
import pickle
import shutil
import subprocess
import tarfile
import zlib

import numpy as np
import pyarrow as pa
import pytest

from vie.frames.shards import (
    TABLE_SCHEMA,
    Place,
    ShardReader,
    ShardWriter,
    check_shard,
    frame_offsets,
)
from vie.runtime.errors import VieError


def content(size: int, seed: int = 0) -> bytes:
    """Something that begins and ends as a JPEG does."""
    return b"\xff\xd8" + np.random.default_rng(seed).bytes(size - 4) + b"\xff\xd9"


# Sizes around the tar's block of 512 bytes.
VIDEOS = {
    "a_000000_000010": [content(s, s) for s in (511, 512, 513)],
    "-b;$(x) é": [content(4)],
    "long" * 30: [content(s, s) for s in (1024, 5)],
}


def write(path, videos=VIDEOS):
    """A shard and its table."""
    rows = []
    with path.open("wb") as file:
        writer = ShardWriter(file)
        for video, jpegs in videos.items():
            row = {"video": video, "path": "p", "label": "l", "class": 0, "width": 1, "height": 1}
            rows.append({**row, **writer.add(video, jpegs)})
        writer.finish()
    return pa.Table.from_pylist(rows, schema=TABLE_SCHEMA)


def reader_of(*shards):
    return ShardReader(shards, "index.sizes.npy")


def place(row, frame):
    """Of a frame of a video in the first shard."""
    numbers = (row[name][frame] for name in ("offsets", "sizes", "checksums"))
    return Place(0, *numbers, row["video"], frame)


def test_any_tar_tool_reads_it(tmp_path):
    table = write(tmp_path / "x.tar")
    wanted = {f"{v}/{i:06d}.jpg": j for v, jpegs in VIDEOS.items() for i, j in enumerate(jpegs)}
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert {m.name: tar.extractfile(m).read() for m in tar} == wanted
        offsets = [m.offset_data for m in tar]
        assert {(m.mtime, m.uid, m.gid, m.mode) for m in tar} == {(0, 0, 0, 0o644)}
    assert [o for row in table["offsets"].to_pylist() for o in row] == offsets
    assert os.path.getsize(tmp_path / "x.tar") % tarfile.RECORDSIZE == 0
    if shutil.which("tar"):
        shown = subprocess.run(
            ["tar", "-tf", tmp_path / "x.tar", "--quoting-style=literal"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert (shown.stdout.splitlines(), shown.stderr) == (list(wanted), "")


def test_reading_by_offset(tmp_path):
    table = write(tmp_path / "x.tar")
    check_shard(tmp_path / "x.tar", table)
    reader = reader_of(tmp_path / "x.tar")
    raw = (tmp_path / "x.tar").read_bytes()
    for row in table.to_pylist():
        computed = frame_offsets(row["offsets"][0], np.array(row["sizes"], dtype=np.uint32))
        assert computed.tolist() == row["offsets"]
        for i, (offset, size) in enumerate(zip(row["offsets"], row["sizes"], strict=True)):
            jpeg = reader.read(place(row, i))
            assert jpeg == raw[offset : offset + size] == VIDEOS[row["video"]][i]


def test_empty_shard(tmp_path):
    table = write(tmp_path / "x.tar", {})
    check_shard(tmp_path / "x.tar", table)
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert tar.getnames() == []


def test_same_frames_same_bytes(tmp_path):
    write(tmp_path / "x.tar")
    write(tmp_path / "y.tar")
    assert (tmp_path / "x.tar").read_bytes() == (tmp_path / "y.tar").read_bytes()


def test_id_too_long_for_a_header(tmp_path):
    with pytest.raises(VieError, match="too long for a tar member"):
        ShardWriter(io.BytesIO()).add("x" * 200, [content(9)])


@pytest.mark.parametrize("change", ["truncated", "longer", "other", "zeros", "missing"])
def test_shard_that_does_not_match_its_table(tmp_path, change):
    path = tmp_path / "x.tar"
    table = write(path)
    whole = path.read_bytes()
    if change == "truncated":
        path.write_bytes(whole[:2000])
    elif change == "longer":
        path.write_bytes(whole + bytes(10240))
    elif change == "other":
        write(path, {f"{video[:-1]}x": jpegs for video, jpegs in VIDEOS.items()})
    elif change == "zeros":
        path.write_bytes(bytes(len(whole)))
    else:
        path.unlink()
    with pytest.raises(VieError, match=r"x\.tar"):
        check_shard(path, table)


@pytest.mark.parametrize("column", ["n_frames", "sizes", "offsets", "checksums"])
def test_table_that_contradicts_itself(tmp_path, column):
    rows = write(tmp_path / "x.tar").to_pylist()
    if column == "n_frames":
        rows[0]["n_frames"] += 1
    elif column == "checksums":
        rows[0][column].pop()
    else:
        rows[0][column][1] += 512
    with pytest.raises(VieError, match=r"x\.tar: the table"):
        check_shard(tmp_path / "x.tar", pa.Table.from_pylist(rows, schema=TABLE_SCHEMA))


def test_reading_names_shard_video_and_frame(tmp_path):
    path = tmp_path / "x.tar"
    row = write(path).to_pylist()[0]
    offset, size = row["offsets"][2], row["sizes"][2]
    whole = path.read_bytes()

    def message():
        with pytest.raises(VieError) as error:
            reader_of(path).read(place(row, 2))
        assert "x.tar: frame 2 of video 'a_000000_000010'" in str(error.value)
        return str(error.value)

    path.write_bytes(whole[: offset + 100])
    assert "truncated" in message()
    path.write_bytes(whole[:offset] + bytes(size) + whole[offset + size :])
    assert "damaged: its checksum is wrong" in message()
    write(path, {"b_000000_000010": VIDEOS["a_000000_000010"]})
    assert "not in its place, which holds 'b_000000_000010/000002.jpg'" in message()
    with pytest.raises(VieError, match=r"y\.tar: no such file, but .* put it back"):
        reader_of(tmp_path / "y.tar").read(place(row, 2))


def test_many_shards_few_open_files(tmp_path, monkeypatch):
    monkeypatch.setattr("vie.frames.shards.OPEN_SHARDS", 3)
    for i in range(8):
        write(tmp_path / f"{i}.tar", {f"v{i}": [content(600, i)]})
    reader = reader_of(*(tmp_path / f"{i}.tar" for i in range(8)))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        for i in range(8):
            at = Place(i, 512, 600, zlib.crc32(content(600, i)), f"v{i}", 0)
            assert reader.read(at) == content(600, i)
            assert len(os.listdir("/proc/self/fd")) <= before + 3
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_reader_after_fork_and_pickle(tmp_path):
    row = write(tmp_path / "x.tar").to_pylist()[0]
    reader = reader_of(tmp_path / "x.tar")
    wanted = reader.read(place(row, 0))
    opened = reader._descriptor(0)
    copy = pickle.loads(pickle.dumps(reader))
    assert copy.read(place(row, 0)) == wanted
    child = os.fork()
    if child == 0:  # the child opens its own file and reads the same
        same = reader.read(place(row, 0)) == wanted
        os._exit(0 if same and reader._descriptor(0) != opened else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
