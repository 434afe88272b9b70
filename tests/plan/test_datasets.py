"""Sizes of datasets: from what there is of them, in this order: index, lists, expectation."""

import copy
import shutil

import pytest

from vie.data.embedded import action_files, write
from vie.errors import VieError
from vie.plan.datasets import Datasets, Parts
from vie.plan.expected import expected, expected_parts


def test_the_generators_settings_say_how_many_videos_they_write(config):
    embedded = config["datasets"]["embedded"]
    planned = write.plan(embedded["generator"])
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


def test_lists_are_counted(paper, tmp_path):
    own = copy.deepcopy(paper)
    folders = {"videos": str(tmp_path / "v"), "annotations": str(tmp_path)}
    own["datasets"]["kinetics400"].update(folders)
    (tmp_path / "v" / "train").mkdir(parents=True)
    (tmp_path / "v" / "train" / "00000000003.mp4").touch()
    lines = [f"eating,{i:011d},0,10,train" for i in range(7)]
    header = "label,youtube_id,time_start,time_end,split"
    (tmp_path / "train.csv").write_text("\n".join([header, *lines]) + "\n")
    split = Datasets(own, tmp_path).split("kinetics400", "train")
    assert (split.videos, split.classes) == (7, 1)
    (tmp_path / "v" / "train" / "00000000003.mp4").unlink()
    assert Datasets(own, tmp_path).split("kinetics400", "train").videos == 239_888


def test_nothing_known_is_said(paper, tmp_path):
    own = copy.deepcopy(paper)
    del own["datasets"]["kinetics400"]["identity"]
    with pytest.raises(VieError, match=r"datasets\.kinetics400.*set the folders"):
        Datasets(own, tmp_path).split("kinetics400", "train")
