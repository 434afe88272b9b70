"""Copies of Kinetics that are not as their list says: what is refused, and what is only said."""

import os

import pytest

from tests.datasets.layouts.test_kinetics_files import paths, read, tree
from vie.datasets.file_names import as_text, on_disk
from vie.datasets.layouts import LAYOUTS
from vie.datasets.layouts.video_files import NoFilesError
from vie.runtime.errors import VieError

NAME = "bikebikebik_000003_000013"
LINE = "riding a bike,bikebikebik,3,13,train"
LINES = [f"riding a bike,{letter * 11},3,13,train" for letter in "abcde"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["train/part_0.tar.gz", "train/part_1.tar.gz"], "2 archives are not unpacked ('part_0"),
        (["train/part_0.tar.gz"], "found is for example 'train/part_0.tar.gz'"),
        ([f"train/train/riding a bike/{NAME}.mp4"], "move what is in 'train' one level up"),
        ([f"train/part_0/riding a bike/{NAME}.mp4"], f"'part_0/riding a bike/{NAME}.mp4'"),
        ([f"train/a/b/c/{NAME}.mp4"], "videos lie a level too deep"),
        (["train/other.mp4"], "found is for example 'train/other.mp4'"),
        (["train/other.mp4"], "`roots`, `videos` and `annotations`"),
        (["train/.hidden/x.mp4"], "but it is empty"),
        (["train/bikebikebik_000004_000014.mp4"], "1 have other seconds in their names"),
    ],
)
def test_a_copy_without_any_listed_file_is_refused(tmp_path, files, words):
    arguments = tree(tmp_path, files, [LINE])
    with pytest.raises(NoFilesError, match="none of the 1 listed videos has a file") as error:
        read(*arguments)
    assert words in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'train'}: ")
    assert f"'train/{NAME}.mp4'" in str(error.value)


@pytest.mark.parametrize("found", [2, 3])
def test_fewer_than_half_is_said_aloud(tmp_path, found, caplog):
    files = [f"train/{letter * 11}.mp4" for letter in "abcde"[:found]]
    paths(tmp_path, [*files, "train/part_3.tar.gz"], LINES)
    said = "ONLY 2 of 5 listed videos have a file; 1 archives are not unpacked" in caplog.text
    assert said == (found == 2)
    assert "WARNING" in caplog.text


@pytest.mark.parametrize("link", ["replacement", "replacement/replacement_for_corrupted_k400"])
def test_linked_replacements_are_taken(tmp_path, link):
    root, outside = tmp_path / "k400", tmp_path / "real"
    (outside / "below").mkdir(parents=True)
    (outside / "below" / f"{NAME}.mp4").touch()
    (outside / "below" / "up").symlink_to(outside)
    (outside / "below" / "home").symlink_to(root)
    arguments = tree(root, [f"train/{NAME}.mp4"], [LINE])
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(outside)
    assert [video.path for video in read(*arguments)] == [f"{link}/below/{NAME}.mp4"]


def test_seconds_without_zeros_in_front(tmp_path, caplog):
    short = "bikebikebik_3_13"
    found = read(*tree(tmp_path, [f"train/riding a bike/{short}.mp4"], [LINE]))
    assert [video[:2] for video in found] == [(NAME, f"train/riding a bike/{short}.mp4")]
    assert (found[0].start, found[0].end) == (0, 0)  # it is cut
    assert not caplog.records
    # Six digits come first; the other is left over, as is one with the bare id.
    files = [f"train/riding a bike/{NAME}.mp4", "train/riding a bike/bikebikebik.mp4"]
    assert paths(tmp_path, files, [LINE]) == files[:1]
    assert "2 further files of listed videos are not used" in caplog.text
    assert paths(tmp_path, [f"replacement/{short}.mkv"], [LINE]) == [f"replacement/{short}.mkv"]


def test_other_seconds_are_said_and_not_used(tmp_path, caplog):
    files = ["aaaaaaaaaaa_000003_000013", "bbbbbbbbbbb_000004_000014", "aaaaaaaaaaa_000050_000060"]
    found = read(*tree(tmp_path, [f"train/{name}.mp4" for name in files], LINES[:2]))
    assert [video.file_found for video in found] == [True, False]
    assert found[1].path == "train/bbbbbbbbbbb_000003_000013.mp4"
    assert "1 of these have other seconds in their names" in caplog.text
    assert "without a file: 'train/bbbbbbbbbbb_000004_000014.mp4'" in caplog.text


def test_all_pairs_are_named_together(tmp_path):
    folder = "train/riding a bike"
    files = [f"{folder}/{letter * 11}.{end}" for letter in "abcd" for end in ("mp4", "webm")]
    files += [f"train/{letter * 11}.{end}" for letter in "efg" for end in ("mkv", "mp4")]
    with pytest.raises(VieError, match="7 pairs of files are one video") as error:
        paths(tmp_path, files, LINES)
    assert str(error.value).count(" and 'aaaaaaaaaaa.webm'") == 1
    assert "'train/eeeeeeeeeee.mkv' and 'eeeeeeeeeee.mp4'" in str(error.value)
    assert "and 2 more pairs" in str(error.value)


def test_class_folders_of_any_name(tmp_path, caplog):
    files = [
        f"train/ riding a bike\n/{NAME}.mp4",
        os.fsdecode(b"train/juggling\xff/aaaaaaaaaaa.mp4"),
        f"replacement/old /{'b' * 11}_3_13.mp4",
        f"train/no class /{'c' * 11}_3_13.mp4",
    ]
    lines = [LINE, *(f"juggling,{letter * 11},3,13,train" for letter in "abc")]
    assert paths(tmp_path, files, lines) == [as_text(file) for file in files]
    assert all(on_disk(tmp_path, as_text(file)) == tmp_path / file for file in files)
    # Bytes that are no letter do not count in the name of a class.
    assert r"1 folders are no class of the list: 'no class '" in caplog.text


def test_a_list_that_is_not_there(tmp_path):
    absent = LAYOUTS["kinetics"].absent
    assert (
        absent(tmp_path / "lists", "val") == f"{tmp_path / 'lists'}: no such folder of annotations"
    )
    assert absent(tmp_path, "val").endswith("; CSVs there: none")
    (tmp_path / "k700_val.csv").touch()
    said = absent(tmp_path, "val")
    assert said.startswith(f"{tmp_path}: no CSV of the split 'val' there")
    for words in ("val.csv", "kinetics400_validate.csv", "CSVs there: 'k700_val.csv'"):
        assert words in said
