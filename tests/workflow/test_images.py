"""What the rules ask of datasets of images."""

import os
import time
from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.runtime.errors import VieError
from vie.workflow import resources, videos
from vie.workflow.paths import Experiment
from vie.workflow.versions import VERSIONS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = load_config(ROOT / "config.yaml", ROOT / "experiments" / "kinetics400.yaml")
    found["roots"] = {"imagenet": "copy"}
    for path in ("train/ant/1.JPEG", "val/ant/2.JPEG"):
        Path("copy", path).parent.mkdir(parents=True, exist_ok=True)
        Path("copy", path).touch()
    return found


def test_a_tree_is_watched_without_a_look_at_its_images(config, monkeypatch):
    first = videos.listing(config, "imagenet", "train")
    time.sleep(0.02)  # times of files are coarse
    Path("copy/train/ant/3.JPEG").touch()
    looked = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(Path(path)) or scandir(path))
    second = videos.listing(config, "imagenet", "train")
    assert first != second == videos.listing(config, "imagenet", "train")
    assert set(looked) == {Path("copy/train")}
    assert videos.annotation_files(config, "imagenet", "train", "x") == ["copy/train"]


def test_a_list_is_an_input(config):
    config["datasets"]["imagenet"]["annotations"] = "list.txt"
    with pytest.raises(VieError, match=r"copy/list\.txt: no such .*`datasets\.imagenet\.annota"):
        videos.annotation_files(config, "imagenet", "val", "x")
    Path("copy/list.txt").write_text("train/ant/1.JPEG ant\nval/ant/2.JPEG ant\n")
    for split in ("train", "val"):
        assert videos.annotation_files(config, "imagenet", split, "x") == ["copy/list.txt"]
        assert videos.listing(config, "imagenet", split) is None


def test_images_that_the_workflow_writes_are_an_input(config):
    assert videos.annotation_files(config, "stand_in_imagenet", "val", "x") == [
        "resources/stand_in_imagenet/videos"
    ]
    assert videos.listing(config, "stand_in_imagenet", "val") is None


def test_frames_of_videos_and_of_images_have_versions_of_their_own(config):
    experiment = Experiment(config)
    images, frames = (f"{kind} {VERSIONS[kind].number}" for kind in ("images", "frames"))
    assert experiment.frames_version("imagenet") == images
    assert {experiment.frames_version(name) for name in ("kinetics400", "ucf101")} == {frames}
    assert experiment.setting("frames")("imagenet") == {"shorter_side": 320}


def test_memory_does_not_need_a_walk_through_the_tree(config):
    assert resources.videos_of(config, "imagenet", "train") == 1_281_167
    del config["datasets"]["imagenet"]["official_name"]
    assert resources.videos_of(config, "imagenet", "val") == 50_000
    # 1 kB for each image, and half a GB.
    assert resources.index(config, "imagenet", "train") == resources.LEAST
    assert resources.frames(config["datasets"]["imagenet"], 8) == 13300
