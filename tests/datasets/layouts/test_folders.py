"""A folder of class folders, and its drawn splits."""

import collections
import errno
import os

import pytest

from vie.datasets.layouts import LAYOUTS
from vie.datasets.layouts.video_files import NoFilesError
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
    assert "1 folders in class folders are left out: 'a/sub'" in caplog.text
    assert "2 hidden, 1 .txt: '.cache', 'a/notes.txt', 'a/._0.mp4'" in caplog.text


def test_folders_of_splits_for_pretraining(tmp_path):
    fill(tmp_path / "train", {"a": 1})
    assert FOLDERS.read(tmp_path, tmp_path, "train") == [
        Video("a/0", "train/a/0.mp4", "a", file_found=True)
    ]
    assert FOLDERS.annotations(tmp_path, tmp_path, "train") == tmp_path / "train"


def test_errors(tmp_path):
    with pytest.raises(VieError, match="cannot be read as a folder"):
        FOLDERS.read(tmp_path / "absent", tmp_path, "all")
    with pytest.raises(VieError, match="no video in class folders"):
        FOLDERS.read(tmp_path, tmp_path, "all")
    fill(tmp_path / "some", {"c": 1})
    (tmp_path / "some" / "a").mkdir()
    (tmp_path / "some" / "b" / "deep").mkdir(parents=True)
    (tmp_path / "some" / "b" / "deep" / "x.mp4").touch()
    with pytest.raises(VieError, match=r"2 class folders hold no video: 'a', 'b'; .*b/deep/x\.mp4"):
        FOLDERS.read(tmp_path / "some", tmp_path, "all")
    fill(tmp_path / "two", {"c": 1})
    (tmp_path / "two" / "c" / "0.avi").touch()
    with pytest.raises(VieError, match="are one video; remove one"):
        FOLDERS.read(tmp_path / "two", tmp_path, "all")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["loose.mp4"], r"1 videos lie directly in it, in no class folder: 'loose.mp4'; .*flat"),
        (
            ["a/x.mp4.part", "a/y.jpg"],
            r"there are other files: 1 .jpg, 1 .part: 'a/y.jpg', 'a/x.mp4.part'",
        ),
        (["a/b/x.mp4"], r"videos lie a level too deep \('a/b/x.mp4'\)"),
        (["a.zip"], r"there are other files: 1 .zip: 'a.zip'"),
    ],
)
def test_an_error_says_what_lies_there_instead(tmp_path, names, words):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(NoFilesError, match=words):
        FOLDERS.read(tmp_path, tmp_path, "all")


def test_what_lies_beside_class_folders_is_named(tmp_path, caplog):
    root = fill(tmp_path / "mine", {"a": 2, "b": 1})
    for name in ("loose.mp4", "x.avi.part", "a/0.srt", "a/1.mp4.ytdl"):
        (root / name).touch()
    assert [video.video for video in FOLDERS.read(root, root, "all")] == ["a/0", "a/1", "b/0"]
    assert "1 videos lie beside the class folders and are left out: 'loose.mp4'" in caplog.text
    assert "1 .part, 1 .srt, 1 .ytdl" in caplog.text


def test_links_and_what_is_no_file(tmp_path, caplog):
    root = fill(tmp_path / "mine", {"a": 1, "b": 1})
    (root / "loop").symlink_to("loop")
    (root / "a" / "circle.mp4").symlink_to("circle.mp4")
    (root / "a" / "gone.mp4").symlink_to("nowhere.mp4")
    (root / "a" / "up").symlink_to("..")
    (root / "self").symlink_to(".")
    (root / "above").symlink_to("..")
    os.mkfifo(root / "b" / "pipe.mp4")
    (root / "b" / "folder.mp4").mkdir()
    found = {video.video: video.file_found for video in FOLDERS.read(root, root, "all")}
    wanted = {
        "a/0": True,
        "a/circle": False,
        "a/gone": False,
        "b/0": True,
        "b/folder": True,
        "b/pipe": True,
    }
    assert found == wanted
    for words in (
        "3 links lead nowhere or in a circle: 'loop', 'a/circle.mp4'",
        "'a/up'",
        "self is a link to where",
    ):
        assert words in caplog.text


def test_a_folder_that_is_not_there_names_its_neighbours(tmp_path):
    fill(tmp_path, {"run": 1, "sit": 1})
    said = FOLDERS.absent(tmp_path / "train", "train")
    assert (
        said == f"{tmp_path / 'train'}: no such folder; in {tmp_path} are the folders 'run', 'sit'"
    )
    assert "cannot be read" in FOLDERS.absent(tmp_path / "gone" / "train", "train")


def test_an_unreadable_class_folder_is_named(tmp_path, caplog, monkeypatch):
    root, scandir = fill(tmp_path / "mine", {"a": 1, "b": 1}), os.scandir

    def refused(path):  # file modes do not stop root
        if os.fspath(path) == str(root / "b"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert [video.video for video in FOLDERS.read(root, root, "all")] == ["a/0"]
    assert f"{root / 'b'}: cannot be read as a folder: Permission denied" in caplog.text


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
