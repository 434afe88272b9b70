import json
import random

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from vie.clips.crops import RandomResizedCrop, ScaleCrop
from vie.clips.transform import ClipTransform
from vie.engine.plateau import Finetuning, Plateau
from vie.engine.resumable import Resumable
from vie.engine.run import Run, TrainingClips
from vie.finetune import PIPELINES, build_classifier, train_finetuned
from vie.models.classifiers import Classifier
from vie.models.encoders import build_encoder
from vie.models.untrained import write_untrained
from vie.runtime import torch_files
from vie.runtime.errors import VieError

OPTIMISER = {"batch": 5, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}
SCHEDULE = {"most": "6 epochs", "every": "1 epochs", "patience": 1, "drops": 1}
VIDEOS = np.array([0, 2, 3, 5, 7, 8, 11, 12, 13, 16, 17, 20, 22])  # 2 steps an epoch


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("patience", "drops"), [(0, 0), (1, 2), (3, 1)])
def test_plateau_is_torchs(seed, patience, drops):
    draws = random.Random(seed)
    accuracies = [draws.choice([0.1, 0.2, 0.3, 0.35]) + 0.01 * i for i in range(40)]
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=0.3)
    reference = ReduceLROnPlateau(
        optimiser, mode="max", factor=0.1, patience=patience, threshold=0.0, eps=0
    )
    ours = Plateau(patience, drops)
    for step, accuracy in enumerate(accuracies):
        better = ours.see(step, (accuracy, 0.0))
        reference.step(accuracy)
        assert better == (accuracy > max(accuracies[:step], default=-1))
        assert ours.lr(0.3) == pytest.approx(optimiser.param_groups[0]["lr"])
        assert ours.finished == (ours.lr(1.0) < 0.1**drops * 0.5)
    assert accuracies[ours.best_step] == max(accuracies)


def test_among_equal_accuracies_the_lower_loss_is_better():
    plateau = Plateau(0, 1)
    assert plateau.see(1, (0.5, -2.0))
    assert plateau.see(2, (0.5, -1.0))
    assert not plateau.see(3, (0.5, -1.5))
    assert plateau.see(4, (0.6, -9.0))
    assert plateau.best_step == 4


def test_pipelines(recipe):
    settings = {"scales": [1, 0.5]}
    transform = PIPELINES["scale_crop"](recipe, "slow", settings)
    assert transform.geometry == ScaleCrop(32, (1, 0.5), 0.5)
    assert transform.color_jitter is None
    assert transform.sampling.frames == 4
    transform = PIPELINES["color_jitter"](recipe, "slow", {})
    assert transform.geometry == RandomResizedCrop(32, (34, 40), 36, 0.5)
    assert transform.color_jitter == {"strength": 0.4, "hue": 0.4, "grey": 0.3}


@pytest.mark.parametrize(
    ("encoder", "frames"),
    [
        ({"network": "single"}, 1),
        ({"network": "trn", "frames": 3}, 3),
        ({"network": "3dresnet"}, 8),
        ({"network": "slowfast", "fast_width": 2}, 8),
        ({"network": "slow", "embedding": "pooled"}, 4),
    ],
)
def test_a_classifier_is_a_linear_layer_on_the_pooled_features(encoder, frames):
    network = build_encoder({"width": 4, "embedding": 8, **encoder}).eval()
    classifier = Classifier(network, 5).eval()
    clips = torch.randn(2, 3, frames, 32, 32)
    pooled = network(clips)[1]["pooled"]
    expected = pooled @ classifier.head.weight.T + classifier.head.bias
    torch.testing.assert_close(classifier(clips), expected)
    assert sum(p.numel() for p in classifier.parameters()) == (
        sum(p.numel() for p in network.trunk.parameters()) + 5 * network.trunk.channels + 5
    )


class Watched:
    """A validation that says what it is told to, and remembers the networks it saw."""

    def __init__(self, accuracies):
        self.accuracies, self.seen = list(accuracies), []

    def __call__(self, network):
        assert not network.training
        self.seen.append({k: v.cpu().clone() for k, v in network.state_dict().items()})
        return self.accuracies[len(self.seen) - 1], 1.0


def train(recipe, dataset, folder, validate, transform=None, schedule=SCHEDULE):
    folder.mkdir(exist_ok=True)
    if not (folder / "u.pt").exists():
        write_untrained(recipe, 0, folder / "u.pt")
    transform = transform or PIPELINES["scale_crop"](recipe, "single", {"scales": [1, 0.7]})
    return train_finetuned(
        [torch_files.load(folder / "u.pt")],
        OPTIMISER,
        schedule,
        TrainingClips(dataset / "train" / "index.parquet", transform, VIDEOS, 5, "finetuning"),
        Run(folder / "work", seed=0, name="test"),
        classes=4,
        validate=validate,
        key={},
    )


def rows(folder):
    lines = (folder / "work" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_all_of_the_network_trains_and_the_best_validation_is_kept(recipe, small_dataset, tmp_path):
    validate = Watched([0.2, 0.5, 0.4, 0.5, 0.3, 0.1])
    schedule = SCHEDULE | {"patience": 9}
    task = train(recipe, small_dataset, tmp_path, validate, schedule=schedule)
    assert len(validate.seen) == 6
    assert task.plateau.best_step == 4
    assert not task.finished
    for name, value in task.network().state_dict().items():
        assert torch.equal(value.cpu(), validate.seen[1][name]), name
    start = build_classifier([torch_files.load(tmp_path / "u.pt")], 4, seed=0).state_dict()
    for name, value in task.network().named_parameters():
        assert not torch.equal(value.cpu(), start[name]), name
    found = [row for row in rows(tmp_path) if "validation_top1" in row]
    assert [row["step"] for row in found] == [2, 4, 6, 8, 10, 12]
    assert [row["validation_top1"] for row in found] == [20, 50, 40, 50, 30, 10]


def test_training_ends_when_validation_has_saturated(recipe, small_dataset, tmp_path):
    validate = Watched([0.5, 0.4, 0.4, 0.4, 0.4, 0.4])
    schedule = SCHEDULE | {"most": "50 epochs"}
    task = train(recipe, small_dataset, tmp_path, validate, schedule=schedule)
    assert task.finished
    assert task.ended == 10  # better, then twice (patience 1) two without: 1 + 2 + 2
    rates = [row["lr"] for row in rows(tmp_path) if "lr" in row]
    assert rates == pytest.approx([0.05, 0.05, 0.005, 0.005, 0.0005])
    losses = [row["step"] for row in rows(tmp_path) if "loss" in row]
    assert losses[-1] == 9  # steps since the last report are reported too


@pytest.mark.slow
@pytest.mark.parametrize("jitter", [False, True])
def test_a_killed_run_ends_with_the_same_bits(recipe, small_dataset, tmp_path, monkeypatch, jitter):
    transform = PIPELINES["color_jitter"](recipe, "slow", {}) if jitter else None
    accuracies = [0.1, 0.3, 0.2, 0.2, 0.6, 0.4]
    whole = train(recipe, small_dataset, tmp_path / "whole", Watched(accuracies), transform)
    for kill_at in (1, 4, 7):
        folder = tmp_path / f"killed{kill_at}"
        real, seen = Finetuning.step, []

        def step(task, number, batch, kill_at=kill_at, real=real, seen=seen):
            if number == kill_at and not seen:
                seen.append(number)
                raise KeyboardInterrupt
            return real(task, number, batch)

        with monkeypatch.context() as patch:
            patch.setattr(Finetuning, "step", step)
            patch.setattr(Resumable, "due", lambda resumable: True)
            with pytest.raises(KeyboardInterrupt):
                train(recipe, small_dataset, folder, Watched(accuracies), transform)
            kept = torch_files.load(folder / "work" / "checkpoint.pt")["step"]
            assert kept == kill_at
            # Of the validations that the first run has done, only one that is due before the very
            # step of the checkpoint is asked for again.
            done = len([n for n in (2, 4, 6, 8, 10) if n < kept])
            again = train(recipe, small_dataset, folder, Watched(accuracies[done:]), transform)
        assert again.plateau == whole.plateau
        for name, value in again.network().state_dict().items():
            assert torch.equal(value, whole.network().state_dict()[name]), name
        steps = [row["step"] for row in rows(folder) if "validation_top1" in row]
        assert steps == [row["step"] for row in rows(tmp_path / "whole") if "lr" in row]


def test_more_steps_go_on_from_the_end(recipe, small_dataset, tmp_path, monkeypatch):
    """The end's own validation, between two that are due, is not part of the longer run."""
    accuracies = [0.2, 0.5, 0.4, 0.6, 0.3]
    long, short = ({"most": f"{n} steps", "every": "2 steps"} for n in (10, 5))
    whole = train(
        recipe, small_dataset, tmp_path / "whole", Watched(accuracies), schedule=SCHEDULE | long
    )
    folder = tmp_path / "run"
    validate = Watched([*accuracies[:2], 0.9])
    ended = train(recipe, small_dataset, folder, validate, schedule=SCHEDULE | short)
    assert ended.plateau.best_step == 5
    validate = Watched(accuracies[2:])
    longer = train(recipe, small_dataset, folder, validate, schedule=SCHEDULE | long)
    assert longer.plateau == whole.plateau
    for name, value in longer.network().state_dict().items():
        assert torch.equal(value, whole.network().state_dict()[name]), name
    steps = [row["step"] for row in rows(folder) if "validation_top1" in row]
    assert steps == [2, 4, 6, 8, 10]


def test_a_saturated_run_has_nothing_left_to_do(recipe, small_dataset, tmp_path, monkeypatch):
    schedule = SCHEDULE | {"most": "50 epochs"}
    accuracies = [0.5, 0.4, 0.4, 0.4, 0.4]
    first = train(recipe, small_dataset, tmp_path, Watched(accuracies), schedule=schedule)
    before = rows(tmp_path)
    monkeypatch.setattr(Finetuning, "step", None)
    schedule["most"] = "60 epochs"
    again = train(recipe, small_dataset, tmp_path, Watched([]), schedule=schedule)
    assert again.plateau == first.plateau
    assert again.ended == 10
    assert rows(tmp_path) == before


def test_a_schedule_without_a_validation(recipe, small_dataset, tmp_path):
    with pytest.raises(VieError, match="there would be none"):
        train(
            recipe,
            small_dataset,
            tmp_path,
            Watched([]),
            schedule=SCHEDULE | {"every": "9 epochs"},
        )


def test_no_colour_noise_is_the_plain_picture(recipe, small_dataset):
    from vie.clips.loader import TrainClips

    transform = ClipTransform.of(recipe, "single")
    plain = ClipTransform(transform.sampling, transform.geometry, None)
    path = small_dataset / "train" / "index.parquet"
    noisy, clean = (
        TrainClips(path, one, seed=0, stage="test")[0, np.array([3, 4])]
        for one in (transform, plain)
    )
    assert clean.color_jitter is None
    assert torch.equal(noisy.clips, clean.clips)
