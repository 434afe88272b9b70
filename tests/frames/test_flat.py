import logging
import subprocess

import pytest

from tests.frames.test_excerpts import SETTINGS, shown, write
from vie.datasets.layouts.flat import FlatSettings
from vie.frames.ffmpeg import ffmpeg_executable
from vie.frames.flat import FlatOutputs, write_flat
from vie.frames.manifest import read_classes, read_videos
from vie.frames.pieces import extract_pieces


def find(folder, place, cut=None, share=0.25):
    outputs = FlatOutputs(folder / "classes.csv", folder / "train.parquet", folder / "val.parquet")
    write_flat([place], FlatSettings(cut, share, 0), outputs, timeout_seconds=60, processes=2)
    parts = read_videos(outputs.train), read_videos(outputs.val)
    return read_classes(outputs.classes), *parts


@pytest.fixture
def folder(tmp_path):
    """Videos of 1 to 4 and of 12 seconds, a copy of one, and a broken one."""
    place = tmp_path / "videos"
    place.mkdir()
    for i in range(1, 5):
        write(place / f"{i}.mp4", n=25 * i)
    write(place / "long.mkv", n=300)
    (place / "copy.mp4").write_bytes((place / "2.mp4").read_bytes())
    (place / "broken.mp4").write_text("no video")
    return place


def test_a_folder_becomes_two_manifests(folder, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    classes, train, val = find(tmp_path, folder, {"seconds": 4, "overlap": 0})
    assert classes == []
    rows = {row.video: row for row in train + val}
    pieces = {f"long.mkv@{start}-{start + 4}" for start in (0, 4, 8)}
    assert set(rows) == {"1.mp4", "2.mp4", "3.mp4", "4.mp4", "broken.mp4", *pieces}
    assert rows["long.mkv@4-8"][3:] == (4, 8, True)
    assert not {row.video for row in train} & {row.video for row in val}
    assert {one in {row.video for row in val} for one in pieces} in ({True}, {False})
    assert "the same bytes as another one, left out: 'copy.mp4'" in caplog.text
    assert "6 files, 8 videos and pieces of videos" in caplog.text
    assert "no labels" in caplog.text


def test_a_list_with_labels_has_classes(folder, tmp_path):
    listed = "".join(f"{i}.mp4,class {i % 2}\n" for i in range(1, 5))
    (folder / "list.csv").write_text(f"path,label\n{listed}")
    classes, train, val = find(tmp_path, folder / "list.csv")
    assert classes == ["class 0", "class 1"]
    assert (len(train), len(val)) == (2, 2)  # one of each class
    assert all(row.label == f"class {int(row.path[0]) % 2}" for row in train + val)


def test_pieces_of_a_video_that_starts_late_are_all_of_it(tmp_path):
    """Sound from the start, pictures from second 6 on."""
    place = tmp_path / "videos"
    place.mkdir()
    write(tmp_path / "shown.mkv", n=300)
    inputs = ["-f", "lavfi", "-i", "sine=duration=18", "-itsoffset", "6", "-i"]
    argv = [ffmpeg_executable(), "-v", "error", *inputs, str(tmp_path / "shown.mkv")]
    argv += ["-map", "0:a", "-map", "1:v", "-c:v", "copy", str(place / "late.mkv")]
    subprocess.run(argv, check=True)
    write(place / "other.mkv", n=50)
    _, train, val = find(tmp_path, place, {"seconds": 4, "overlap": 0}, 0.4)
    pieces = sorted((row.start, row.end) for row in train + val if row.path == "late.mkv")
    assert len(pieces) == 3
    found = extract_pieces(place / "late.mkv", SETTINGS, pieces)
    numbers = [number for frames in found for number in shown(frames.jpegs)]
    assert len(numbers) == pytest.approx(300, abs=3)
    assert numbers == sorted(set(numbers))
