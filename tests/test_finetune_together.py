"""Several networks that train together, and the release's drops of the learning rate."""

import json

import numpy as np
import pytest
import torch

import vie
from vie.datasets.split_assignment import SplitRow, write_split_assignment
from vie.engine.plateau import Finetuning
from vie.engine.run import Run, TrainingClips
from vie.finetune import PIPELINES, FinetuneOutputs, SplitData, finetune, train_finetuned
from vie.frames.index import load_index
from vie.models.classifiers import Classifier
from vie.models.encoders import build_encoder
from vie.models.untrained import write_untrained
from vie.runtime import torch_files
from vie.runtime.errors import VieError

PAIR = ({"network": "single"}, {"network": "slowfast", "fast_width": 2, "stride": 2})
CLIP = {"frames": 4, "stride": 2}
OPTIMISER = {"batch": 6, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-5, "decayed": "new_layer"}
RELEASE = {"duration": "8 steps", "lr_drops": ["3 steps", "5 steps"], "every": "2 steps"}


def encoders():
    torch.manual_seed(1)
    return [build_encoder({"width": 4, "embedding": 8, **settings}).eval() for settings in PAIR]


def test_features_of_both_are_pooled_and_concatenated():
    """Conv5 of single frames averaged over time, of SlowFast both pathways; weights by numpy."""
    single, slowfast = encoders()
    classifier = Classifier([single, slowfast], 5).eval()
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        frames = [single.trunk(clips[:, :, t : t + 1])["conv5"] for t in range(4)]
        features = slowfast.trunk(clips)
        logits = classifier(clips).numpy()
    parts = [np.mean([frame.numpy() for frame in frames], axis=0)]
    parts += [features[name].numpy() for name in ("conv5", "fast")]
    pooled = np.concatenate([part.mean(axis=(2, 3, 4)) for part in parts], axis=1)
    weight, bias = (one.detach().numpy() for one in (classifier.head.weight, classifier.head.bias))
    np.testing.assert_allclose(logits, pooled @ weight.T + bias, rtol=1e-4, atol=1e-5)
    assert classifier.head.in_features == 32 + (32 + 2 * 16) + 16  # laterals are twice as wide


def test_names_of_a_single_network_are_as_before():
    single = encoders()[0]
    names = {f"trunk.{name}" for name in single.trunk.state_dict()} | {"head.weight", "head.bias"}
    assert set(Classifier(single, 5).state_dict()) == names
    assert set(Classifier([single], 5).state_dict()) == names


@pytest.fixture
def pair(recipe, tmp_path):
    """Checkpoints of two untrained networks."""
    paths = []
    for number, settings in enumerate(PAIR):
        encoder = {"width": 4, "embedding": 8, **settings}
        paths.append(tmp_path / f"{number}.pt")
        write_untrained({**recipe, "encoder": encoder, "clip": CLIP}, 0, paths[-1])
    return paths


def train(recipe, dataset, folder, contents, schedule):
    transform = PIPELINES["scale_crop"](recipe, CLIP, {"scales": [1, 0.7]})
    return train_finetuned(
        contents,
        OPTIMISER,
        schedule,
        TrainingClips(dataset / "train" / "index.parquet", transform, np.arange(18), 6, "test"),
        Run(folder / "work", seed=0, name="test"),
        classes=4,
        validate=lambda network: (0.5, 1.0),
        key={},
    )


def test_gradients_reach_both_networks(recipe, small_dataset, pair, tmp_path):
    contents = [torch_files.load(path) for path in pair]
    task = train(recipe, small_dataset, tmp_path, contents, RELEASE | {"duration": "2 steps"})
    found = task.network().state_dict()
    for number, content in enumerate(contents):
        start = {k: v for k, v in content["encoder"].items() if k.startswith("trunk.")}
        for name, value in start.items():
            if value.is_floating_point():
                trained = found[f"trunk.trunks.{number}.{name.removeprefix('trunk.')}"]
                assert not torch.equal(trained.cpu(), value), (number, name)


def test_the_rate_falls_after_the_releases_steps(
    recipe, small_dataset, pair, tmp_path, monkeypatch
):
    """The step with the number of a drop has the old rate; validation decides nothing."""
    rates, real = [], Finetuning.update
    monkeypatch.setattr(
        Finetuning, "update", lambda self, loss, lr: (rates.append(lr), real(self, loss, lr))
    )
    task = train(recipe, small_dataset, tmp_path, [torch_files.load(pair[0])], RELEASE)
    expected = [0.05, 0.05, 0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005]
    assert rates == pytest.approx(expected)
    assert (task.finished, task.ended, task.plateau.best_step) == (False, 8, 2)
    rows = [json.loads(row) for row in (tmp_path / "work/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "lr" in row] == [2, 4, 6, 8]


def test_a_longer_end_goes_on_and_another_drop_does_not(
    recipe, small_dataset, pair, tmp_path, caplog
):
    contents = [torch_files.load(pair[0])]
    train(recipe, small_dataset, tmp_path, contents, RELEASE)
    caplog.set_level("INFO")
    train(recipe, small_dataset, tmp_path, contents, RELEASE | {"duration": "10 steps"})
    assert "resuming at step 8" in caplog.text
    train(recipe, small_dataset, tmp_path, contents, RELEASE | {"lr_drops": ["4 steps"]})
    assert "of a run with other settings" in caplog.text


@pytest.fixture
def finetuned(recipe, small_dataset, pair, tmp_path):
    """Folder of results of the pair."""
    index = load_index(small_dataset / "train" / "index.parquet")
    subsets = ["train", "train", "held_out", "test"]
    order = np.random.default_rng(0).permutation(len(index))
    rows = [
        SplitRow(video, "", subsets[order[i] % 4], video)
        for i, video in enumerate(index.videos.to_pylist())
    ]
    write_split_assignment(rows, tmp_path / "split_assignment.csv")
    names = ("best.pt", "predictions.parquet", "metadata.json", "metrics.jsonl")
    finetune(
        pair,
        PIPELINES["scale_crop"](recipe, CLIP, {"scales": [1]}),
        OPTIMISER,
        {"schedule": RELEASE | {"duration": "4 steps"}, "validation": "held_out", "clips": 1},
        SplitData(index.path, tmp_path / "split_assignment.csv", small_dataset / "classes.csv"),
        Run(tmp_path / "state", seed=0, name="test"),
        FinetuneOutputs(*(tmp_path / name for name in names)),
        {"target": "mine"},
    )
    return tmp_path


def test_a_pair_is_written_and_loaded(finetuned, small_dataset):
    metadata = json.loads((finetuned / "metadata.json").read_text())
    networks = [one["encoder"]["network"] for one in metadata["network"]]
    assert networks == ["single", "slowfast"]
    assert metadata["schedule"]["lr_drops"] == ["3 steps", "5 steps"]
    assert not metadata["saturated"]
    classifier = vie.load_classifier(finetuned / "best.pt")
    shown = classifier.input
    assert (shown.frames, shown.stride, shown.size) == (4, 2, 32)
    assert [one["encoder"]["network"] for one in classifier.metadata["recipe"]] == networks
    best = torch_files.load(finetuned / "best.pt")
    for name, value in classifier.state_dict().items():
        assert torch.equal(value, best["network"][name])
    assert classifier(torch.randn(2, 3, 4, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda recipes: [], "recipe is a list of 0"),
        (lambda recipes: recipes * 3, "recipe is a list of 6"),
        (lambda recipes: [recipes[0], "single"], "recipe"),
        (lambda recipes: recipes[:1], "do not fit the network"),
        (lambda recipes: recipes[0], "do not fit the network"),
        (lambda recipes: recipes[::-1], "do not fit the network"),
    ],
)
def test_a_damaged_list_of_networks_is_refused(finetuned, change, words):
    content = torch_files.load(finetuned / "best.pt")
    torch_files.save(finetuned / "best.pt", content | {"recipe": change(content["recipe"])})
    with pytest.raises(VieError, match=words):
        vie.load_classifier(finetuned / "best.pt")


def test_a_pair_is_no_encoder(finetuned, pair):
    content = torch_files.load(pair[0])
    torch_files.save(finetuned / "two.pt", content | {"recipe": [content["recipe"]]})
    with pytest.raises(VieError, match="recipe"):
        vie.load_encoder(finetuned / "two.pt")
