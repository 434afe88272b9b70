"""Configs: the shipped ones are right, wrong ones are explained."""

import copy
from pathlib import Path

import pytest
import yaml

from vie.config.load import SCHEMA, load_config, merge, validate
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
    for name, recipe in config["recipes"].items():
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
    rates = {"batch": 128, "momentum": 0.9}
    assert settings["trained"] == rates | {"lr": 0.0005, "weight_decay": 1e-5}
    assert settings["untrained"] == rates | {"lr": 0.01, "weight_decay": 1e-4}
    scales = [2 ** (-i / 4) for i in range(5)]
    assert settings["scale_crop"]["scales"] == pytest.approx(scales, abs=1e-6)
    assert {target["split"] for target in settings["targets"].values()} == {1}
    for name in ("ucf101", "hmdb51"):
        dataset = config["datasets"][name]
        assert dataset["official_name"] == dataset["layout"] == name
        assert dataset["missing"] == "error"
        assert dataset["frames"]["shorter_side"] == 320


def every_schema(schema, path=""):
    """(path, subschema) of everything that describes a value."""
    for name, child in [*schema.get("properties", {}).items(), *schema.get("$defs", {}).items()]:
        yield f"{path}.{name}", child
        yield from every_schema(child, f"{path}.{name}")
    for kind in ("items", "additionalProperties"):
        if isinstance(schema.get(kind), dict):
            yield from every_schema(schema[kind], f"{path}.*")
    for i, choice in enumerate(schema.get("oneOf", [])):
        yield from every_schema(choice, f"{path}[{i}]")


def test_every_key_has_a_description_and_unknown_keys_are_refused():
    schema = yaml.safe_load(SCHEMA.read_text())
    found = list(every_schema(schema))
    assert len(found) > 80
    for path, child in found:
        assert child.get("description") or "$ref" in child, f"{path} has no description"
        if child.get("type") == "object":
            assert "additionalProperties" in child, f"{path} accepts unknown keys"


# (how to break the config, what the message must say)
WRONG = [
    (lambda c: c.update(sedes=[1]), ["unknown key sedes", "known here: ", "seeds"]),
    (lambda c: c.pop("probe"), ["'probe' is a required property"]),
    (lambda c: c.update(dataset="kinetics"), ["dataset: 'kinetics'", "embedded"]),
    (
        lambda c: c.update(roots={"kinetics": "/data"}),
        ["roots.kinetics: is not among datasets: embedded"],
    ),
    (
        lambda c: c.update(roots={"embedded": "/data"}),
        ["roots.embedded: the workflow itself writes this dataset"],
    ),
    (lambda c: c.update(roots={"embedded": ""}), ["roots.embedded: ''"]),
    (lambda c: c.update(seeds=[0, 0]), ["seeds: [0, 0] names a seed twice"]),
    (lambda c: c.update(seeds=[-1]), ["seeds.0: -1", "minimum of 0"]),
    (
        lambda c: c["recipes"]["vie_single"]["objective"].update(temperature=0),
        ["recipes.vie_single.objective.temperature: 0 ", "tau"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["objective"]["instance_recognition"].update(
            estimator="nce"
        ),
        ["instance_recognition.estimator: 'nce' is not one of nce_paper, nce_estimated, softmax"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["schedule"].update(local_aggregation="3 hours"),
        ["schedule.local_aggregation: '3 hours'", "500 steps or 2.5 epochs"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["geometry"].update(train_shorter_side=[90, 70]),
        ["geometry.train_shorter_side: [90, 70] must rise"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["geometry"].update(test_shorter_side=20),
        ["geometry.test_shorter_side: must be at least size"],
    ),
    (
        lambda c: c["recipes"].update({"a-b": c["recipes"]["vie_single"]}),
        ["recipes.a-b", "letters"],
    ),
    (
        lambda c: c["evaluations"]["trn_input_single"].update(recipe="vie_fast"),
        ["evaluations.trn_input_single.recipe: 'vie_fast' is not among recipes: vie_single"],
    ),
    (
        lambda c: c["evaluations"]["trn_input_single"].update(clip="fast"),
        ["'fast' is not one of single"],
    ),
    (
        lambda c: c["evaluations"]["vie_two_pathway"].update(recipe=["vie_single", "vie_3dresnet"]),
        ["evaluations.vie_two_pathway.recipe: vie_single, vie_3dresnet are read side by side"],
    ),
    (
        lambda c: c["evaluations"]["random_slow"].update(clip={"frames": 4, "stride": 2, "bin": 5}),
        ["evaluations.random_slow.clip", "a bin must fit into its stride"],
    ),
    (
        lambda c: c["evaluations"]["random_slow"].update(label="VIE-Single"),
        ["tables.table_1.evaluations: two rows would have the label 'VIE-Single'"],
    ),
    (
        lambda c: c["evaluations"]["sf_input_single"].update(label="SlowFast"),
        ["tables.table_s1.evaluations: 'SlowFast' is not a row of the paper's: TRN-Input-Single"],
    ),
    (
        lambda c: c["recipes"]["vie_slow"]["encoder"].update(fast_width=2),
        ["recipes.vie_slow.encoder.fast_width: only the network slowfast has it, not slow"],
    ),
    (
        lambda c: c["recipes"]["vie_trn"].update(clip={"frames": 8, "stride": 6}),
        ["recipes.vie_trn.encoder.frames: 4 is not the 8 frames of its clip"],
    ),
    (
        lambda c: c["recipes"]["vie_slowfast"].update(clip={"frames": 7, "stride": 4}),
        ["recipes.vie_slowfast.clip: has 7 frames, which is no multiple of encoder.stride"],
    ),
    (
        lambda c: c["recipes"]["vie_single"].update(start_from="vie_trn"),
        ["start_from", "must be another recipe that does not start from this one"],
    ),
    (
        lambda c: c["recipes"]["vie_slow"]["schedule"].update(supervised="3 epochs"),
        ["recipes.vie_slow.schedule: name instance_recognition", "supervised, order_prediction"],
    ),
    (
        lambda c: c["recipes"]["vie_slow"]["objective"].pop("local_aggregation"),
        ["recipes.vie_slow.objective: lacks local_aggregation"],
    ),
    (
        lambda c: c["recipes"]["rotnet"]["schedule"].update(order_prediction="1 epochs"),
        ["recipes.rotnet.schedule", "or one of supervised, order_prediction, rotation alone"],
    ),
    (
        lambda c: c["recipes"]["rotnet"]["objective"].pop("rotation"),
        ["recipes.rotnet.objective: lacks rotation, which its schedule names"],
    ),
    (
        lambda c: c["recipes"]["opn"]["encoder"].update(network="slow"),
        ["recipes.opn.encoder.network: order prediction", "needs single, not slow"],
    ),
    (
        lambda c: c["recipes"]["opn"].update(min_frames=45),
        ["recipes.opn.min_frames: must be at least the 46 frames that its clip spans"],
    ),
    (
        lambda c: c["recipes"]["opn"].update(clip={"frames": 8, "windows": [16]}),
        ["recipes.opn.clip: order prediction needs 3 to 5 frames, not 8"],
    ),
    (
        lambda c: c["recipes"]["opn"]["objective"]["order_prediction"].update(frame_shift=9),
        ["order_prediction.frame_shift: 9 pixels to either side do not fit"],
    ),
    (
        lambda c: (
            c["recipes"]["opn"]["objective"].pop("order_prediction"),
            c["recipes"]["opn"]["geometry"].update(train_shorter_side=[50, 60]),
        ),
        ["recipes.opn.objective: lacks order_prediction", "train_shorter_side: [50, 60] must rise"],
    ),
    (
        lambda c: c["recipes"].update(opn2=c["recipes"]["opn"]),
        ["recipes: two rows of results/pretext.csv would have the label 'OPN'"],
    ),
    (
        lambda c: c["recipes"]["opn"].update(clip={"frames": 4, "windows": [31], "stride": 2}),
        ["recipes.opn.clip", "a window takes the place of stride and bin"],
    ),
    (
        lambda c: c["evaluations"]["opn"].update(clip="opn"),
        ["evaluations.opn.clip: evaluations take frames with a stride, not windows"],
    ),
    (
        lambda c: c["recipes"]["rotnet"]["encoder"].update(embedding="none"),
        ["recipes.rotnet.encoder.embedding: 'none' is not", "pooled"],
    ),
    (lambda c: c.update(seeds=[1.0]), ["seeds.0: 1.0"]),
    (lambda c: c["datasets"]["embedded"].update({2020: 1}), ["unknown key 2020"]),
    (
        lambda c: c["datasets"]["embedded"].update(official_name="kinetics400"),
        ["datasets.embedded.official_name: published values know no generated dataset"],
    ),
    (
        lambda c: c["tables"]["table_s1"]["evaluations"].append("x"),
        ["tables.table_s1.evaluations: 'x'"],
    ),
    (lambda c: c["datasets"]["embedded"].update(videos="v"), ["datasets.embedded", "not both"]),
    (
        lambda c: c["datasets"]["embedded"].pop("generator"),
        ["layout kinetics needs annotations and videos"],
    ),
    (
        lambda c: c["datasets"]["actions_ucf101"].update(shards={"train": 1, "val": 1}),
        ["datasets.actions_ucf101.shards: layout ucf101 has shards of all, not train, val"],
    ),
    (
        lambda c: c["datasets"]["embedded"].update(shards={"all": 1}),
        ["datasets.embedded.shards: layout kinetics has shards of train and val, not all"],
    ),
    (
        lambda c: c["datasets"]["actions_hmdb51"].update(layout="folders"),
        ["generator: writes the layouts kinetics, ucf101, hmdb51, not folders"],
    ),
    (
        lambda c: c["datasets"]["actions_hmdb51"]["generator"].pop("test_groups"),
        ["layout hmdb51 takes clips_per_group, dataset_seed, test_groups, train_groups"],
    ),
    (
        lambda c: (
            c["datasets"]["actions_hmdb51"].pop("generator"),
            c["datasets"]["actions_hmdb51"].update(
                videos="v", annotations="a", official_name="ucf101"
            ),
        ),
        ["datasets.actions_hmdb51.official_name: 'ucf101' has the layout ucf101, not hmdb51"],
    ),
    (
        lambda c: (
            c["datasets"]["actions_hmdb51"].pop("generator"),
            c["datasets"]["actions_hmdb51"].update(layout="folders", videos="v", annotations="a"),
        ),
        ["datasets.actions_hmdb51: layout folders needs videos (a dataset you have)"],
    ),
    (
        lambda c: c.update(dataset="actions_ucf101"),
        ["dataset: 'actions_ucf101' has no shards of train and val: it is for finetuning"],
    ),
    (
        lambda c: c["finetuning"]["targets"]["ucf101"].update(dataset="ucf"),
        ["finetuning.targets.ucf101.dataset: 'ucf' is not among datasets: embedded"],
    ),
    (
        lambda c: c["finetuning"]["targets"]["ucf101"].update(dataset="embedded"),
        ["finetuning.targets.ucf101.dataset: 'embedded' has no shards of all"],
    ),
    (
        lambda c: c["finetuning"]["targets"]["ucf101"].update(split=4),
        ["finetuning.targets.ucf101.split: 4 is not 1, 2 or 3"],
    ),
    (
        lambda c: c["finetuning"]["targets"].update({"a/b": c["finetuning"]["targets"]["ucf101"]}),
        ["finetuning.targets.a/b: a name has only letters"],
    ),
    *(
        (
            lambda c, n=name: c["finetuning"]["targets"].update(
                {n: c["finetuning"]["targets"]["ucf101"]}
            ),
            [f"finetuning.targets.{name}: a name", "the table's own columns"],
        )
        for name in (101, "split", "ucf101_n", "1st")
    ),
    (
        lambda c: c["finetuning"]["schedule"].update(every="30 epochs"),
        ["finetuning.schedule.every: 30 epochs must be more than 0 and at most"],
    ),
    (
        lambda c: c["tables"]["table_2"].update(evaluations=["scratch_single"]),
        ["tables.table_2.evaluations: needs at least one evaluation with weights trained"],
    ),
    (
        lambda c: (
            c["datasets"]["actions_hmdb51"].pop("generator"),
            c["datasets"]["actions_hmdb51"].update(layout="folders", videos="v", missing="error"),
        ),
        ["datasets.actions_hmdb51.missing: layout folders has no lists"],
    ),
    (
        lambda c: c["tables"]["table_3"]["evaluations"].append("vie_two_pathway"),
        ["tables.table_3.evaluations: vie_two_pathway is several networks, not one to finetune"],
    ),
    (lambda c: c["finetuning"].update(validation="val"), ["'val' is not one of held_out, test"]),
    (lambda c: c["finetuning"]["scale_crop"].update(scales=[2]), ["scale_crop.scales.0: 2"]),
]


@pytest.mark.parametrize(("breaks", "words"), WRONG, ids=range(len(WRONG)))
def test_wrong_configs_are_explained(config, breaks, words):
    breaks(config)
    with pytest.raises(VieError) as error:
        validate(config)
    for word in words:
        assert word in str(error.value)


def test_every_error_is_listed(config):
    config["seeds"] = []
    config["recipes"]["vie_single"]["optimiser"]["lr"] = "fast"
    with pytest.raises(VieError) as error:
        validate(config)
    assert "seeds" in str(error.value)
    assert "optimiser.lr: 'fast'" in str(error.value)


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
    config["finetuning"]["targets"]["hmdb51"] = None
    validate(config)
    assert list(config["finetuning"]["targets"]) == ["ucf101"]


def test_anchors_do_not_tie_recipes_together(config):
    config["recipes"]["vie_single"]["objective"]["temperature"] = 0.5
    assert config["recipes"]["vie_slow"]["objective"]["temperature"] == 0.07


def test_a_recipe_with_windows_is_read_out_on_its_longest_one_anywhere():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    del config["evaluations"]["opn"]
    config["recipes"]["opn"] |= {"clip": "opn", "min_frames": 16}
    validate(config)
    assert config["evaluations"]["opn"]["clip"] == {"frames": 4, "stride": 5}


def test_dimensions_may_be_written_as_text_and_readouts_have_their_own_colour():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["recipes"]["rotnet"]["encoder"]["embedding"] = "64"
    pair = {"label": "Pair", "recipe": ["vie_single", "rotnet"], "clip": "single"}
    colour = config["recipes"]["vie_single"]["color_jitter"]
    config["evaluations"]["pair"] = pair | {"weights": "trained", "color_jitter": colour}
    validate(config)
    assert config["recipes"]["rotnet"]["encoder"]["embedding"] == 64
    del config["evaluations"]["pair"]["color_jitter"]
    with pytest.raises(VieError, match="read side by side, so their geometry and color_jitter"):
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
    validate(config | {"gpus": 2})
    with pytest.raises(VieError, match="gpus: 3 GPUs cannot share the batch of 32 in recipes"):
        validate(config | {"gpus": 3})
