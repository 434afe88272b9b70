"""experiments/kinetics400.yaml against the tables of the protocol, typed off them."""

from pathlib import Path

import pytest

from vie.config.ablations import without_ablations
from vie.config.load import load_config
from vie.config.settings import probe_of

ROOT = Path(__file__).parents[2]
EPOCH = 239_888 // 128  # steps


@pytest.fixture(scope="module")
def paper():
    return load_config(ROOT / "config.yaml", ROOT / "experiments" / "kinetics400.yaml")


# Section 7: epochs after which the rate drops, rounded in the protocol; the range of ends.
EPOCHS = {
    "vie_single": (125, 277),
    "vie_slow": (53, 147),
    "vie_slowfast": (64, 131),
    "vie_two_pathway": (72, 139),
    "trn_input_single": (80, 173),
    "slow_input_single": (83, 184),
    "sf_input_single": (51, 112),
    "vie_3dresnet": (43, 136),
    "random_single": (219, 355),
}


@pytest.mark.parametrize("evaluation", EPOCHS)
def test_probes_are_as_long_as_the_releases(paper, evaluation):
    schedule = probe_of(paper, evaluation)["schedule"]
    drops = [int(drop.removesuffix(" steps")) / EPOCH for drop in schedule["lr_drops"]]
    assert drops == pytest.approx(EPOCHS[evaluation], abs=0.75)
    end = int(schedule["duration"].removesuffix(" steps")) / EPOCH
    assert drops[-1] < end < (319 if evaluation.startswith("vie") else 382)
    if evaluation == "vie_3dresnet":
        assert end == pytest.approx(318, abs=1)


def test_the_probe(paper):
    assert paper["probe"]["clips"] == 5
    assert paper["probe"]["optimiser"] == {
        "batch": 128,
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 1e-4,
    }


# Recipe -> input size, shorter side in training and testing: sections 3 and 9.
GEOMETRY = {
    **dict.fromkeys(
        ("vie_single", "vie_trn", "vie_slow", "vie_slowfast", "rotnet"), (224, [256, 319], 256)
    ),
    "vie_3dresnet": (112, [128, 159], 128),
    "opn": (80, [256, 319], 256),
    "3drotnet": (112, [136, 136], 136),
}


@pytest.mark.parametrize("recipe", GEOMETRY)
def test_crops(paper, recipe):
    geometry = paper["recipes"][recipe]["geometry"]
    size, training, testing = GEOMETRY[recipe]
    assert geometry == {
        "size": size,
        "train_shorter_side": training,
        "test_shorter_side": testing,
        "flip": 0.5,
        "squeeze": recipe == "3drotnet",
        "reduced_decoding": False,
    }


def test_baselines(paper):
    recipes, evaluations = paper["recipes"], paper["evaluations"]
    opn, rotation = (
        recipes["opn"]["objective"]["order_prediction"],
        recipes["3drotnet"]["objective"],
    )
    assert opn == {"hidden": 512, "frame_shift": 5, "channel_dropping": True}
    assert rotation["rotation"] == {"hidden": 64}
    assert {recipes[name]["min_frames"] for name in ("opn", "3drotnet")} == {16}
    assert recipes["opn"]["schedule"]["lr_drops"] == ["224998 steps", "269998 steps"]
    drops = ["25000 steps", "50000 steps", "75000 steps"]
    assert recipes["3drotnet"]["schedule"]["lr_drops"] == drops
    assert recipes["3drotnet"]["optimiser"]["lr"] == 0.1
    # OPN is read out as a network of single frames at 224 pixels.
    assert (evaluations["opn"]["clip"], evaluations["opn"]["geometry"]["size"]) == ("single", 224)
    assert evaluations["3drotnet"]["clip"] == "3dresnet_16fps"


def test_frames_monitor_and_objectives(paper):
    for dataset in ("kinetics400", "ucf101", "hmdb51"):
        frames = paper["datasets"][dataset]["frames"]
        assert (frames["fps"], frames["shorter_side"], frames["quality"]) == (25, 320, "default")
    for name, recipe in without_ablations(paper["recipes"]).items():
        assert recipe["monitor"] == {"every": "5000 steps", "neighbours": 10, "clips": 5}, name
        assert (recipe["encoder"]["embedding"] == 128) == name.startswith("vie_")
        if name.startswith("vie_"):
            assert recipe["objective"]["local_aggregation"] == {
                "clusters": 8000,
                "clusterings": 1,
                "kmeans_iterations": 20,
                "neighbours": 512,
            }
