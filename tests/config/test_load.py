"""Configs: the shipped ones are right, wrong ones are explained."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from vie.config.ablations import without_ablations
from vie.config.layouts import LAYOUTS
from vie.config.load import load_config, merge, validate
from vie.config.models import Config
from vie.config.recipes import Encoder
from vie.config.settings import NETWORKS, stages, weights_file
from vie.runtime.errors import VieError

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.fixture
def config():
    return load_config(ROOT / "config.yaml")


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_experiments_are_valid(overlay):
    load_config(ROOT / "config.yaml", overlay)


def test_the_papers_experiment_has_the_papers_clips():
    """The default experiment has fewer frames in some; Table 1 is made of rows of both kinds."""
    config = load_config(ROOT / "config.yaml", ROOT / "experiments" / "kinetics400.yaml")
    of_network = {name: name for name in ("single", "trn", "slow", "slowfast", "3dresnet")}
    own = {"opn": "opn", "3drotnet": "3dresnet_16fps"}  # section 2's and 9's table
    for name, recipe in without_ablations(config["recipes"]).items():
        if name in own:
            assert recipe["clip"] == own[name]
            assert recipe["min_frames"] == 16
            continue
        assert recipe["clip"] == of_network[recipe["encoder"]["network"]]
        assert recipe["encoder"].get("stride", 4) == 4
    clips = {name: evaluation["clip"] for name, evaluation in config["evaluations"].items()}
    inputs = {"trn_input_single": "trn", "slow_input_single": "slow", "sf_input_single": "slowfast"}
    assert {name: clips[name] for name in inputs} == inputs
    for name in of_network:
        assert (
            clips[f"random_{name}"] == clips[f"vie_{name}"] == clips[f"supervised_{name}"] == name
        )
        assert clips[f"scratch_{name}"] == name
    assert clips["vie_two_pathway"] == "slowfast"


def test_the_papers_finetuning():
    """Section 8 of the protocol."""
    config = load_config(ROOT / "config.yaml", ROOT / "experiments" / "kinetics400.yaml")
    settings = config["finetuning"]
    rates = {"batch": 128, "momentum": 0.9, "schedule": "saturation"}
    assert settings["trained"] == rates | {
        "lr": 0.0005,
        "weight_decay": 1e-5,
        "decayed": "new_layer",
    }
    assert settings["untrained"] == rates | {"lr": 0.01, "weight_decay": 1e-4, "decayed": "all"}
    scales = [2 ** (-i / 4) for i in range(5)]
    assert settings["scale_crop"]["scales"] == pytest.approx(scales, abs=1e-6)
    assert {target["split"] for target in settings["targets"].values()} == {1}
    for name in ("ucf101", "hmdb51"):
        dataset = config["datasets"][name]
        assert dataset["official_name"] == dataset["layout"] == name
        assert dataset["missing"] == "error"
        assert dataset["frames"]["shorter_side"] == 320


def test_overlays_replace_values_and_keep_the_rest():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 0}
    merged = merge(copy.deepcopy(base), {"a": {"c": [3]}, "e": {"f": 1}})
    assert merged == {"a": {"b": 1, "c": [3]}, "d": 0, "e": {"f": 1}}


def test_numbers_from_the_command_line_may_be_text(config):
    # What Snakemake makes of --config 'seeds=[0,1,2]'.
    config["seeds"] = ["0", "1", "2"]
    config["probe"]["optimiser"]["weight_decay"] = "1e-4"
    validate(config)
    assert config["seeds"] == [0, 1, 2]
    assert config["probe"]["optimiser"]["weight_decay"] == 1e-4


@pytest.mark.parametrize("text", ["", "one", "1.5", "nan", "inf", "[0", "true"])
def test_other_text_is_no_number(config, text):
    config["seeds"] = [text]
    with pytest.raises(VieError, match="seeds"):
        validate(config)


def test_every_recipe_is_read_out_and_patterns_name_rows(config):
    config["recipes"]["vie_wide"] = copy.deepcopy(config["recipes"]["vie_slow"])
    config["recipes"]["vie_wide"]["label"] = "VIE-Wide"
    config["tables"]["table_1"]["evaluations"] = ["vie_s*", "random_trn", "vie_*"]
    validate(config)
    wide = config["evaluations"]["vie_wide"]
    assert wide == {"label": "VIE-Wide", "recipe": "vie_wide", "clip": "slow", "weights": "trained"}
    rows = config["tables"]["table_1"]["evaluations"]
    assert rows[:4] == ["vie_single", "vie_slow", "vie_slowfast", "random_trn"]
    assert rows.count("vie_slow") == 1
    assert set(rows[4:]) == {"vie_two_pathway", "vie_trn", "vie_3dresnet", "vie_wide"}


def test_null_takes_a_target_away(config):
    config["finetuning"]["targets"]["stand_in_hmdb51"] = None
    validate(config)
    assert list(config["finetuning"]["targets"]) == ["stand_in_ucf101"]


def test_null_takes_any_key_away(config):
    config["recipes"]["vie_trn"]["start_from"] = None
    config["recipes"]["vie_single"]["clip"] = None
    with pytest.raises(VieError) as error:
        validate(config)
    assert str(error.value).count("\n") == 1
    assert "recipes.vie_single.clip: is missing" in str(error.value)
    config["recipes"]["vie_single"]["clip"] = "single"
    validate(config)
    assert "start_from" not in config["recipes"]["vie_trn"]


def test_anchors_do_not_tie_recipes_together(config):
    config["recipes"]["vie_single"]["objective"]["temperature"] = 0.5
    assert config["recipes"]["vie_slow"]["objective"]["temperature"] == 0.2


def test_a_recipe_with_windows_is_read_out_on_its_longest_one_anywhere():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    del config["evaluations"]["opn"]
    config["recipes"]["opn"] |= {"clip": "opn", "min_frames": 16}
    validate(config)
    found = {"frames": 4, "stride": 5, "bin": 1, "test_starts": "inside"}
    assert config["evaluations"]["opn"]["clip"] == found


def test_dimensions_may_be_written_as_text_and_evaluations_have_their_own_colour():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["recipes"]["vie_single"]["encoder"]["embedding"] = "64"
    pair = {"label": "Pair", "recipe": ["vie_single", "rotnet"], "clip": "single"}
    colour = config["recipes"]["vie_single"]["color_jitter"]
    config["evaluations"]["pair"] = pair | {"weights": "trained", "color_jitter": colour}
    validate(config)
    assert config["recipes"]["vie_single"]["encoder"]["embedding"] == 64
    del config["evaluations"]["pair"]["color_jitter"]
    with pytest.raises(VieError, match="see the same clips, so their geometry and color_jitter"):
        validate(config)


def test_every_gpu_needs_a_thread_that_loads():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["threads"]["pretrain"] = 8
    validate(config | {"gpus": 4})
    config["threads"]["pretrain"] = 7
    with pytest.raises(VieError, match=r"threads\.pretrain: 7 leaves .*4 GPUs.*at least 8"):
        validate(config | {"gpus": 4})
    validate(config | {"gpus": 1, "threads": config["threads"] | {"pretrain": 1}})


def test_gpus_that_cannot_share_a_batch_are_refused():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["threads"]["pretrain"] = 32
    validate(config | {"gpus": 2})
    with pytest.raises(VieError, match="gpus: 3 GPUs cannot share the batch of 32 in recipes"):
        validate(config | {"gpus": 3})


def test_gpus_of_all_nodes_share_a_batch():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["threads"]["pretrain"] = 32
    validate(config | {"gpus": 4, "nodes": 8})
    validate(config | {"gpus": 0, "nodes": 32})
    with pytest.raises(VieError, match="nodes: 8 with 8 GPUs each cannot share the batch of 32"):
        validate(config | {"gpus": 8, "nodes": 8})
    with pytest.raises(VieError, match="nodes: 3 with 0 GPUs each cannot share the batch of 32"):
        validate(config | {"gpus": 0, "nodes": 3})


def test_a_recipe_with_weights_has_no_stages(tmp_path):
    """Its schedule and objective may stand there, as overlays merge; they train nothing."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for name in ("vie_slow", "opn"):
        config["recipes"][name] |= {"weights": "~/network.safetensors", "objective": {}}
    config["recipes"]["opn"]["optimiser"] = {**config["recipes"]["opn"]["optimiser"], "batch": 33}
    validate(config | {"gpus": 2, "threads": config["threads"] | {"pretrain": 8}})
    assert stages(config["recipes"]["vie_slow"]) == stages(config["recipes"]["opn"]) == []
    assert weights_file(config["recipes"]["opn"]) == Path.home() / "network.safetensors"
    assert "weights" not in config["recipes"]["vie_single"]


OWN_CODE = {
    "experiment": "mine",
    "objectives": {"moco": "my_objectives:MoCo"},
    "networks": {"r2plus1d": "my.networks:r2plus1d"},
    "recipes": {
        "moco_r2plus1d": {
            "label": "MoCo",
            "encoder": {"network": "r2plus1d", "pretrained": False, "blocks": {"b": 1, "a": 2}},
            "clip": "3dresnet",
            "geometry": {
                "size": 32,
                "train_shorter_side": [36, 46],
                "test_shorter_side": 36,
                "flip": 0.5,
            },
            "color_jitter": {"strength": 0, "hue": 0, "grey": 0},
            "objective": {"moco": {"queue": 512}},
            "optimiser": {"batch": 16, "lr": 0.03, "momentum": 0.9, "weight_decay": 0},
            "schedule": {"moco": "2 epochs", "lr_drops": []},
            "monitor": {"every": "1 epochs", "neighbours": 10, "clips": 1},
        }
    },
    "tables": {"table_1": {"evaluations": ["vie_*", "moco_*"]}},
}


@pytest.fixture(autouse=True)
def own_code(tmp_path, monkeypatch):
    """The files that `OWN_CODE` names, in the current folder."""
    folder = tmp_path / "here"
    (folder / "my").mkdir(parents=True)
    (folder / "my_objectives.py").write_text("from elsewhere import MoCo")
    (folder / "my" / "networks.py").write_text("def r2plus1d(): ...")
    monkeypatch.chdir(folder)
    return folder


def test_own_code_that_is_not_there_is_refused(own_code, tmp_path, monkeypatch):
    (tmp_path / "installed" / "spaced").mkdir(parents=True)  # a package without __init__.py
    monkeypatch.syspath_prepend(tmp_path / "installed")
    config = load_config(ROOT / "config.yaml")
    objectives = {"a": "nowhere:A", "b": "my_objectives:SimCLR", "c": "my.absent:C"}
    networks = {"d": "nowhere.at.all:D", "e": "torchvision.models:resnet18", "f": "spaced.net:F"}
    with pytest.raises(VieError) as raised:
        validate(config | {"objectives": objectives, "networks": networks})
    said = str(raised.value)
    assert "objectives.a: 'nowhere:A' cannot be imported: there is no module 'nowhere'" in said
    assert f"objectives.b: 'my_objectives:SimCLR' cannot be imported: {own_code}" in said
    assert "my_objectives.py has no 'SimCLR'" in said
    assert "objectives.c: 'my.absent:C' cannot be imported: there is no module 'my.absent'" in said
    assert "networks.d: 'nowhere.at.all:D' cannot be imported" in said
    assert "torchvision" not in said
    assert "spaced" not in said


def test_objectives_and_networks_of_ones_own(tmp_path):
    """One overlay adds a row whose objective and network are not part of vie."""
    overlay = tmp_path / "mine.yaml"
    overlay.write_text(yaml.safe_dump(OWN_CODE))
    config = load_config(ROOT / "config.yaml", overlay)
    recipe = config["recipes"]["moco_r2plus1d"]
    assert recipe["classes"] == OWN_CODE["objectives"] | OWN_CODE["networks"]
    assert recipe["encoder"] == {
        "network": "r2plus1d",
        "embedding": 128,
        "blocks": {"a": 2, "b": 1},
        "pretrained": False,
    }
    assert list(recipe["encoder"]["blocks"]) == ["a", "b"]
    assert recipe["objective"] == {
        "temperature": 0.07,
        "bank_momentum": 0.5,
        "moco": {"queue": 512},
    }
    assert stages(recipe) == ["moco"]
    assert config["tables"]["table_1"]["evaluations"][-1] == "moco_r2plus1d"
    assert not any(
        "classes" in one for name, one in config["recipes"].items() if name != "moco_r2plus1d"
    )
    assert config["experiment"] == "mine"


def test_the_configs_networks_are_the_builders():
    """It cannot ask for them without torch."""
    from vie.models.encoders import BUILDERS, SHARED

    assert list(BUILDERS) == list(NETWORKS)
    assert SHARED["embedding"] == Encoder(network="single").embedding


def test_the_configs_layouts_are_those_that_can_be_read():
    from vie.datasets.layouts import LAYOUTS as READERS

    # Videos that are looked for (flat) are read in their own way.
    assert set(READERS) == {name for name, facts in LAYOUTS.items() if not facts.finds}
    for name, layout in READERS.items():
        assert layout.lists == (LAYOUTS[name].missing is not None)


def test_the_config_is_typed():
    """The library may use attributes in place of keys."""
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    config = Config.model_validate(raw)
    assert config.recipes["vie_slowfast"].encoder.stride == 2
    assert config.evaluations["vie_slow"].clip == "slow"
    validate(raw)
    ablated = {kind: without_ablations(raw[kind]) for kind in ("recipes", "evaluations")}
    assert config.as_dict() == raw | ablated


def test_snakemake_reads_the_config_without_torch_pandas_and_numpy():
    code = "import sys, vie.config.load; print(*{'torch', 'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_a_file_that_is_no_mapping(tmp_path):
    (tmp_path / "list.yaml").write_text("- recipes\n")
    with pytest.raises(VieError, match=r"list\.yaml: a config is a mapping of keys, not a list"):
        load_config(tmp_path / "list.yaml")
