"""Sizes of datasets: from what there is of them, in this order: index, lists, expectation."""

import copy
import shutil

import pytest

from vie.datasets.layouts.kinetics import read_kinetics
from vie.datasets.synthetic import action_files, write_videos
from vie.frames.manifest import class_names, write_manifest
from vie.plan.datasets import Datasets, Parts
from vie.plan.expected import expected, expected_parts
from vie.runtime.errors import VieError


def test_the_generators_settings_say_how_many_videos_they_write(config):
    embedded = config["datasets"]["embedded"]
    planned = write_videos.plan(embedded["generator"])
    for split in ("train", "val"):
        good = [video for video in planned if video.split == split and not video.bad]
        assert expected(embedded, split).videos == len(good)


@pytest.mark.parametrize("layout", ["ucf101", "hmdb51"])
def test_the_stand_ins_too(config, layout):
    dataset = config["datasets"][f"actions_{layout}"]
    actions = {"ucf101": action_files.UCF101, "hmdb51": action_files.HMDB51}[layout]
    spare = {"ucf101": 0, "hmdb51": action_files.SPARE}[layout]
    settings = dataset["generator"]
    groups = settings["train_groups"] + settings["test_groups"] + spare
    clips = action_files._clips(actions, settings, groups, lambda a, g, n: f"{a.label}/{g}_{n}")
    assert expected(dataset, "all").videos == len(clips)
    flags = action_files._flags(settings, spare, 1)
    counts = [sum(flags[clip.group] == flag for clip in clips) for flag in (1, 2)]
    assert expected_parts(dataset) == tuple(counts)


def test_the_papers_sizes_are_the_protocols(paper, tmp_path):
    datasets = Datasets(paper, tmp_path)
    assert datasets.split("kinetics400", "train").videos == 239_888
    assert datasets.split("kinetics400", "val").videos == 19_653
    assert datasets.split("kinetics400", "train").frames == 250
    held = round(0.1 * 9_537)
    assert datasets.parts("ucf101") == Parts(9_537 - held, held, 3_783)


def test_an_index_says_it_exactly(config, small_dataset, tmp_path):
    here = tmp_path / "resources" / "embedded"
    shutil.copytree(small_dataset, here)
    split = Datasets(config, tmp_path).split("embedded", "train")
    assert (split.videos, split.classes) == (24, 4)
    sizes = sum(path.stat().st_size for path in here.glob("train/frames/*.tar"))
    assert split.all_frames * split.jpeg_bytes < sizes
    assert "index" in split.source
    (here / "train" / "index.parquet").unlink()
    again = Datasets(config, tmp_path).split("embedded", "train")
    assert again.videos == 24
    assert again.frames == 71  # the generator's mean, for want of an index
    assert "manifest" in again.source


@pytest.fixture
def copied(paper, tmp_path):
    """The paper's config with a root whose training list has 7 videos of 2 classes, and the root;
    files of the first `files` of them are there, and with None not even their folder."""

    def build(files):
        own, root = copy.deepcopy(paper), tmp_path / "k400"
        folders = {"videos": str(root), "annotations": str(root / "annotations")}
        own["datasets"]["kinetics400"].update(folders)
        (root / "annotations").mkdir(parents=True)
        lines = [f"{'eating' if i else 'juggling'},{i:011d},0,10,train" for i in range(7)]
        header = "label,youtube_id,time_start,time_end,split"
        (root / "annotations" / "train.csv").write_text("\n".join([header, *lines]) + "\n")
        if files is not None:
            (root / "train" / "eating").mkdir(parents=True)
        for i in range(1, 1 + (files or 0)):
            (root / "train" / "eating" / f"{i:011d}_000000_000010.mp4").touch()
        return own, root

    return build


def train_split(own, root):
    return Datasets(own, root).split("kinetics400", "train")


@pytest.mark.parametrize("files", [None, 0])
def test_lists_are_counted_before_the_videos_are_there(copied, files):
    split = train_split(*copied(files))
    assert (split.videos, split.classes) == (7, 2)
    assert "its lists, 7 videos; no videos yet" in split.source


def test_videos_that_have_a_file_are_planned(copied):
    split = train_split(*copied(3))
    assert (split.videos, split.classes) == (3, 2)
    assert "3 of 7 listed have a file" in split.source
    assert split.all_frames == 3 * 10 * 25


def test_videos_of_a_manifest_that_have_a_file_are_planned(copied, tmp_path):
    own, root = copied(3)
    here = tmp_path / "resources" / "kinetics400" / "train"
    here.mkdir(parents=True)
    videos = read_kinetics(root, root / "annotations" / "train.csv", "train")
    write_manifest(videos, class_names(videos), here / "manifest.parquet")
    split = Datasets(own, tmp_path).split("kinetics400", "train")
    assert split.videos == 3
    assert "manifest, 3 of 7 listed have a file" in split.source


def test_lists_that_cannot_be_read_leave_what_is_expected(copied):
    own, root = copied(3)
    (root / "annotations" / "train.csv").write_text("a,b\n")
    split = train_split(own, root)
    assert split.videos == 239_888
    assert "cannot be read" in split.source
    assert "train.csv, line 1" in split.source


def test_an_official_split_shrinks_with_the_copy(paper, tmp_path):
    """10 of 20 listed videos of UCF101 have a file."""
    own = copy.deepcopy(paper)
    lists, videos = tmp_path / "lists", tmp_path / "UCF-101"
    own["datasets"]["ucf101"].update(videos=str(videos), annotations=str(lists))
    names = [f"A/v_A_g{i:02d}_c01.avi" for i in range(20)]
    for path in (lists, videos / "A"):
        path.mkdir(parents=True)
    (lists / "classInd.txt").write_text("1 A\n")
    (lists / "trainlist01.txt").write_text("".join(f"{name} 1\n" for name in names[:12]))
    (lists / "testlist01.txt").write_text("\n".join(names[12:]))
    for name in names[:10]:
        (videos / name).touch()
    datasets = Datasets(own, tmp_path)
    assert datasets.split("ucf101", "all").videos == 10
    train = round(9_537 / 2)
    assert datasets.parts("ucf101").train == train - round(0.1 * train)


def test_nothing_known_is_said(paper, tmp_path):
    own = copy.deepcopy(paper)
    del own["datasets"]["kinetics400"]["official_name"]
    with pytest.raises(VieError, match=r"datasets\.kinetics400.*set the folders"):
        Datasets(own, tmp_path).split("kinetics400", "train")
