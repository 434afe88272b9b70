"""experiments/kinetics400.yaml against the tables of the protocol, typed off them."""

import copy
from itertools import product

import pytest

from vie.config.ablations import without_ablations
from vie.config.settings import probe_of
from vie.workflow.finetuning import optimiser, schedule

EPOCH = 239_888 // 128  # steps


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


def test_probes_on_images(paper):
    """Section 10."""
    settings = paper["image_probe"]
    assert settings["random_sized"]["area"] == [0.2, 1]
    assert settings["random_sized"]["aspect"] == pytest.approx([3 / 4, 4 / 3], rel=1e-6)
    assert settings["color_jitter"] == {"strength": 0.4, "hue": 0.4, "grey": 0.2}
    assert settings["optimiser"] == paper["probe"]["optimiser"]
    assert settings["schedule"]["lr_drops"] == ["290000 steps", "940000 steps"]
    assert settings["schedule"]["duration"] == "1170000 steps"
    dataset = paper["datasets"][settings["dataset"]]
    assert (dataset["layout"], dataset["official_name"]) == ("imagefolder", "imagenet")
    evaluations, rows = paper["evaluations"], paper["tables"]["table_1_imagenet"]["evaluations"]
    pooled = {name for name in rows if evaluations[name].get("image_probe", {}).get("pooled")}
    assert pooled == {"supervised_single", "supervised_slow", "supervised_slowfast"}
    networks = {"single", "trn", "slow", "slowfast", "3dresnet"}
    wanted = {
        f"{kind}_{network}" for kind in ("random", "vie", "supervised") for network in networks
    }
    assert wanted | {"opn", "rotnet", "3drotnet"} <= set(rows)


# Section 8: drops of the release in steps, by row, target and, where they differ, pipeline.
RELEASE = {
    ("scratch_single", "ucf101"): (9_000, 13_000),
    ("scratch_single", "hmdb51"): (7_000, 10_000),
    ("scratch_3dresnet", "ucf101"): (10_000, 16_000),
    ("scratch_3dresnet", "hmdb51"): (10_000, 15_000),
    ("scratch_slowfast", "ucf101"): (10_000, 14_000),
    ("scratch_slowfast", "hmdb51", "scale_crop"): (13_000, 18_000),
    ("scratch_slowfast", "hmdb51", "color_jitter"): (9_000, 13_000),
    ("vie_two_pathway", "ucf101"): (10_000, 20_000),
    ("vie_two_pathway", "hmdb51"): (10_000, 20_000),
}


def test_the_releases_drops_of_finetuning(paper):
    released = copy.deepcopy(paper)
    for weights in ("trained", "untrained"):
        released["finetuning"][weights]["schedule"] = "release"
    rows = paper["tables"]["table_2"]["evaluations"]
    for row, target, pipeline in product(
        rows, ("ucf101", "hmdb51"), ("scale_crop", "color_jitter")
    ):
        where = row, paper["evaluations"][row]["weights"], target, pipeline
        assert schedule(paper, *where) == paper["finetuning"]["schedule"]
        found = schedule(released, *where)
        drops = RELEASE.get((row, target), RELEASE.get((row, target, pipeline)))
        if drops is None:
            assert found == paper["finetuning"]["schedule"], where
            continue
        first, last = drops
        assert found == {
            "duration": f"{2 * last - first} steps",
            "lr_drops": [f"{first} steps", f"{last} steps"],
            "every": "1 epochs",
        }


def test_rows_of_finetuning(paper):
    rows = paper["tables"]["table_2"]["evaluations"]
    assert paper["tables"]["table_3"]["evaluations"] == rows
    networks = ("single", "trn", "3dresnet", "slow", "slowfast")
    kinds = ("scratch", "vie", "supervised")
    expected = {f"{kind}_{network}" for kind in kinds for network in networks}
    assert set(rows) == expected | {"opn", "rotnet", "3drotnet", "vie_two_pathway"}
    shared = {weights: paper["finetuning"][weights] for weights in ("trained", "untrained")}
    for row in rows:
        weights = paper["evaluations"][row]["weights"]
        own = {"vie_two_pathway": {"batch": 64}, "3drotnet": {"lr": 0.008}}.get(row, {})
        wanted = {k: v for k, v in shared[weights].items() if k != "schedule"} | own
        assert optimiser(paper, row, weights) == wanted
