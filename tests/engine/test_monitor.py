import numpy as np
import pytest
import torch

from vie.engine.monitor import KnnMonitor, LabelFreeMonitor, build_monitor, mean_cosine
from vie.engine.run import Data
from vie.frames.index import load_index
from vie.frames.manifest import write_classes
from vie.models.untrained import new_encoder


def test_the_monitor_counts_videos_whose_neighbours_agree(recipe, small_dataset):
    """A bank made of the validation videos' own embeddings, then with labels turned by one."""
    encoder = new_encoder(recipe, 0)
    encoder.train()
    train, val = (small_dataset / s / "index.parquet" for s in ("train", "val"))
    recipe["monitor"] |= {"clips": 2, "neighbours": 1}
    monitor = KnnMonitor(recipe, Data(val, val, small_dataset / "classes.csv"))
    embeddings = []

    def record(clips):
        embeddings.append(embedding := encoder_forward(clips))
        return embedding

    encoder_forward, encoder.forward = encoder.forward, record
    monitor(encoder, torch.nn.functional.normalize(torch.randn(8, 8), dim=1))
    bank = torch.cat([e for e, _ in embeddings]).view(8, 2, 8)[:, 0].detach()
    encoder.forward = encoder_forward
    right = monitor(encoder, bank)["knn_top1"]
    monitor.labels = (monitor.labels + 1) % 4
    wrong = monitor(encoder, bank)["knn_top1"]
    assert right > 60
    assert wrong < 40
    assert encoder.training
    assert len(load_index(train).labels) == 24
    assert np.isfinite(right)


def unlabelled(recipe, index, classes):
    write_classes([], classes)
    return build_monitor(recipe, Data(index, index, classes))


def test_without_labels_the_monitor_says_what_can_be_known(recipe, small_dataset, tmp_path):
    """An encoder that knows the videos apart, and one that gives the same for all."""
    encoder, index = new_encoder(recipe, 0), small_dataset / "val" / "index.parquet"
    recipe["monitor"] |= {"clips": 3}
    monitor = unlabelled(recipe, index, tmp_path / "classes.csv")
    assert isinstance(monitor, LabelFreeMonitor)
    videos, clips, bank = 8, 3, torch.zeros(24, 8)
    apart = torch.eye(videos).repeat_interleave(clips, 0)  # (V * clips, D)
    encoder.forward = lambda shown: (apart, {})
    found = monitor(encoder.train(), bank)
    assert found == {
        "same_video_r1": 100.0,
        "alignment": 0.0,
        "uniformity": pytest.approx(-4.0),  # all pairs are at the distance sqrt(2)
        "mean_cosine": pytest.approx(0.0),
    }
    assert encoder.training
    # The last clips lie where the first ones of the next video do.
    apart[2::3] = torch.eye(videos).roll(1, 0)
    assert monitor(encoder, bank)["same_video_r1"] == 0
    assert monitor(encoder, bank)["alignment"] == pytest.approx(2)
    # Unless these are pieces of the same file.
    monitor.files = torch.zeros(videos, dtype=torch.int64)
    assert monitor(encoder, bank)["same_video_r1"] == 100


def test_collapse_is_warned_of_but_not_before_the_first_step(
    recipe, small_dataset, tmp_path, caplog
):
    encoder, index = new_encoder(recipe, 0), small_dataset / "val" / "index.parquet"
    monitor = unlabelled(recipe, index, tmp_path / "classes.csv")
    near = torch.nn.functional.normalize(torch.ones(1, 8) + 0.001 * torch.randn(99, 8), dim=1)
    encoder.forward = lambda shown: (near[: len(shown)], {})
    assert monitor(encoder, torch.zeros(24, 8))["mean_cosine"] > 0.99
    assert "collapsed" not in caplog.text
    monitor(encoder, torch.zeros(24, 8))
    assert "collapsed" in caplog.text


def test_mean_cosine_is_that_of_pairs():
    vectors = torch.nn.functional.normalize(torch.randn(7, 5, dtype=torch.float64), dim=1)
    cosines = (vectors @ vectors.T)[~torch.eye(7, dtype=torch.bool)]
    assert mean_cosine(vectors) == pytest.approx(float(cosines.mean()))
    assert mean_cosine(vectors[:1]) == 0
