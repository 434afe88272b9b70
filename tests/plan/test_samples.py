"""Videos that are measured on: the dataset's own where they can be used."""

import copy
import itertools

from vie.datasets.video import Video
from vie.plan import samples
from vie.plan.datasets import Datasets


def test_few_files_of_many_are_looked_at(tmp_path, monkeypatch):
    """100,000 videos, every second one a link that leads nowhere."""
    looked = []
    monkeypatch.setattr(
        samples.Path, "is_file", lambda path: looked.append(path) or int(path.stem) % 2 == 0
    )
    videos = [Video(f"{i}", f"{i}.mp4", "a") for i in range(100_000)]
    chosen = samples.evenly(videos, tmp_path)
    assert len(chosen) == samples.SAMPLES
    assert len(looked) <= 2 * samples.SAMPLES
    places = [int(video.video) for video in chosen]
    assert all(place % 2 == 0 for place in places)
    gaps = [after - before for before, after in itertools.pairwise(places)]
    assert max(gaps) < 2 * min(gaps)


def test_of_few_videos_all_that_are_there(tmp_path):
    videos = [Video(f"{i}", f"{i}.mp4", "a") for i in range(5)]
    for video in videos[1:4]:
        (tmp_path / video.path).touch()
    assert {video.video for video in samples.evenly(videos, tmp_path)} == {"1", "2", "3"}
    assert samples.evenly([], tmp_path) == []


def test_videos_that_cannot_be_used_are_replaced(paper, tmp_path, caplog, monkeypatch):
    """Eight empty files: their reasons are said, and made videos are measured."""
    monkeypatch.setattr(samples, "FRAMES", 10)
    monkeypatch.setattr(samples, "MADE", 2)
    own, root = copy.deepcopy(paper), tmp_path / "root"
    own["datasets"]["kinetics400"] |= {"layout": "folders", "videos": str(root)}
    for split in ("train", "val"):
        (root / split / "a").mkdir(parents=True)
        for i in range(4):
            (root / split / "a" / f"{split}{i}.mp4").touch()
    found = samples.sample("kinetics400", Datasets(own, tmp_path), tmp_path / "work", 2)
    assert found.what == "kinetics400: synthetic videos"
    assert found.index.exists()
    assert "none of 8 videos" in caplog.text
    assert "train/a/train0.mp4: " in caplog.text
    assert "synthetic videos are measured in their place" in caplog.text
