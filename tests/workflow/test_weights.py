"""Weights from elsewhere in the workflow: what is planned, and a run with the release."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

import vie

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "tests" / "models" / "released" / "checkpoint-1450000.index"
PAPER = ("experiments/kinetics400.yaml", "experiments/released_weights.yaml")
KINDS = {"untrained", "pretrain", "import_weights", "probe", "finetune", "frames"}


def planned_kinds(planned, output):
    return {rule: count for rule, count in planned(output).items() if rule in KINDS}


@pytest.mark.slow
def test_the_released_network_is_evaluated_without_pretraining(copy, tmp_path, snakemake, planned):
    """Finetuning asks for no video of Kinetics."""
    for folder in ("ucf101/ucfTrainTestlist", "hmdb51/testTrainMulti_7030_splits"):
        (tmp_path / folder).mkdir(parents=True)
    roots = {name: str(tmp_path / name) for name in ("kinetics400", "ucf101", "hmdb51")}
    mine = {"roots": roots, "recipes": {"vie_3dresnet": {"weights": str(tmp_path / "it.tar")}}}
    (copy / "mine.yaml").write_text(yaml.safe_dump(mine))
    arguments = ("-n", "-q", "rules", "--cores", "8", "--configfile", *PAPER, "mine.yaml", "--")
    output = snakemake(copy, *arguments, "results/table_2.csv", fails=True)
    assert f"{tmp_path}/it.tar: no such file of weights. See the config's `recipes.vie_3d" in output
    (tmp_path / "it.tar").mkdir()
    output = snakemake(copy, *arguments, "results/table_2.csv", fails=True)
    assert f"{tmp_path}/it.tar: a folder, not a file of weights. See the config's" in output
    (tmp_path / "it.tar").rmdir()
    (tmp_path / "it.tar").touch()
    output = snakemake(copy, *arguments, "results/table_2.csv", "results/table_3.csv")
    expected = {"untrained": 1, "import_weights": 1, "finetune": 8, "frames": 24}
    assert planned_kinds(planned, output) == expected
    (tmp_path / "kinetics400" / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (tmp_path / "kinetics400" / "annotations" / f"{split}.csv").touch()
    output = snakemake(copy, *arguments, "results/table_1.csv")
    expected = {"untrained": 1, "import_weights": 1, "probe": 2, "frames": 220}
    assert planned_kinds(planned, output) == expected


@pytest.fixture(scope="module")
def overlay(copy, small_dataset, snakemake):
    """The demo with the narrow release in place of a trained VIE-3DResNet, and a few ready frames
    on record as those of the embedded dataset."""
    home = Path(shutil.copytree(small_dataset, copy / "resources" / "embedded"))
    for folder in ("videos", "annotations"):
        (home / folder).mkdir()
    for split in ("train", "val"):
        (home / "annotations" / f"{split}.csv").touch()
    mine = {
        "experiment": "released",
        "datasets": {"embedded": {"shards": {"train": 1, "val": 1}}},
        "recipes": {
            "vie_3dresnet": {
                "encoder": {"width": 8, "embedding": 128, "embedding_norm": "none"},
                "objective": {"temperature": 0.07},
                "weights": str(RELEASED),
                "clip": {"frames": 8, "stride": 2},
                "geometry": {"size": 32, "train_shorter_side": [34, 40], "test_shorter_side": 36},
            },
        },
        "evaluations": {"random_3dresnet": {"clip": {"frames": 8, "stride": 2}}},
        "probe": {
            "optimiser": {"batch": 8},
            "schedule": {"duration": "2 steps", "lr_drops": []},
            "clips": 1,
        },
        "tables": {"table_1": {"evaluations": ["vie_3dresnet"]}},
    }
    (copy / "released.yaml").write_text(yaml.safe_dump(mine))
    arguments = ("--cores", "2", "--configfile", "released.yaml")
    made = [f"resources/embedded/{split}/index.parquet" for split in ("train", "val")]
    snakemake(copy, "--touch", *arguments, "--", *made)
    return (*arguments, "--")


@pytest.mark.slow
def test_the_narrow_release_becomes_a_row(copy, overlay, snakemake):
    results = "results/released"
    probe = f"{results}/probe/vie_3dresnet/trained/seed0/metadata.json"
    snakemake(copy, *overlay, probe)
    imported = copy / results / "pretrain" / "vie_3dresnet" / "seed0" / "imported.pt"
    encoder = vie.load_encoder(imported)
    assert (encoder.metadata["step"], encoder.metadata["n_train"]) == (1_450_000, 40)
    metadata = json.loads((copy / probe).read_text())
    (network,) = metadata["networks"]
    assert (network["steps"], network["batch"], network["encoder"]["width"]) == (1_450_000, 32, 8)
    assert network["objective"]["temperature"] == 0.07
    log = copy / "logs" / "released" / "pretrain" / "vie_3dresnet" / "seed0" / "imported.log"
    assert "its memory bank is left out" in log.read_text()
    assert "conv3d_7/kernel/Momentum" in log.read_text()
    assert len(pd.read_parquet((copy / probe).with_name("predictions.parquet"))) == 8
    assert "Nothing to be done" in snakemake(copy, "-n", *overlay, probe)


@pytest.mark.slow
def test_another_recipe_starts_from_it(copy, overlay, snakemake, planned):
    """Then its bank is of use, and the videos that it has to fit are an input."""
    more = yaml.safe_load((copy / "released.yaml").read_text())
    more["experiment"] = "more"
    base = yaml.safe_load((copy / "config.yaml").read_text())["recipes"]["vie_3dresnet"]
    more["recipes"]["more"] = {
        **base,
        **{key: more["recipes"]["vie_3dresnet"][key] for key in ("clip",)},
        "label": "More",
        "encoder": {"network": "3dresnet", "width": 8, "embedding": 128, "bn_momentum": 0.1},
        "start_from": "vie_3dresnet",
        "schedule": {"local_aggregation": "2 steps", "lr_drops": []},
    }
    (copy / "more.yaml").write_text(yaml.safe_dump(more))
    target = "results/more/pretrain/more/seed0/local_aggregation.pt"
    output = snakemake(copy, "-n", "--cores", "1", "--configfile", "more.yaml", "--", target)
    assert planned_kinds(planned, output) == {"import_weights": 1, "pretrain": 1}
    assert f"input: {RELEASED}, {RELEASED.with_suffix('.data-00000-of-00001')}, resources" in output
