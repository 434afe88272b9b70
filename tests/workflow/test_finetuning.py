"""Files and settings of finetuning, as they follow from the config."""

import copy
from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.workflow import finetuning
from vie.workflow.paths import Experiment
from vie.workflow.retrieval import retrieval_splits

ROOT = Path(__file__).parents[2]
ROW = ("vie_single", "trained")


@pytest.fixture
def config():
    return load_config(ROOT / "config.yaml")


@pytest.fixture
def targets(config):
    return list(config["finetuning"]["targets"])


def test_results_of_a_table_row_by_row(config, targets):
    experiment, first = Experiment(config), targets[0]
    found = finetuning.finetuned(experiment, "table_3", first)
    where = f"results/demo/finetune/{first}/color_jitter/scratch_single/untrained/seed0"
    assert found[0] == {
        "model": "Scratch-Single",
        "trained": False,
        "target": first,
        "split": first,
        "predictions": f"{where}/predictions.parquet",
        "metadata": f"{where}/metadata.json",
    }
    assert {run["target"] for run in found} == {first}
    assert len(finetuning.finetuned(experiment, "table_3")) == 2 * len(found)


def test_all_splits_are_three_of_which_the_first_one_is_that_of_one_split(config, targets):
    """Changing the target to all splits, and back, must not train anything again."""
    config["seeds"] = [0]
    changed = copy.deepcopy(config)
    changed["finetuning"]["targets"][targets[0]]["split"] = "all"
    before, now = Experiment(config), Experiment(changed)
    runs = finetuning.finetuned(now, "table_2", targets[0])
    assert runs[0] == finetuning.finetuned(before, "table_2", targets[0])[0]
    names = [targets[0], f"{targets[0]}_split2", f"{targets[0]}_split3"]
    assert [run["split"] for run in runs[:3]] == names
    assert {run["target"] for run in runs} == {targets[0]}
    assert len({run["predictions"] for run in runs}) == 3 * len(now.rows["table_2"])
    dataset = config["finetuning"]["targets"][targets[0]]["dataset"]
    split, index = now.target_file("split{split}/s.csv"), now.target_file("all/index.parquet")
    assert [split(name) for name in names] == [
        f"resources/{dataset}/split{n}/s.csv" for n in (1, 2, 3)
    ]
    assert {index(name) for name in names} == {f"resources/{dataset}/all/index.parquet"}
    for where in ((targets[0], "scale_crop"), (targets[1], "color_jitter")):
        facts, settings = (
            [one(experiment, *more) for experiment in (before, now)]
            for one, more in (
                (finetuning.target_facts, (*where, "trained")),
                (finetuning.settings, (*ROW, *where)),
            )
        )
        assert facts[0] == facts[1]
        assert settings[0] == settings[1]
    facts = finetuning.target_facts(now, names[2], "scale_crop", "trained")
    assert (facts["target"], facts["split"]) == (targets[0], 3)
    assert retrieval_splits(now) == retrieval_splits(before)
    assert now.published_files() == before.published_files()


def test_a_row_has_its_own_batch_rate_and_drops(config, targets):
    own = {"lr_drops": ["5 steps"]}
    config["evaluations"]["vie_single"]["finetuning"] = {
        "batch": 3,
        "release": [
            {"target": targets[1], "pipeline": "scale_crop", "duration": "9 steps", **own},
            {"target": targets[1], "duration": "8 steps", **own},
        ],
    }
    shared = config["finetuning"]
    expected = {k: v for k, v in shared["trained"].items() if k != "schedule"}
    assert finetuning.optimiser(config, *ROW) == expected | {"batch": 3}
    assert finetuning.optimiser(config, "vie_slow", "trained") == expected
    assert finetuning.schedule(config, *ROW, targets[1], "scale_crop") == shared["schedule"]
    shared["trained"]["schedule"] = "release"
    lengths = [
        finetuning.schedule(config, *ROW, target, pipeline).get("duration")
        for target in targets
        for pipeline in ("scale_crop", "color_jitter")
    ]
    assert lengths == [None, None, "9 steps", "8 steps"]
    found = finetuning.schedule(config, *ROW, targets[1], "color_jitter")
    assert found == {"duration": "8 steps", "every": shared["schedule"]["every"], **own}


def test_what_training_depends_on_is_as_before_where_nothing_is_set(config, targets):
    """Snakemake compares these params, and each training its key."""
    experiment, shared = Experiment(config), config["finetuning"]
    settings = finetuning.settings(experiment, *ROW, targets[0], "scale_crop")
    assert settings == {key: shared[key] for key in ("schedule", "validation", "clips")}
    assert set(settings["schedule"]) == {"most", "every", "patience", "drops"}
    keys = {"batch", "lr", "momentum", "weight_decay", "decayed"}
    assert set(finetuning.optimiser(config, *ROW)) == keys


def test_memory_of_networks_that_train_together(config):
    experiment = Experiment(config | {"gpus": 0})
    asked = {
        name: finetuning.memory(experiment, name, "trained", 2)
        for name in ("vie_single", "vie_slowfast", "vie_two_pathway")
    }
    assert asked["vie_two_pathway"] >= max(asked.values())
