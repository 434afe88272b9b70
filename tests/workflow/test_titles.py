"""What tables call datasets and networks, and what stands beside published numbers."""

import copy
import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.reporting.published import read_published_finetuned
from vie.workflow.paths import PUBLISHED, Experiment
from vie.workflow.published import files_of, published_rows
from vie.workflow.titles import control_labels, dataset_title, groups, target_titles

ROOT = Path(__file__).parents[2]
OVERLAYS = {"demo": (), "paper": ("kinetics400",), "released": ("kinetics400", "released_weights")}


@pytest.fixture(scope="module")
def configs():
    return {
        name: load_config(
            ROOT / "config.yaml", *(ROOT / "experiments" / f"{one}.yaml" for one in overlays)
        )
        for name, overlays in OVERLAYS.items()
    }


def test_stand_ins_bear_no_real_name(configs):
    demo, paper = Experiment(configs["demo"]), Experiment(configs["paper"])
    assert dataset_title(demo, "embedded") == "stand-in for Kinetics-400"
    assert list(target_titles(demo).values()) == ["stand-in for UCF101", "stand-in for HMDB51"]
    assert dataset_title(paper, "kinetics400") == "Kinetics-400"
    assert target_titles(paper) == {"ucf101": "UCF101", "hmdb51": "HMDB51"}
    real = {"ucf101", "hmdb51", "kinetics400"}
    assert not real & {*demo.datasets, *demo.targets}
    bears = re.compile(rf"(?<!stand_in)_({'|'.join(real)})")
    assert not [path for path in demo.published_files() if bears.search(path)]


def test_rows_are_grouped_by_how_their_networks_came_about(configs):
    found = groups(Experiment(configs["demo"]), "table_1")
    assert found["Random-Slow"] == "never trained"
    assert found["OPN"] == found["3DRotNet"] == "baselines"
    assert found["VIE-TRN"] == found["VIE-TwoPathway"] == found["Sf-Input-Single"] == "VIE"
    assert found["Supervised-Single"] == "with labels"
    assert groups(Experiment(configs["released"]), "table_1") == {
        "Random-3DResNet": "never trained",
        "VIE-3DResNet": "VIE",
    }


def test_the_control_has_labels_of_its_own(configs):
    experiment = Experiment(configs["demo"])
    own, theirs = control_labels(experiment, "table_s1"), experiment.labels("table_s1")
    assert not {*own.values()} & {*theirs.values()}
    assert list(own) == list(theirs)


def numbers():
    """Every number of the files, read anew."""
    with (PUBLISHED / "table_s1.csv").open() as file:
        found = [
            (r["model"], float(r[k])) for r in csv.DictReader(file) for k in r if k[:4] == "conv"
        ]
    with (PUBLISHED / "other.csv").open() as file:
        return found + [(row["model"], float(row["value"])) for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_published_number_has_a_row(configs, name):
    experiment = Experiment(configs[name])
    rows = published_rows(experiment)
    assert [(row["model"], row["published"]) for row in rows] == numbers()
    for row in rows:
        assert bool(row["files"]) != bool(row.get("missing"))
        target = row["command"].split(" -- ")[1]
        # Images may have no table yet.
        assert target in Experiment(configs["paper"]).published_files() or "imagenet" in target
        assert "--configfile experiments/kinetics400.yaml" in row["command"]
    curves = [row for row in rows if row["kind"] in ("begin", "drop")]
    assert [bool(row["files"]) for row in curves] == [name != "released"] * 2
    assert all(path.startswith(("results/", "resources/")) for path in files_of(experiment))


def test_a_row_that_no_table_has_is_empty(configs):
    changed = copy.deepcopy(configs["demo"])
    changed["tables"]["table_1"]["evaluations"] = ["vie_single"]
    rows = published_rows(Experiment(changed))
    missing = [row["missing"] for row in rows if not row["files"] and row["dataset"] != "imagenet"]
    assert (
        missing
        == ["VIE-3DResNet is no row of this experiment's Tables S1 and 1"] * 4
        + ["VIE-3DResNet is not pretrained in this experiment"] * 2
    )


def test_a_row_of_finetuning_that_a_user_adds_has_ours_beside_it(configs, tmp_path, monkeypatch):
    row = {"model": "VIE-Slow", "kind": "finetune", "column": "color_jitter", "dataset": "ucf101"}
    row |= {"quantity": "ucf101 top-1, finetuned, color_jitter", "value": 70.5, "unit": "percent"}
    shutil.copytree(PUBLISHED, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "other.csv").open("r+", newline="") as file:
        names, *_ = csv.reader(file)
        csv.DictWriter(file, names, extrasaction="ignore").writerow(row | {"source": "made up"})
    theirs = read_published_finetuned(tmp_path, ["VIE-Slow"], ["ucf101"], "color_jitter")
    assert theirs.loc["VIE-Slow", "ucf101"] == 70.5
    monkeypatch.setattr("vie.workflow.published.PUBLISHED", tmp_path)
    experiment = Experiment(configs["paper"])
    *_, found = published_rows(experiment)
    folder = "results/kinetics400/finetune/ucf101/color_jitter/vie_slow/trained"
    ours = [f"{folder}/seed{seed}/predictions.parquet" for seed in experiment.config["seeds"]]
    assert [file["predictions"] for file in found["files"]] == ours
    assert set(ours) < set(files_of(experiment))
    assert (found["published"], found["ours_on"]) == (70.5, "UCF101")
    assert found["short"] == "VIE-Slow: finetuned, color-jitter on UCF101"
    assert found["command"].endswith(" results/table_3.csv")
    *_, found = published_rows(Experiment(configs["demo"]))
    assert found["missing"] == "VIE-Slow is not finetuned on ucf101 in this experiment"


def test_the_job_graph_waits_for_neither_torch_nor_pandas():
    code = "import sys, vie.workflow.published\nprint({'torch', 'pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
