import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.frames.test_excerpts import SETTINGS, shown, write
from vie.datasets.video import Video
from vie.frames.extract import Shard, extract_shard, read_rejected
from vie.frames.ffmpeg import extract_jpegs
from vie.frames.manifest import EXACT_SCHEMA, write_manifest
from vie.frames.pieces import extract_pieces
from vie.frames.shards import check_shard, read_shard_table
from vie.frames.unusable import UnusableVideoError


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """20 seconds whose frames show their numbers."""
    return write(tmp_path_factory.mktemp("pieces") / "long.mp4")


def test_pieces_are_the_frames_of_their_seconds(video):
    pieces = [(0, 4), (2, 6.5), (6.5, 10), (18, 20)]
    found = extract_pieces(video, SETTINGS, pieces)
    for (start, end), frames in zip(pieces, found, strict=True):
        expected = list(range(int(np.ceil(start * 25)), int(np.ceil(end * 25))))
        assert shown(frames.jpegs) == expected


def test_a_single_piece_has_the_bytes_of_an_excerpt(video):
    (piece,) = extract_pieces(video, SETTINGS, [(5, 9)])
    excerpt = extract_jpegs(video, SETTINGS, (5, 9))
    assert list(piece.jpegs) == excerpt.jpegs
    assert piece[1:] == excerpt[1:]


def test_a_piece_behind_the_end_is_unusable_and_the_others_are_not(video):
    whole, partly, behind = extract_pieces(video, SETTINGS, [(10, 20), (18, 28), (30, 40)])
    assert len(whole.jpegs) == 250
    assert "clip incomplete: 2.0 of 10.0 s from second 18 on" in str(partly)
    assert isinstance(behind, UnusableVideoError)


def test_what_comes_before_a_fault_is_used(video, tmp_path):
    broken = tmp_path / "broken.mkv"
    write(broken, codec="-c:v mpeg4 -g 12 -q:v 3")
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size * 3 // 4])
    first, last = extract_pieces(broken, SETTINGS, [(0, 5), (14, 19)])
    assert shown(first.jpegs) == list(range(125))
    assert str(last).startswith(("truncated", "cannot be decoded"))


def test_a_shard_has_all_pieces_of_its_files_together(video, tmp_path, monkeypatch):
    monkeypatch.setattr("vie.frames.pieces.IN_MEMORY", 1000)  # JPEGs lie on the disk
    rows = [Video(f"long@{i}", video.name, "", 5 * i, 5 * i + 5, True) for i in range(4)]
    rows += [Video("whole", video.name, "", 0, 0, True), Video("gone", "gone.mp4", "")]
    manifest = tmp_path / "manifest.parquet"
    write_manifest(rows, [], manifest, exact=True)
    assert pq.read_schema(manifest).equals(EXACT_SCHEMA)
    counts = []
    for number in range(3):
        tar, table, rejected = (tmp_path / f"{number}{end}" for end in (".tar", ".parquet", ".csv"))
        shard = Shard(manifest, number, 3, tar, table, rejected)
        extract_shard(shard, video.parent, SETTINGS, processes=2)
        rows = read_shard_table(table)
        check_shard(tar, rows)
        counts.append({row["video"]: row["n_frames"] for row in rows.to_pylist()})
        assert set(rows["class"].to_pylist()) <= {-1}
    assert counts == [{}, {f"long@{i}": 125 for i in range(4)}, {"whole": 500}]
    assert [row["reason"] for row in read_rejected(tmp_path / "0.csv")] == ["missing file"]
