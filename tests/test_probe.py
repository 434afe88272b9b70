import json

import numpy as np
import pandas as pd
import pytest
import torch

from vie import probe as module
from vie.clips.transform import ClipTransform
from vie.engine.predict import class_probabilities, predict_clips
from vie.engine.run import Data, Run
from vie.frames.index import load_index
from vie.models.classifiers import Classifiers, FrozenEncoders, probe_features
from vie.models.encoders import build_encoder, feature_shapes
from vie.models.untrained import write_untrained
from vie.probe import ProbeOutputs, Probing, build_classifiers, probe, train_probe
from vie.runtime import torch_files
from vie.runtime.errors import VieError

PROBE = {
    "optimiser": {"batch": 8, "lr": 0.2, "momentum": 0.9, "weight_decay": 1e-4},
    "schedule": {"duration": "40 epochs", "lr_drops": ["30 epochs"]},
}


def content(path):
    return torch_files.load(path)


def test_readout_vector_by_hand():
    features = torch.randn(2, 3, 4, 5, 6)
    ours = probe_features(features)
    theirs = np.array([f.numpy().mean(axis=1).reshape(-1) for f in features])
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


def test_maps_above_200000_numbers_are_pooled_2x2():
    features = torch.randn(1, 64, 1, 56, 56)  # 200,704 numbers
    ours = probe_features(features)[0].view(64, 28, 28)
    block = features[0, 5, 0, 10:12, 20:22].mean()
    torch.testing.assert_close(ours[5, 5, 10], block)
    assert probe_features(torch.randn(1, 64, 1, 55, 55)).shape == (1, 64 * 55 * 55)


def test_input_single_averages_frames_that_are_read_one_by_one(recipe, tmp_path):
    write_untrained(recipe, 0, tmp_path / "u.pt")
    classifiers = build_classifiers(
        [content(tmp_path / "u.pt")], ClipTransform.of(recipe, "slow"), 4, seed=0
    ).eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    together = classifiers(clip)
    for layer, head in classifiers.heads.items():
        with torch.no_grad():
            frames = [classifiers.network(clip[:, :, t : t + 1])[layer] for t in range(4)]
        average = sum(frames) / 4  # (B, W)
        torch.testing.assert_close(together[layer], head(average), atol=1e-5, rtol=1e-4)


def test_the_network_stays_frozen_and_the_classifiers_learn(recipe, small_dataset, tmp_path):
    write_untrained(recipe, 0, tmp_path / "u.pt")
    transform, train = ClipTransform.of(recipe, "single"), small_dataset / "train" / "index.parquet"
    classifiers = train_probe(
        [content(tmp_path / "u.pt")],
        transform,
        PROBE,
        Data(train, classes=small_dataset / "classes.csv"),
        Run(tmp_path / "work", seed=0, name="test"),
    )
    before = torch_files.load(tmp_path / "u.pt")["encoder"]
    for name, value in classifiers.network.encoders[0].state_dict().items():
        assert torch.equal(value.cpu(), before[name]), name
    device = next(classifiers.parameters()).device
    outputs = predict_clips(classifiers, train, transform, clips=2, device=device)
    probabilities = class_probabilities(outputs)
    labels = load_index(train).labels
    assert probabilities["conv3"].shape == (24, 4)
    np.testing.assert_allclose(probabilities["conv5"].sum(1), 1, atol=1e-5)
    assert (probabilities["conv3"].argmax(1) == labels).mean() > 0.6  # chance: 0.25
    rows = [
        json.loads(row) for row in (tmp_path / "work" / "metrics.jsonl").read_text().splitlines()
    ]
    assert rows[-1]["step"] == 119
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_training_mode_leaves_the_trunk_in_evaluation_mode(recipe, tmp_path):
    write_untrained(recipe, 0, tmp_path / "u.pt")
    classifiers = build_classifiers(
        [content(tmp_path / "u.pt")], ClipTransform.of(recipe), 4, seed=0
    )
    assert isinstance(classifiers, Classifiers)
    classifiers.train()
    assert not any(module.training for module in classifiers.network.modules())
    assert classifiers.heads.training


def test_outputs_come_in_the_order_of_videos_and_clips(recipe, small_dataset):
    path = small_dataset / "val" / "index.parquet"
    transform = ClipTransform.of(recipe, {"frames": 2, "stride": 5})
    ours = predict_clips(
        lambda clips: {"mean": clips.mean((2, 3, 4))},
        path,
        transform,
        clips=3,
        device=torch.device("cpu"),
        workers=1,
    )["mean"]
    alone = predict_clips(
        lambda clips: {"mean": clips.mean((2, 3, 4))},
        path,
        transform,
        clips=1,
        device=torch.device("cpu"),
    )["mean"]
    assert ours.shape == (8, 3, 3)
    assert not torch.equal(ours[:, 0], ours[:, 2])
    torch.testing.assert_close(ours[:, 1], alone[:, 0])  # the middle one


def test_a_probe_of_a_checkpoint_that_is_missing(recipe, small_dataset, tmp_path):
    with pytest.raises(VieError, match=r"absent\.pt: no such checkpoint"):
        run_probe(tmp_path, small_dataset, recipe, [tmp_path / "absent.pt"])


def two_networks(recipe, folder):
    """Checkpoints of a single-frame network and of two pathways with the same input."""
    pathways = {"network": "slowfast", "width": 4, "fast_width": 2, "embedding": 6}
    write_untrained(recipe, 0, folder / "single.pt")
    write_untrained(recipe | {"encoder": pathways}, 0, folder / "slowfast.pt")
    return [folder / "single.pt", folder / "slowfast.pt"]


def test_networks_side_by_side_are_both_there_layer_by_layer(recipe, tmp_path):
    contents = [content(path) for path in two_networks(recipe, tmp_path)]
    transform = ClipTransform.of(recipe, "slowfast")
    both = build_classifiers(contents, transform, 4, seed=0).network
    single, slowfast = (build_classifiers([one], transform, 4, seed=0).network for one in contents)
    clip = torch.randn(2, 3, 16, 32, 32)
    features, embedding = both.with_embedding(clip)
    for layer in ("conv3", "conv4", "conv5"):
        # Single sees each frame on its own and is averaged over the 16.
        frames = [single(clip[:, :, t : t + 1])[layer] for t in range(16)]
        expected = torch.cat([sum(frames) / 16, slowfast(clip)[layer]], 1)
        torch.testing.assert_close(features[layer], expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(both(clip)[layer], features[layer])
    one, other = (network.with_embedding(clip)[1] for network in (single, slowfast))
    torch.testing.assert_close(embedding, torch.cat([one, other], 1) / 2**0.5)


def test_the_papers_widths_of_two_networks():
    """Conv3 of Single has 100,352 numbers and of SlowFast 125,440: neither is pooled, although
    both together have more than 200,000 (protocol section 7)."""
    networks = [build_encoder({"network": name}) for name in ("single", "slowfast")]
    shapes = feature_shapes(FrozenEncoders(networks), (3, 16, 224, 224))
    assert shapes == {
        "conv3": (100_352 + 125_440,),
        "conv4": (196 * (256 + 320),),
        "conv5": (49 * (512 + 640),),
    }


def run_probe(folder, dataset, recipe, paths, clip="single", clips=2):
    splits = (dataset / split / "index.parquet" for split in ("train", "val"))
    probe(
        paths,
        ClipTransform.of(recipe, clip),
        PROBE | {"clips": clips},
        Data(*splits, dataset / "classes.csv"),
        Run(folder / "state", seed=0, name="test", version="probe 1", code="abc"),
        ProbeOutputs(
            folder / "predictions.parquet", folder / "metadata.json", folder / "metrics.jsonl"
        ),
    )


def test_what_a_probe_writes(recipe, small_dataset, tmp_path):
    run_probe(tmp_path, small_dataset, recipe, two_networks(recipe, tmp_path), "slowfast")
    table = pd.read_parquet(tmp_path / "predictions.parquet")
    assert (
        table["label"].tolist()
        == load_index(small_dataset / "val" / "index.parquet").labels.tolist()
    )
    assert (table["knn_top1"] == table["label"]).mean() > 0.4  # chance: 0.25
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert [network["encoder"]["network"] for network in metadata["networks"]] == [
        "single",
        "slowfast",
    ]
    assert metadata["sampling"] == {
        "frames": 16,
        "stride": 4,
        "bin": 1,
        "windows": [],
        "test_starts": "ends",
    }
    assert (metadata["version"], metadata["code"]) == ("probe 1", "abc")


def test_a_probe_killed_while_it_is_tested_goes_on_there(
    recipe, small_dataset, tmp_path, monkeypatch
):
    write_untrained(recipe, 0, tmp_path / "u.pt")
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    run_probe(tmp_path / "whole", small_dataset, recipe, [tmp_path / "u.pt"])

    def kill(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "predict_clips", kill)
        with pytest.raises(KeyboardInterrupt):
            run_probe(tmp_path / "killed", small_dataset, recipe, [tmp_path / "u.pt"])
        assert not (tmp_path / "killed" / "metrics.jsonl").exists()
        patch.setattr(Probing, "step", kill)  # no step may be done again
        patch.setattr(module, "predict_clips", predict_clips)
        run_probe(tmp_path / "killed", small_dataset, recipe, [tmp_path / "u.pt"])
    tables = [pd.read_parquet(tmp_path / n / "predictions.parquet") for n in ("whole", "killed")]
    pd.testing.assert_frame_equal(*tables)
    steps = [
        [
            json.loads(row)["step"]
            for row in (tmp_path / n / "metrics.jsonl").read_text().split("\n")[:-1]
        ]
        for n in ("whole", "killed")
    ]
    assert steps[0] == steps[1]
