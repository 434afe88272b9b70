"""Linear probes on images: classifiers on networks that see an image repeated."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from tests.models.test_repetition import settled
from vie.clips.transform import ClipTransform
from vie.engine.run import Data, Run
from vie.models.classifiers import FrozenEncoders
from vie.models.encoders import build_encoder
from vie.models.untrained import write_untrained
from vie.probe import ProbeOutputs, _filled, build_classifiers, probe
from vie.runtime import torch_files

SETTINGS = {
    "optimiser": {"batch": 8, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4},
    "schedule": {"duration": "40 epochs", "lr_drops": ["30 epochs"]},
    "clips": 1,
}


@pytest.fixture
def slow(recipe):
    """A recipe of a network that wants four frames, with an image's crops."""
    geometry = recipe["geometry"] | {"random_sized": {"area": [0.2, 1], "aspect": [0.75, 1.3333]}}
    encoder = {"network": "slow", "width": 4, "embedding": 8}
    return recipe | {"encoder": encoder, "geometry": geometry}


@pytest.mark.parametrize("network", ["single", "slow", "slowfast"])
def test_features_of_an_image_are_those_of_its_clip(network):
    torch.manual_seed(0)
    settings = {"network": network, "width": 8}
    settings |= {"fast_width": 4} if network == "slowfast" else {}
    encoders = [settled(build_encoder(settings)) for _ in range(2)]
    image = torch.randn(3, 3, 1, 40, 40)
    ours, plain = FrozenEncoders(encoders, frames=16), FrozenEncoders(encoders)
    features, embedding = ours.with_embedding(image)
    theirs, their_embedding = plain.with_embedding(image.expand(-1, -1, 16, -1, -1))
    for layer, one in theirs.items():
        assert (features[layer] - one).abs().max() < 1e-5 * one.abs().max(), layer
        torch.testing.assert_close(ours(image)[layer], features[layer])
    assert (embedding - their_embedding).abs().max() < 1e-5


def test_pooled_is_the_average_over_space_of_conv5_alone():
    torch.manual_seed(0)
    encoder = settled(build_encoder({"network": "single", "width": 4}))
    clip = torch.randn(2, 3, 1, 64, 64)
    pooled, whole = (FrozenEncoders([encoder], pooled=pooled)(clip) for pooled in (True, False))
    maps = whole["conv5"].view(2, 32, -1).numpy()  # (B, C * H * W) -> (B, C, H * W)
    np.testing.assert_allclose(pooled["conv5"].numpy(), maps.mean(2), rtol=1e-5, atol=1e-6)
    assert torch.equal(pooled["conv3"], whole["conv3"])


def test_classifiers_learn_from_images(slow, small_images, tmp_path):
    write_untrained(slow, 0, tmp_path / "u.pt")
    settings = SETTINGS | {"frames": 4, "pooled": True}
    outputs = ProbeOutputs(*(tmp_path / name for name in ("p.parquet", "m.json", "m.jsonl")))
    splits = [small_images / split / "index.parquet" for split in ("train", "val")]
    data, transform = Data(*splits, small_images / "classes.csv"), ClipTransform.of(slow, "single")
    run = Run(tmp_path / "work", seed=0, name="test")
    probe([tmp_path / "u.pt"], transform, settings, data, run, outputs, pretrained_on="kinetics400")
    found, metadata = pd.read_parquet(outputs.predictions), json.loads(outputs.metadata.read_text())
    assert len(found) == 12
    assert (found["conv3_top1"] == found["label"]).mean() > 0.5  # chance: 0.25
    assert metadata["pretrained_on"] == "kinetics400"
    assert (metadata["probe"]["frames"], metadata["probe"]["pooled"]) == (4, True)
    assert (metadata["n_train"], metadata["n_val"], metadata["size"]) == (24, 12, 32)


def test_widths_of_the_classifiers_follow_from_the_image(slow, tmp_path):
    write_untrained(slow, 0, tmp_path / "u.pt")
    contents = [torch_files.load(tmp_path / "u.pt")]
    transform = ClipTransform.of(slow, "single")
    widths = [
        {name: head.in_features for name, head in classifiers.heads.items()}
        for classifiers in (
            build_classifiers(contents, transform, 4, seed=0, frames=4, pooled=pooled)
            for pooled in (False, True)
        )
    ]
    assert widths[0] == {"conv3": 8 * 4 * 4, "conv4": 16 * 2 * 2, "conv5": 32}
    assert widths[1] == widths[0] | {"conv5": 32}


def test_a_bank_is_filled_in_order():
    rows = torch.arange(20.0).view(10, 2)
    assert torch.equal(_filled(iter(rows.split(3)), 10), rows)
