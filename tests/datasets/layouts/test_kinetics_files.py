"""The trees of files that copies of Kinetics have, written as they lie and read."""

import logging
import os

import pytest

from vie.datasets.layouts import LAYOUTS
from vie.datasets.layouts import kinetics_files as module
from vie.datasets.video import Video
from vie.runtime.errors import VieError

HEADER = "label,youtube_id,time_start,time_end,split"
GAME, HEAD = "passing American football (in game)", "massaging person's head"
BIKE = Video("bikebikebik_000003_000013", "", "riding a bike", file_found=True)


def tree(root, files, lines, split="train", name=None):
    """A root with files and an annotation -> (folder of videos, CSV as the layout finds it)."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    path = root / "annotations" / f"{name or split}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return root, LAYOUTS["kinetics"].annotations(root, root / "annotations", split), split


def read(*arguments):
    return LAYOUTS["kinetics"].read(*arguments)


def paths(root, files, lines, **settings):
    return [video.path for video in read(*tree(root, files, lines, **settings))]


@pytest.mark.parametrize(
    "file",
    [
        "train/bikebikebik_000003_000013.mp4",  # the CVD Foundation's tars
        "train/riding a bike/bikebikebik_000003_000013.mp4",  # the crawler
        "train/riding_a_bike/bikebikebik_000003_000013.mkv",
        "videos_train/riding_a_bike/bikebikebik_000003_000013.mp4",  # MMAction2
        "train_256/riding_a_bike/bikebikebik_000003_000013.mp4",  # copies at 256 pixels
        "train/Riding_A_Bike/bikebikebik_000003_000013.mp4",
        "train/part_7/bikebikebik_000003_000013.mp4",  # a tar in a folder of its own
        "train/riding_a_bike/bikebikebik_3.avi",  # the authors' own downloader
        "train/riding_a_bike/bikebikebik_000003.avi",
        "train/riding_a_bike/bikebikebik_000003_000013.mp4.mkv",  # youtube-dl
        "replacement/replacement_for_corrupted_k400/bikebikebik_000003_000013.mp4",
        "replacement_for_corrupted_k400/bikebikebik_000003_000013.mp4",
        "train/replacement_for_corrupted_k400/bikebikebik_000003_000013.mp4",
    ],
)
def test_where_a_video_may_lie(tmp_path, file):
    if not file.startswith(("train", "videos_train")):
        (tmp_path / "train").mkdir()
    found = read(*tree(tmp_path, [file], ["riding a bike,bikebikebik,3,13,train"]))
    assert found == [BIKE._replace(path=file)]


@pytest.mark.parametrize("folder", ["val", "validate", "validation", "videos_val", "val_256"])
@pytest.mark.parametrize("name", ["val", "validate", "kinetics_val", "kinetics-400_val"])
@pytest.mark.parametrize("word", ["val", "validate"])
def test_what_validation_may_be_called(tmp_path, folder, name, word):
    line = f"riding a bike,bikebikebik,3,13,{word}"
    file = f"{folder}/bikebikebik_000003_000013.mp4"
    assert paths(tmp_path, [file], [line], split="val", name=name) == [file]


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        (GAME, "passing_American_football_(in_game)"),
        (GAME, "passing_American_football_in_game"),
        (GAME, "passing_American_football_-in_game-"),
        (GAME, "passing american football (in game)"),
        (HEAD, "massaging_persons_head"),
        (HEAD, "massaging_person-s_head"),
    ],
)
def test_spellings_of_class_folders(tmp_path, label, folder, caplog):
    file = f"train/{folder}/bikebikebik_000003_000013.mp4"
    assert paths(tmp_path, [file], [f"{label},bikebikebik,3,13,train"]) == [file]
    assert not caplog.records


def test_classes_that_only_signs_tell_apart(tmp_path):
    files = [f"train/{c}/{i * 11}_000001_000011.mp4" for c, i in (("C", "a"), ("C++", "b"))]
    lines = ["C,aaaaaaaaaaa,1,11,train", "C++,bbbbbbbbbbb,1,11,train"]
    assert paths(tmp_path, files, lines) == files
    # The other's folder is no place for a bare name: it may be another clip.
    files = ["train/C/ccccccccccc.mp4", "train/C++/bbbbbbbbbbb.mp4"]
    lines = ["C++,ccccccccccc,1,11,train", "C,x,1,11,train", "C++,bbbbbbbbbbb,1,11,train"]
    assert paths(tmp_path, files, lines) == [
        "train/C++/ccccccccccc_000001_000011.mp4",
        "train/C/x_000001_000011.mp4",
        "train/C++/bbbbbbbbbbb_000001_000011.mp4",
    ]


def test_replacements_take_the_place_and_are_counted(tmp_path, caplog):
    good, bad = "aaaaaaaaaaa_000001_000011.mp4", "bbbbbbbbbbb_000002_000012.mp4"
    folder = "replacement/replacement_for_corrupted_k400"
    files = [f"train/{good}", f"train/{bad}", f"{folder}/{bad}", f"{folder}/of_val.mp4"]
    lines = ["c,aaaaaaaaaaa,1,11,train", "c,bbbbbbbbbbb,2,12,train"]
    with caplog.at_level(logging.INFO):
        assert paths(tmp_path, files, lines) == [f"train/{good}", f"{folder}/{bad}"]
    assert "1 videos are taken from 2 replacements" in caplog.text
    assert "WARNING" not in caplog.text
    (tmp_path / "replacement" / bad.replace("mp4", "mkv")).touch()
    with pytest.raises(VieError, match="replace one video; remove one"):
        paths(tmp_path, files, lines)


def test_files_with_a_bare_name_bring_their_seconds(tmp_path, caplog):
    lines = ["c,aaaaaaaaaaa,1,11,train", "c,aaaaaaaaaaa,40,50,train", "d,bbbbbbbbbbb,2,12,train"]
    files = ["train/aaaaaaaaaaa.mp4", "train/d/bbbbbbbbbbb.webm"]
    with caplog.at_level(logging.INFO):
        found = read(*tree(tmp_path, files, lines))
    assert found == [
        Video("aaaaaaaaaaa_000001_000011", "train/aaaaaaaaaaa.mp4", "c", 1, 11, file_found=True),
        Video("aaaaaaaaaaa_000040_000050", "train/aaaaaaaaaaa.mp4", "c", 40, 50, file_found=True),
        Video("bbbbbbbbbbb_000002_000012", "train/d/bbbbbbbbbbb.webm", "d", 2, 12, file_found=True),
    ]
    assert "3 files have no start and end in their names" in caplog.text
    # A name with the seconds is the better one; the other file is said to be unused.
    (tmp_path / "train" / "d" / "bbbbbbbbbbb_000002_000012.mp4").touch()
    found = read(*tree(tmp_path, files, lines))
    assert found[2].path == "train/d/bbbbbbbbbbb_000002_000012.mp4"
    assert (found[2].start, found[2].end) == (0, 0)
    assert "1 further files of listed videos are not used: 'train/d/bbbbb" in caplog.text


BARE = ("aaaaaaaaaaa", 3, 13)


@pytest.mark.parametrize(
    "name",
    [
        "aaaaaaaaaaa.mp4.mkv",  # joined picture and sound
        "aaaaaaaaaaa.webm.mp4",
        "aaaaaaaaaaa.MP4.webm.mkv",
        "aaaaaaaaaaa.f137.mp4",  # not joined
        "aaaaaaaaaaa.f248-drc.webm",
        "aaaaaaaaaaa.f137.mp4.mkv",
        "A title [aaaaaaaaaaa].mp4",  # names that nobody chose
        "A - title-aaaaaaaaaaa.f136.mp4",
    ],
)
def test_names_of_youtube_dl_are_the_id(tmp_path, name, caplog):
    found = read(*tree(tmp_path, [f"train/c/{name}"], ["c,aaaaaaaaaaa,3,13,train"]))
    path = f"train/c/{name}"
    assert found == [Video("aaaaaaaaaaa_000003_000013", path, "c", 3, 13, file_found=True)]
    assert not caplog.records


def test_what_youtube_dl_left_beside_a_video(tmp_path, caplog):
    """Sound, pictures and notes of a video that is there, and of one that is not."""
    ends = ["mp4", "f137.mp4", "f251.webm", "f140.m4a", "en.vtt", "mp4.part", "mp4.ytdl"]
    files = [f"train/{BARE[0]}.{end}" for end in ends]
    files += ["train/bbbbbbbbbbb.f251.webm", "train/bbbbbbbbbbb.temp.mp4"]
    lines = ["c,aaaaaaaaaaa,3,13,train", "c,bbbbbbbbbbb,3,13,train"]
    found = read(*tree(tmp_path, files, lines))
    assert [(video.path, video.file_found) for video in found] == [
        ("train/aaaaaaaaaaa.mp4", True),
        ("train/bbbbbbbbbbb_000003_000013.mp4", False),
    ]
    assert "1 further files of listed videos are not used: 'train/aaaaaaaaaaa.f137" in caplog.text
    assert "4 files that are no videos are left out: 1 .m4a, 1 .part" in caplog.text
    assert "names that are not read, with the id of a listed video without" in caplog.text
    assert "have other seconds" not in caplog.text
    with pytest.raises(VieError, match=r"'train/c/ccccccccccc.f13.\.mp4' and 'ccccccccccc"):
        paths(tmp_path, [f"train/c/ccccccccccc.f13{i}.mp4" for i in (6, 7)], lines)


def test_a_start_that_says_too_little(tmp_path):
    """Two clips with one start, and a name that is another id."""
    lines = ["c,aaaaaaaaaaa,3,13,train", "c,aaaaaaaaaaa,3,8,train", "c,x,1,11,train"]
    files = ["train/aaaaaaaaaaa_3.avi", "train/x_1.avi", "train/x_000001_000011.mp4"]
    assert paths(tmp_path, files, [*lines, "c,x_1,5,15,train"]) == [
        "train/aaaaaaaaaaa_000003_000013.mp4",
        "train/aaaaaaaaaaa_000003_000008.mp4",
        "train/x_000001_000011.mp4",
        "train/x_1.avi",
    ]
    (tmp_path / "train/x_000001_000011.mp4").unlink()
    assert read(*tree(tmp_path, [], [*lines, "c,x_1,5,15,train"]))[2].file_found is False


def test_ids_with_dashes_are_no_titles(tmp_path):
    """The last eleven signs of such names may look like an id behind a dash."""
    names = ["abcd-123456_3_13", "wxyz-123456_3_13", "-_aB3-12345", "0wR5jVB-WPk_417"]
    lines = [f"c,{n[:11]},3,13,train" for n in names[:3]] + ["c,0wR5jVB-WPk,417,427,train"]
    files = [f"train/c/{name}.mp4" for name in names]
    assert paths(tmp_path, files, lines) == files


def test_differences_are_reported_with_counts_and_names(tmp_path, caplog):
    files = [f"train/a/{name}_000001_000011.mp4" for name in ("one", "two", "three")]
    files += ["train/b/four_000001_000011.mp4", "train/odd/five_000001_000011.mp4"]
    files += ["train/six_000001_000011.mp4", "train/a/six_000001_000011.mp4", "train/.x/_.mp4"]
    lines = ["a,one,1,11,train", "a,four,1,11,train", "a,five,1,11,train", "a,six,1,11,train"]
    found = paths(tmp_path, files, [*lines, "a,seven,1,11,train", "e,eight,1,11,train"])
    assert found[0] == "train/a/one_000001_000011.mp4"
    assert found[1] == "train/b/four_000001_000011.mp4"
    assert found[2] == "train/odd/five_000001_000011.mp4"
    assert found[3] == "train/a/six_000001_000011.mp4"
    assert found[4] == "train/a/seven_000001_000011.mp4"
    assert found[5] == "train/e/eight_000001_000011.mp4"
    text = caplog.text
    missing = "'seven_000001_000011', 'eight_000001_000011'"
    assert f"2 listed videos have no file and will be rejected: {missing}" in text
    assert "2 folders are no class of the list: 'b', 'odd'" in text
    assert "1 classes have no folder: 'e'" in text
    assert "2 videos are named by no list: 'train/a/three" in text
    assert "2 videos lie in a folder that is not their class's: 'train/b/four" in text
    assert "1 further files of listed videos are not used: 'train/six" in text


def test_missing_videos_may_be_an_error(tmp_path):
    files = ["train/one_000001_000011.mp4", "train/b/two.mp4", "replacement/x/three.mp4"]
    lines = ["a,one,1,11,train", "b,two,1,11,train", "b,three,1,11,train"]
    compare = LAYOUTS["kinetics"].compare
    compare(tmp_path, read(*tree(tmp_path, files, lines)))
    lines += ["b,four,1,11,train", "c,five,1,11,train"]
    with pytest.raises(VieError, match="2 listed videos are missing: 'train/b/four"):
        compare(tmp_path, read(*tree(tmp_path, files, lines)))


def test_missing_videos_of_a_flat_folder(tmp_path):
    files, lines = ["train/one_000001_000011.mp4"], ["a,one,1,11,train", "a,two,1,11,train"]
    assert paths(tmp_path, files, lines)[1] == "train/two_000001_000011.mp4"


@pytest.mark.parametrize("second", ["validate", "validation", "videos_val", "val_256"])
def test_two_folders_of_one_split(tmp_path, second):
    arguments = tree(tmp_path, ["val/x_000001_000011.mp4"], ["a,x,1,11,val"], split="val")
    (tmp_path / second).symlink_to("val")  # two names of one folder are one
    assert len(read(*arguments)) == 1
    (tmp_path / second).unlink()
    (tmp_path / second).mkdir()
    with pytest.raises(VieError, match=f"both 'val' and '{second}' are there"):
        read(*arguments)


def test_two_lists_of_one_split(tmp_path):
    arguments = tree(tmp_path, ["val/x_000001_000011.mp4"], ["a,x,1,11,val"], split="val")
    (tmp_path / "annotations" / "validate.csv").symlink_to("val.csv")
    assert len(read(*arguments)) == 1
    (tmp_path / "annotations" / "validate.csv").unlink()
    (tmp_path / "annotations" / "validate.csv").touch()
    with pytest.raises(VieError, match=r"both 'val\.csv' and 'validate\.csv' are there"):
        read(*arguments)


def test_replacements_cannot_lead_in_circles(tmp_path):
    arguments = tree(tmp_path, ["train/x_000001_000011.mp4"], ["a,x,1,11,train"])
    (tmp_path / "replacement").mkdir()
    (tmp_path / "replacement" / "again").symlink_to("..")
    assert len(read(*arguments)) == 1


class Entry:
    """An entry of a folder that counts what is asked about it."""

    asked = 0

    def __init__(self, name):
        self.name = name

    def is_dir(self):
        Entry.asked += 1
        return False

    is_file = is_symlink = stat = is_dir


def test_files_are_listed_and_not_looked_at(tmp_path, monkeypatch):
    """240,000 names are one listing: no call per file, link or not."""
    n, calls = 240_000, {"scandir": 0, "stat": 0}
    (tmp_path / "train").mkdir()
    stems = [f"{i:011d}_{i % 90:06d}_{i % 90 + 10:06d}" for i in range(n)]
    entries = [Entry(f"{stem}.mp4") for stem in stems]
    scandir, stat = os.scandir, os.stat

    class Listing(list):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def counted_scandir(path):
        calls["scandir"] += 1
        return Listing(entries) if os.fspath(path) == str(tmp_path / "train") else scandir(path)

    def counted_stat(*arguments, **settings):
        calls["stat"] += 1
        return stat(*arguments, **settings)

    monkeypatch.setattr(os, "scandir", counted_scandir)
    monkeypatch.setattr(os, "stat", counted_stat)
    monkeypatch.setattr(os, "lstat", counted_stat)
    files = module.SplitFiles(tmp_path, module.split_folder(tmp_path, "train"), {"a"})
    found = {stem: files.find(stem, "a") for stem in stems}
    monkeypatch.undo()
    assert {place.path for place in found.values()} == {f"train/{stem}.mp4" for stem in stems}
    assert Entry.asked == 0
    assert calls["scandir"] == 1
    assert calls["stat"] < 100  # of the folders that there may be
