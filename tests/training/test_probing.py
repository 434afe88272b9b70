import json

import numpy as np
import pytest
import torch

from vie.data.clips import View
from vie.data.index import load_index
from vie.evaluation.prediction import over_test_clips, predict
from vie.training import checkpoints
from vie.training.pretraining import write_untrained
from vie.training.probing import Classifiers, build_classifiers, readout_vector, train_probe

PROBE = {
    "optimiser": {"batch": 8, "lr": 0.2, "momentum": 0.9, "weight_decay": 1e-4},
    "schedule": {"duration": "40 epochs", "lr_drops": ["30 epochs"]},
}


def test_readout_vector_by_hand():
    features = torch.randn(2, 3, 4, 5, 6)
    ours = readout_vector(features)
    theirs = np.array([f.numpy().mean(axis=1).reshape(-1) for f in features])
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


def test_maps_above_200000_numbers_are_pooled_2x2():
    features = torch.randn(1, 64, 1, 56, 56)  # 200,704 numbers
    ours = readout_vector(features)[0].view(64, 28, 28)
    block = features[0, 5, 0, 10:12, 20:22].mean()
    torch.testing.assert_close(ours[5, 5, 10], block)
    assert readout_vector(torch.randn(1, 64, 1, 55, 55)).shape == (1, 64 * 55 * 55)


def test_input_single_averages_frames_that_are_read_one_by_one(recipe, tmp_path):
    write_untrained(recipe, 0, tmp_path / "u.pt")
    classifiers = build_classifiers(tmp_path / "u.pt", View.of(recipe, "slow"), 4, seed=0).eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    together = classifiers(clip)
    for layer, head in classifiers.heads.items():
        with torch.no_grad():
            frames = [classifiers.trunk(clip[:, :, t : t + 1])[layer][:, :, 0] for t in range(4)]
        average = sum(frames) / 4
        torch.testing.assert_close(together[layer], head(average.flatten(1)), atol=1e-5, rtol=1e-4)


def test_the_network_stays_frozen_and_the_classifiers_learn(recipe, small_dataset, tmp_path):
    write_untrained(recipe, 0, tmp_path / "u.pt")
    view, train = View.of(recipe, "single"), small_dataset / "train" / "index.parquet"
    classifiers = train_probe(
        tmp_path / "u.pt",
        PROBE,
        view,
        train,
        classes=4,
        seed=0,
        label="test",
        metrics=tmp_path / "metrics.jsonl",
        tensorboard=tmp_path / "tensorboard",
        work=tmp_path / "work",
    )
    before = checkpoints.load(tmp_path / "u.pt")["encoder"]
    for name, value in classifiers.trunk.state_dict().items():
        assert torch.equal(value, before[f"trunk.{name}"]), name
    probabilities = predict(classifiers, train, view, clips=2, device=torch.device("cpu"))
    labels = load_index(train).labels
    assert probabilities["conv3"].shape == (24, 4)
    np.testing.assert_allclose(probabilities["conv5"].sum(1), 1, atol=1e-5)
    assert (probabilities["conv3"].argmax(1) == labels).mean() > 0.6  # chance: 0.25
    rows = [json.loads(row) for row in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 119
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_training_mode_leaves_the_trunk_in_evaluation_mode(recipe, tmp_path):
    write_untrained(recipe, 0, tmp_path / "u.pt")
    classifiers = build_classifiers(tmp_path / "u.pt", View.of(recipe), 4, seed=0)
    assert isinstance(classifiers, Classifiers)
    classifiers.train()
    assert not any(module.training for module in classifiers.trunk.modules())
    assert classifiers.heads.training


def test_outputs_come_in_the_order_of_videos_and_clips(recipe, small_dataset):
    path, view = small_dataset / "val" / "index.parquet", View.of(recipe, "slow")
    ours = over_test_clips(
        lambda clips: {"mean": clips.mean((2, 3, 4))},
        path,
        view,
        clips=3,
        device=torch.device("cpu"),
        workers=1,
    )["mean"]
    alone = over_test_clips(
        lambda clips: {"mean": clips.mean((2, 3, 4))},
        path,
        view,
        clips=1,
        device=torch.device("cpu"),
    )["mean"]
    assert ours.shape == (8, 3, 3)
    # These videos are shorter than a clip: all three clips start at frame 0.
    assert torch.equal(ours[:, 0], ours[:, 2])
    torch.testing.assert_close(ours[:, 0], alone[:, 0])


def test_a_probe_of_a_checkpoint_that_is_missing(recipe, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pt"):
        build_classifiers(tmp_path / "absent.pt", View.of(recipe), 4, seed=0)
