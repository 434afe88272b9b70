"""A folder of class folders, and its drawn splits."""

import collections

import pytest

from vie.datasets.layouts import LAYOUTS
from vie.frames.manifest import Video
from vie.runtime.errors import VieError

FOLDERS = LAYOUTS["folders"]


def fill(root, counts, suffix=".mp4"):
    for label, count in counts.items():
        (root / label).mkdir(parents=True)
        for i in range(count):
            (root / label / f"{i}{suffix}").touch()
    return root


def test_every_video_of_every_class(tmp_path, caplog):
    root = fill(tmp_path / "mine", {"b & c": 2, "a": 1}, ".MKV")
    (root / "a" / "notes.txt").touch()
    (root / "a" / "._0.mp4").touch()  # as some systems leave beside every file
    (root / "a" / "sub").mkdir()
    (root / ".cache").mkdir()
    assert FOLDERS.read(root, root, "all") == [
        Video("a/0", "a/0.MKV", "a", file_found=True),
        Video("b & c/0", "b & c/0.MKV", "b & c", file_found=True),
        Video("b & c/1", "b & c/1.MKV", "b & c", file_found=True),
    ]
    assert "2 files or folders are no videos" in caplog.text
    assert "'a/notes.txt', 'a/sub'" in caplog.text


def test_folders_of_splits_for_pretraining(tmp_path):
    fill(tmp_path / "train", {"a": 1})
    assert FOLDERS.read(tmp_path, tmp_path, "train") == [
        Video("a/0", "train/a/0.mp4", "a", file_found=True)
    ]
    assert FOLDERS.annotations(tmp_path, tmp_path, "train") == tmp_path / "train"


def test_errors(tmp_path):
    with pytest.raises(VieError, match="cannot be read as a folder"):
        FOLDERS.read(tmp_path / "absent", tmp_path, "all")
    with pytest.raises(VieError, match="no such folder of class folders"):
        FOLDERS.read(tmp_path, tmp_path, "all")
    (tmp_path / "a").mkdir()
    with pytest.raises(VieError, match="a: this class folder holds no video"):
        FOLDERS.read(tmp_path, tmp_path, "all")
    fill(tmp_path / "two", {"c": 1})
    (tmp_path / "two" / "c" / "0.avi").touch()
    with pytest.raises(VieError, match="are one video; remove one"):
        FOLDERS.read(tmp_path / "two", tmp_path, "all")


def test_splits_are_drawn_class_by_class(tmp_path):
    root = fill(tmp_path, {"a": 50, "b": 20, "c": 2})
    videos = FOLDERS.read(root, root, "all")
    splits = [FOLDERS.assign(videos, root, n) for n in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]
    assert sorted(m.video for m in splits[0]) == sorted(v.video for v in videos)
    counts = collections.Counter((m.label, m.subset) for m in splits[2])
    assert counts == {
        ("a", "test"): 15,
        ("a", "train"): 35,
        ("b", "test"): 6,
        ("b", "train"): 14,
        ("c", "test"): 1,
        ("c", "train"): 1,
    }
    with pytest.raises(VieError, match="class 'd' has a single video"):
        FOLDERS.assign([Video("d/0", "d/0.mp4", "d")], root, 1)
