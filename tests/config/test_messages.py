"""What is said of wrong configs."""

import copy
import functools
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vie.config.load import load_config, merge, validate
from vie.runtime.errors import VieError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config():
    return load_config(ROOT / "config.yaml")


def first_target(config):
    return next(iter(config["finetuning"]["targets"].values()))


def release(duration, **more):
    return {"release": [{"duration": duration, "lr_drops": [], **more}]}


# (how to break the config, what the message must say)
WRONG = [
    (
        lambda c: c.update(sedes=[1]),
        ["(top level): unknown key sedes (did you mean seeds?); known here: ", "datasets"],
    ),
    (
        lambda c: c["recipes"].update(vie_singel={}),
        ["recipes.vie_singel (did you mean vie_single?): no such entry to change, and a new one "],
    ),
    (lambda c: c.update(seeds=0), ["seeds: 0 is not a list", "such as [0, 1, 2]"]),
    (lambda c: c.pop("probe"), ["probe: is missing (Linear classifiers on frozen features"]),
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
    (
        lambda c: c.update(seeds=[-1]),
        ["seeds.0: -1 is not a whole number from 0 to 4,294,967,295 (one seed)"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["objective"].update(temperature=0),
        ["recipes.vie_single.objective.temperature: 0 is not a number from 0.02 to 100 (tau"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["objective"]["instance_recognition"].update(
            estimator="nce"
        ),
        ["instance_recognition.estimator: 'nce' is not one of nce_paper, nce_estimated, softmax"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["schedule"].update(local_aggregation="3 hours"),
        [
            "schedule.local_aggregation: '3 hours' is not a text such as",
            '"500 steps" or "2.5 epochs" (VIE\'s second stage)',
        ],
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
        lambda c: c["recipes"]["vie_single"]["geometry"].update(
            random_sized={"area": [0.5, 0.2], "aspect": [0.75, 1.3]}
        ),
        ["recipes.vie_single.geometry.random_sized.area: [0.5, 0.2] must rise"],
    ),
    (
        lambda c: c["image_probe"].update(dataset="nothing"),
        ["image_probe.dataset: 'nothing' is not among datasets: embedded"],
    ),
    (
        lambda c: c["image_probe"].update(dataset="embedded"),
        ["image_probe.dataset: 'embedded' has videos (layout kinetics), not imagefolder"],
    ),
    (
        lambda c: c["image_probe"]["random_sized"].update(aspect=[2, 1]),
        ["image_probe.random_sized.aspect: [2, 1] must rise"],
    ),
    (
        lambda c: c["image_probe"]["schedule"].update(duration="0 steps"),
        ["image_probe.schedule.duration: 0 steps trains no classifiers"],
    ),
    (
        lambda c: c["evaluations"]["random_single"].update(
            image_probe={"schedule": {"duration": "0 steps", "lr_drops": []}}
        ),
        ["evaluations.random_single.image_probe.schedule.duration: 0 steps trains no"],
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
        [
            "evaluations.trn_input_single.clip: 'fast' is not one of single, trn, slow",
            "or a mapping with frames (a whole number from 1 to 4,096), stride (a number from",
        ],
    ),
    (
        lambda c: c["evaluations"]["vie_two_pathway"].update(recipe=["vie_single", "vie_3dresnet"]),
        ["evaluations.vie_two_pathway.recipe: vie_single, vie_3dresnet see the same clips"],
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
        ["encoder.embedding: 'none' is not a whole number from 1 to 16,384 or pooled (dimensions"],
    ),
    (
        lambda c: c["recipes"]["rotnet"]["encoder"].update(embedding=8),
        ["recipes.rotnet.encoder.embedding: 8 is a linear layer that rotation would not train"],
    ),
    (
        lambda c: c["evaluations"]["opn"].update(
            geometry=c["recipes"]["opn"]["geometry"] | {"test_shorter_side": 20}
        ),
        ["evaluations.opn.geometry.test_shorter_side: must be at least size (64)"],
    ),
    (
        lambda c: c["evaluations"]["opn"].update(schedule={"duration": "0 steps", "lr_drops": []}),
        ["evaluations.opn.schedule.duration: 0 steps trains no classifiers"],
    ),
    (lambda c: c.update(seeds=[1.0]), ["seeds.0: 1.0"]),
    (lambda c: c["datasets"]["embedded"].update({2020: 1}), ["unknown key 2020"]),
    (
        lambda c: c["datasets"]["embedded"].update(official_name="kinetics400"),
        ["datasets.embedded.official_name: a generated dataset has no published results"],
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
        lambda c: c["datasets"]["stand_in_ucf101"].update(shards={"train": 1, "val": 1}),
        ["datasets.stand_in_ucf101.shards: layout ucf101 has shards of all, not train, val"],
    ),
    (
        lambda c: c["datasets"]["embedded"].update(shards={"all": 1}),
        ["datasets.embedded.shards: layout kinetics has shards of train and val, not all"],
    ),
    (
        lambda c: c["datasets"]["stand_in_hmdb51"].update(layout="folders"),
        ["generator: writes the layouts kinetics, ucf101, hmdb51, imagefolder, not folders"],
    ),
    (
        lambda c: c["datasets"]["stand_in_hmdb51"]["generator"].pop("test_groups"),
        ["layout hmdb51 takes clips_per_group, dataset_seed, test_groups, train_groups"],
    ),
    (
        lambda c: (
            c["datasets"]["stand_in_hmdb51"].pop("generator"),
            c["datasets"]["stand_in_hmdb51"].update(
                videos="v", annotations="a", official_name="ucf101"
            ),
        ),
        ["datasets.stand_in_hmdb51.official_name: 'ucf101' has the layout ucf101, not hmdb51"],
    ),
    (
        lambda c: (
            c["datasets"]["stand_in_hmdb51"].pop("generator"),
            c["datasets"]["stand_in_hmdb51"].update(layout="folders", videos="v", annotations="a"),
        ),
        ["datasets.stand_in_hmdb51: layout folders needs videos (a dataset you have)"],
    ),
    (
        lambda c: c.update(dataset="stand_in_ucf101"),
        ["dataset: 'stand_in_ucf101' has no shards of train and val: it is for finetuning"],
    ),
    (
        lambda c: c["finetuning"]["targets"].update(
            {"UCF_101": {"dataset": "stand_in_ucf101", "split": 1}}
        ),
        [
            "finetuning.targets.UCF_101: has the name of a published dataset. If "
            "datasets.stand_in_ucf101 is UCF101 itself, set its official_name to ucf101; else"
        ],
    ),
    (
        lambda c: c["datasets"].update(kinetics400=c["datasets"]["embedded"]),
        ["datasets.kinetics400: has the name of a published dataset. If datasets.kinetics400 is"],
    ),
    (
        lambda c: c["finetuning"]["targets"]["stand_in_ucf101"].update(dataset="ucf"),
        ["finetuning.targets.stand_in_ucf101.dataset: 'ucf' is not among datasets: embedded"],
    ),
    (
        lambda c: c["finetuning"]["targets"]["stand_in_ucf101"].update(dataset="embedded"),
        ["finetuning.targets.stand_in_ucf101.dataset: 'embedded' has no shards of all"],
    ),
    (
        lambda c: c["finetuning"]["targets"]["stand_in_ucf101"].update(split=4),
        ["finetuning.targets.stand_in_ucf101.split: 4 is not one of the official splits 1 to 3"],
    ),
    (
        lambda c: c["finetuning"]["targets"].update(
            {"a/b": c["finetuning"]["targets"]["stand_in_ucf101"]}
        ),
        ["finetuning.targets.a/b: a name has only letters"],
    ),
    *(
        (
            lambda c, n=name: c["finetuning"]["targets"].update(
                {n: c["finetuning"]["targets"]["stand_in_ucf101"]}
            ),
            [f"finetuning.targets.{name}: a name", "the table's own columns"],
        )
        for name in (101, "split", "ucf101_n", "1st")
    ),
    (
        lambda c: c["finetuning"]["schedule"].update(every="30 epochs"),
        ["finetuning.schedule.every: 30 epochs must be more than 0 and at most"],
    ),
    (  # in another unit than `every`
        lambda c: c["evaluations"]["opn"].update(
            finetuning={"release": [{"duration": "0 steps", "lr_drops": []}]}
        ),
        ["evaluations.opn.finetuning.release.0.duration: 0 steps is shorter"],
    ),
    (
        lambda c: c["datasets"]["stand_in_imagenet"].update(cut={"seconds": 3}),
        ["datasets.stand_in_imagenet.cut: is for layout flat, not imagefolder"],
    ),
    (
        lambda c: c["tables"]["table_2"].update(evaluations=["scratch_single"]),
        ["tables.table_2.evaluations: needs at least one evaluation with weights trained"],
    ),
    (
        lambda c: (
            c["datasets"]["stand_in_hmdb51"].pop("generator"),
            c["datasets"]["stand_in_hmdb51"].update(layout="folders", videos="v", missing="error"),
        ),
        ["datasets.stand_in_hmdb51.missing: layout folders has no lists"],
    ),
    (
        lambda c: c["tables"]["retrieval"]["evaluations"].append("vie_two_pathway"),
        ["tables.retrieval.evaluations: vie_two_pathway is several networks, and the table is"],
    ),
    (
        lambda c: c["finetuning"]["targets"].update(
            own={**first_target(c), "split": "all"}, own_split2=first_target(c)
        ),
        ["finetuning.targets.own_split2: this is the name of a split of own"],
    ),
    (
        lambda c: first_target(c).update(split="every"),
        ["split: 'every'", "all"],
    ),
    (
        lambda c: c["finetuning"]["trained"].update(schedule="never"),
        ["finetuning.trained.schedule: 'never' is not one of saturation, release"],
    ),
    (
        lambda c: c["evaluations"]["opn"].update(finetuning=release("0 epochs")),
        ["evaluations.opn.finetuning.release.0.duration: 0 epochs is shorter than the time"],
    ),
    (
        lambda c: c["evaluations"]["opn"].update(finetuning=release("9 epochs", target="ucf")),
        ["evaluations.opn.finetuning.release.0.target: 'ucf' is not among finetuning.targets"],
    ),
    (
        lambda c: c["evaluations"]["opn"].update(finetuning={"weight_decay": 0}),
        ["evaluations.opn.finetuning: unknown key weight_decay; known here: batch, lr, release"],
    ),
    (lambda c: c.update(readouts={}), ["unknown key readouts (did you mean evaluations?)"]),
    (
        lambda c: c["recipes"]["vie_single"]["objective"].update(temprature=0.1, clusters=3),
        [
            "recipes.vie_single.objective: unknown key temprature (did you mean temperature?), "
            "clusters; known here: bank_momentum, instance_recognition"
        ],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["encoder"].update(witdh=4),
        ["recipes.vie_single.encoder: unknown key witdh (did you mean width?)"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["schedule"].update(supervized="2 epochs"),
        ["recipes.vie_single.schedule: unknown key supervized (did you mean supervised?)"],
    ),
    (
        lambda c: c["recipes"]["vie_single"].update(clip={"frames": 1, "strid": 2}),
        ["recipes.vie_single.clip: unknown key strid (did you mean stride?)"],
    ),
    (
        lambda c: c["recipes"]["vie_single"].update(clip={"frames": 1, "stride": 0.5}),
        ["recipes.vie_single.clip.stride: 0.5 is not a number from 1 to 100,000 (frames"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["encoder"].update(network="singel"),
        ["encoder.network: 'singel' is not one of single, trn", "add your own to networks"],
    ),
    (
        lambda c: c.update(precision="bf61"),
        ["precision: 'bf61' is not one of bf16, tf32, float32 (did you mean bf16?) (of networks"],
    ),
    (
        lambda c: c.update(report_to=["tensorboard", "wandbb"]),
        ["report_to.1: 'wandbb' is not one of tensorboard, ", "(did you mean wandb?)"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["geometry"].update(train_shorter_side=[90]),
        ["geometry.train_shorter_side: [90] is not a list of 2 (range of the shorter side"],
    ),
    (
        lambda c: c["tables"]["table_1"].update(evaluations=["opn", "opn"]),
        ["tables.table_1.evaluations: ['opn', 'opn']: 'opn' stands there twice"],
    ),
    (
        lambda c: c["recipes"]["opn"]["objective"]["order_prediction"].update(channel_dropping=1),
        ["order_prediction.channel_dropping: 1 is not true or false"],
    ),
    (lambda c: c.update(recipes=[1]), ["recipes: [1] is not a mapping with at least one key"]),
    (lambda c: c["recipes"].update(vie_single=3), ["recipes.vie_single: 3 is not a mapping"]),
    (lambda c: c.update(recipes={}), ["recipes: {} is not a mapping with at least one key"]),
    (
        lambda c: c.update(experiment="a/b"),
        ["experiment: 'a/b' is not a text such as \"demo\" or"],
    ),
    (
        lambda c: c["recipes"]["vie_single"]["schedule"].update(
            instance_recognition="0 epochs", local_aggregation="0 steps"
        ),
        ["recipes.vie_single.schedule: trains for 0 epochs and 0 steps, which is no training"],
    ),
    (
        lambda c: c.update(objectives={"moco": "my_objectives.MoCo"}),
        ["objectives.moco: 'my_objectives.MoCo' is not a text such as \"my_objectives:MoCo\""],
    ),
    (
        lambda c: c.update(objectives={"rotation": "mine:Rotation"}),
        ["objectives.rotation: this name is taken"],
    ),
    (
        lambda c: c.update(networks={"slow": "mine:slow"}),
        ["networks.slow: this name is taken"],
    ),
    (
        lambda c: c.update(objectives={"a-b": "mine:A"}),
        ["objectives.a-b: a name has only letters, digits and underscores"],
    ),
    (
        lambda c: (
            c.update(objectives={"moco": "mine:MoCo"}),
            c["recipes"]["vie_single"]["schedule"].update(moco="2 epochs"),
        ),
        ["recipes.vie_single.schedule", "order_prediction, rotation, moco alone"],
    ),
    (
        lambda c: (
            c.update(objectives={"moco": "mine:MoCo"}),
            c["recipes"]["vie_single"]["objective"].update(moco=3),
        ),
        ["recipes.vie_single.objective.moco: 3 is not a mapping"],
    ),
    (
        lambda c: c["recipes"]["vie_trn"].update(weights="trn.pt"),
        ["recipes.vie_trn.start_from: a network whose weights come from a file (weights) is not"],
    ),
    (
        lambda c: c["recipes"]["vie_3dresnet"].update(weights="checkpoint.tar.gz"),
        ["recipes.vie_3dresnet.weights: 'checkpoint.tar.gz' ends in none of .tar, .index, .pt"],
    ),
    (
        lambda c: c["recipes"]["vie_3dresnet"].update(weights="{a}.pt"),
        ["recipes.vie_3dresnet.weights: '{a}.pt': Snakemake reads no path with braces"],
    ),
    (
        lambda c: c["recipes"]["vie_3dresnet"].update(weights=""),
        ["recipes.vie_3dresnet.weights: '' is not a text that is not empty"],
    ),
    (
        lambda c: c["recipes"]["vie_slow"].update(weights="checkpoint.index"),
        ["recipes.vie_slow.encoder.network: .index is the authors' checkpoint", "not slow"],
    ),
    (
        lambda c: c.update(objectives={"imported": "mine:Imported"}),
        ["objectives.imported: this name is taken"],
    ),
    (
        lambda c: c["datasets"]["stand_in_imagenet"]["frames"].update(fps=25, quality=3),
        ["stand_in_imagenet.frames.fps: is of videos", "stand_in_imagenet.frames.quality: is of"],
    ),
    (
        lambda c: c["datasets"]["stand_in_imagenet"].update(min_frames=3),
        ["datasets.stand_in_imagenet.min_frames: an image is one frame"],
    ),
    (
        lambda c: c["datasets"]["stand_in_imagenet"].update(missing="error"),
        ["datasets.stand_in_imagenet.missing: layout imagefolder has no lists"],
    ),
    (
        lambda c: c.update(dataset="stand_in_imagenet"),
        ["dataset: 'stand_in_imagenet' has images, and networks are pretrained on videos"],
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


def test_unknown_keys_come_first(config):
    config["seeds"] = "none"
    config["zeal"] = 1
    config["recipes"]["vie_single"]["encoder"]["depth"] = 34
    with pytest.raises(VieError) as error:
        validate(config)
    lines = str(error.value).splitlines()[1:]
    assert [("unknown key" in line) for line in lines] == [True, True, False]


def test_every_error_is_listed(config):
    config["seeds"] = []
    config["recipes"]["vie_single"]["optimiser"]["lr"] = "fast"
    with pytest.raises(VieError) as error:
        validate(config)
    assert "seeds" in str(error.value)
    assert "optimiser.lr: 'fast'" in str(error.value)


def places(node, path=()):
    """Paths to everything in a config."""
    yield path
    below = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in below:
        yield from places(node[key], (*path, key))


RAW = yaml.safe_load((ROOT / "config.yaml").read_text())
JUNK = [[], {}, 3, -1, 1.5, 1e400, True, "", "x", "a b", [[]], [1, "x"], {1: 2}, {"a": {}}, [None]]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([path for path in places(RAW) if path]), st.sampled_from(JUNK), st.booleans()
)
def test_whatever_stands_anywhere_is_explained_or_right(path, junk, beside):
    """Junk in place of a value, or under a key beside it, gives sentences and no traceback."""
    config = merge({}, copy.deepcopy(RAW))  # what anchors share becomes independent
    node = functools.reduce(lambda node, key: node[key], path[:-1], config)
    if beside and isinstance(node, dict):
        node[7] = junk
    else:
        node[path[-1]] = junk
    try:
        validate(config)
    except VieError as error:
        lines = str(error).splitlines()[1:]
        assert all(line.startswith("  - ") and ": " in line for line in lines)
        assert any(str(path[0]) in line or "(top level)" in line for line in lines)
    else:
        once = copy.deepcopy(config)
        validate(config)
        assert config == once
