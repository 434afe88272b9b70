"""Paths and settings that follow from the config, without Snakemake."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.config.settings import canonical, in_order_of
from vie.runtime.errors import VieError
from vie.workflow.paths import Experiment
from vie.workflow.weights import weights_files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config():
    return load_config(ROOT / "config.yaml")


@pytest.fixture
def experiment(config):
    return Experiment(copy.deepcopy(config))


def test_what_means_the_same_is_written_the_same():
    one = {"b": 1.0, "a": [{"d": (1, 2.5), "c": True}], "e": None}
    other = {"e": None, "a": ({"c": True, "d": [1, 2.5]},), "b": 1}
    assert repr(canonical(one)) == repr(canonical(other))
    assert repr(canonical(1e400)) == "inf"
    assert canonical(True) is True  # not 1
    assert repr(canonical({"a": 0.5})) != repr(canonical({"a": 0.25}))


def test_stages_and_recipes_go_on_from_each_other(experiment):
    before = experiment.previous_checkpoint
    folder = "results/demo/pretrain"
    assert before("vie_single", "3", "instance_recognition") == []
    expected = f"{folder}/vie_single/seed3/instance_recognition.pt"
    assert before("vie_single", "3", "local_aggregation") == expected
    expected = f"{folder}/vie_single/seed3/local_aggregation.pt"
    assert before("vie_trn", "3", "local_aggregation") == expected


def test_a_stage_depends_on_nothing_that_trains_nothing(config, experiment):
    """Nor on what another stage alone reads."""
    recipe, stage = "vie_single", "instance_recognition"
    before = copy.deepcopy(experiment.stage_recipe(recipe, stage))
    later = experiment.stage_recipe(recipe, "local_aggregation")
    changed = experiment.recipes[recipe]
    changed["monitor"] = {"every": "1 epochs", "neighbours": 3, "clips": 4}
    changed["label"], changed["start_first"] = "another", True
    assert experiment.stage_recipe(recipe, "local_aggregation") == later
    changed["objective"]["local_aggregation"]["clusters"] = 7
    changed["schedule"]["local_aggregation"] = "11 epochs"
    assert experiment.stage_recipe(recipe, stage) == before
    assert experiment.stage_recipe(recipe, "local_aggregation") != later
    changed["objective"]["temperature"] = 0.1
    assert experiment.stage_recipe(recipe, stage) != before


def test_a_users_own_classes_are_settings_of_what_uses_them(config):
    changed = copy.deepcopy(config) | {"objectives": {"moco": "mine:MoCo", "other": "mine:Other"}}
    recipe = changed["recipes"]["vie_single"]
    recipe["classes"] = {"moco": "mine:MoCo", "wide": "mine:wide"}
    recipe["encoder"] = recipe["encoder"] | {"network": "wide"}
    experiment = Experiment(changed)
    found = experiment.stage_recipe("vie_single", "local_aggregation")
    assert found["classes"] == {"wide": "mine:wide"}
    assert experiment.stage_recipe("vie_single", "moco")["classes"] == recipe["classes"]
    assert experiment.encoder("vie_single")["classes"] == {"wide": "mine:wide"}
    assert "classes" not in experiment.encoder("vie_trn")


def test_networks_of_an_evaluation(experiment):
    folder = "results/demo/pretrain"
    assert experiment.networks("vie_two_pathway", "trained", 0) == [
        f"{folder}/vie_single/seed0/local_aggregation.pt",
        f"{folder}/vie_slowfast/seed0/local_aggregation.pt",
    ]
    untrained = [f"{folder}/vie_slow/seed1/untrained.pt"]
    assert experiment.networks("random_slow", "untrained", "1") == untrained


def test_an_encoder_file_follows_names_and_trains_nothing(config):
    changed = copy.deepcopy(config) | {"seeds": [3, 4], "licence": "CC0"}
    changed["recipes"]["rotnet"]["weights"] = "network.pt"
    experiment = Experiment(changed)
    before = {
        name: copy.deepcopy(experiment.stage_recipe("vie_single", name))
        for name in experiment.stages()
    }
    file = "results/demo/pretrain/vie_single/seed3/local_aggregation.pt"
    assert experiment.first_checkpoint("vie_single") == file
    assert experiment.first_checkpoint("rotnet") == "results/demo/pretrain/rotnet/seed3/imported.pt"
    path = "results/demo/features/embedded/vie_single/trained/seed3.parquet"
    assert experiment.features("vie_single") == path
    changed["recipes"]["vie_single"]["label"] = "another"
    changed["datasets"]["embedded"]["official_name"] = "kinetics400"
    described = experiment.described_recipe("vie_single")
    assert described["label"] == "another"
    assert set(described["schedule"]) == {"instance_recognition", "local_aggregation", "lr_drops"}
    assert experiment.described_recipe("rotnet") == {"label": "RotNet"}  # its file knows the rest
    assert experiment.provenance("vie_single") == {
        **{"experiment": "demo", "dataset": "embedded", "official_name": "kinetics400"},
        "stages": ["instance_recognition", "local_aggregation"],
    }
    assert experiment.provenance("rotnet")["dataset"] is None
    assert before == {name: experiment.stage_recipe("vie_single", name) for name in before}


def test_an_evaluation_has_its_own_jitter_or_that_of_its_recipe(config, experiment):
    recipes = config["recipes"]
    own = experiment.transform("rotnet")
    assert own["color_jitter"] == recipes["vie_single"]["color_jitter"]
    assert own["color_jitter"] != recipes["rotnet"]["color_jitter"]
    assert experiment.transform("vie_trn")["geometry"] == recipes["vie_trn"]["geometry"]


def test_results_of_a_table_row_by_row(experiment):
    probes = experiment.probes("table_s1", "metadata.json", "untrained")
    seeds = len(experiment.config["seeds"])
    assert [path.split("/")[3] for path in probes[::seeds]] == experiment.rows["table_s1"]
    assert probes[0] == "results/demo/probe/trn_input_single/untrained/seed0/metadata.json"


def test_a_recipe_with_weights_is_imported_in_place_of_its_stages(config):
    changed = copy.deepcopy(config)
    for name in ("vie_single", "rotnet"):
        changed["recipes"][name]["weights"] = "network.pt"
    experiment, single = Experiment(changed), "results/demo/pretrain/vie_single/seed2/imported.pt"
    assert experiment.final_checkpoint("vie_single", 2) == single
    assert experiment.networks("trn_input_single", "trained", 2) == [single]
    untrained = single.replace("imported", "untrained")
    assert experiment.networks("trn_input_single", "untrained", 2) == [untrained]
    assert experiment.previous_checkpoint("vie_trn", 2, "local_aggregation") == single
    assert {row["model"] for row in experiment.pretext_rows()} == {"OPN", "3DRotNet"}
    assert "VIE-Single" not in {curve["model"] for curve in experiment.curves("table_1")}
    # Only training that goes on from it needs the videos of its bank.
    assert experiment.bank_index("vie_single") == "resources/embedded/train/index.parquet"
    assert experiment.bank_index("rotnet") == []


def test_an_imported_network_depends_on_nothing_that_is_not_noted_of_it(config, experiment):
    before = copy.deepcopy(experiment.imported_recipe("vie_single"))
    recipe = experiment.recipes["vie_single"]
    recipe |= {"label": "another", "schedule": {"lr_drops": []}, "monitor": {}, "weights": "a.pt"}
    assert experiment.imported_recipe("vie_single") == before
    recipe["geometry"] = recipe["geometry"] | {"flip": 0.1}
    assert experiment.imported_recipe("vie_single") != before


def test_without_training_there_are_no_curves_and_no_pretext_table(config):
    changed = copy.deepcopy(config)
    for recipe in changed["recipes"].values():
        recipe["weights"] = "network.pt"
    experiment = Experiment(changed)
    assert experiment.stages() == []
    files = experiment.published_files()
    assert not {"results/learning_curves.csv", "results/pretext.csv"} & set(files)
    assert "results/table_1.csv" in files


def test_weights_that_are_not_there_are_named(config, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    changed = copy.deepcopy(config)
    changed["recipes"]["vie_single"]["weights"] = "a [1].index"
    experiment = Experiment(changed)
    with pytest.raises(
        VieError, match=r"a \[1\]\.index: no such file .*recipes\.vie_single\.weights"
    ):
        weights_files(experiment, "vie_single", "0")
    made = tmp_path / experiment.final_checkpoint("vie_single", 0)
    made.parent.mkdir(parents=True)
    made.touch()  # what was imported needs its file no more
    assert weights_files(experiment, "vie_single", "0") == ["a [1].index"]
    for name in ("a [1].index", "a [1].data-00000-of-00001", "a [1].meta", "b.data-00000-of-00001"):
        (tmp_path / name).touch()
    expected = ["a [1].index", "a [1].data-00000-of-00001"]
    assert weights_files(experiment, "vie_single", "0") == expected


def test_another_experiment_has_a_folder_of_its_own(config):
    other = Experiment(config | {"experiment": "mine-2"})
    paths = [*other.probes("table_1", "metadata.json"), other.final_checkpoint("vie_single", 0)]
    paths += [curve["path"] for curve in other.curves("table_1")]
    paths += [row["answers"] for row in other.pretext_rows()]
    assert all(path.startswith("results/mine-2/") for path in paths)
    assert other.shard_files(".tar")("embedded", "val") == [
        f"resources/embedded/val/frames/{i}-of-2.tar" for i in range(2)
    ]


def test_what_snakemake_waits_for_imports_neither_torch_nor_pandas():
    code = "import sys, vie.workflow.paths, vie.workflow.videos\n"
    code += "print({'torch', 'pandas', 'snakemake'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_keys_come_in_the_order_of_the_config_file():
    model = {"a": {"x": 0, "y": 0}, "b": 0}
    merged = {"new": 1, "b": 2, "a": {"z": 1, "y": 2}}
    assert repr(in_order_of(merged, model)) == repr({"a": {"y": 2, "z": 1}, "b": 2, "new": 1})
    assert in_order_of({"a": 1}, {"a": {"x": 2}}) == {"a": 1}
