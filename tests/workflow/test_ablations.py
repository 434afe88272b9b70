"""Ablations: what they share with the full model, and that no other rule has them."""

import copy as copying
import re
from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.runtime.errors import VieError
from vie.workflow import resources, sizes
from vie.workflow.ablations import ablation_rows, ablation_runs, changed
from vie.workflow.estimate import Estimator
from vie.workflow.instances import count_instances, instances_used
from vie.workflow.paths import Experiment

ROOT = Path(__file__).parents[2]
IR, LA = "instance_recognition", "local_aggregation"
FOLDER = "results/demo/pretrain"


@pytest.fixture(scope="module")
def experiment():
    return Experiment(load_config(ROOT / "config.yaml"))


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("clusters_4000", (True, False)),
        ("neighbours_1024", (True, False)),
        ("clusterings_3", (True, False)),
        ("ir_only", (False,)),
        ("videos_30", (False, False)),
        ("bins_52", (False, False)),
        ("bank_momentum_0.9", (False, False)),
    ],
)
def test_stages_that_are_trained_alike_are_the_full_models(experiment, name, shared):
    own = f"vie_single.{name}"
    for stage, alike in zip((IR, LA), shared, strict=False):
        recipe = "vie_single" if alike else own
        assert experiment.checkpoint(own, 3, stage) == f"{FOLDER}/{recipe}/seed3/{stage}.pt"
    first = f"{FOLDER}/{'vie_single' if shared[0] else own}/seed3/{IR}.pt"
    if len(shared) > 1:
        assert experiment.previous_checkpoint(own, 3, LA) == first
    assert experiment.final_checkpoint(own, 3) == experiment.checkpoint(
        own, 3, (IR, LA)[len(shared) - 1]
    )


def test_a_row_that_trains_nothing_of_its_own_is_the_full_models_network(experiment):
    """And one that starts from another recipe shares what comes before its change."""
    config = copying.deepcopy(experiment.config)
    config["recipes"]["opn.x"] = config["recipes"]["opn"] | {"label": "x"}
    config["recipes"]["vie_trn.x"] = config["recipes"]["vie_trn"] | {"start_from": None}
    changed = Experiment(config)
    assert changed.final_checkpoint("opn.x", 0) == f"{FOLDER}/opn/seed0/order_prediction.pt"
    assert changed.checkpoint("opn.x", 0, "untrained") == f"{FOLDER}/opn/seed0/untrained.pt"
    wide = "vie_single.embedding_64"
    assert changed.checkpoint(wide, 0, "untrained") == f"{FOLDER}/{wide}/seed0/untrained.pt"
    assert changed.final_checkpoint("vie_trn.x", 0) == f"{FOLDER}/vie_trn.x/seed0/{LA}.pt"


def test_no_other_table_has_rows_of_them(experiment):
    none = Experiment(load_config(ROOT / "config.yaml") | {"ablations": []})
    config = copying.deepcopy(experiment.config)
    for kind in ("recipes", "evaluations"):
        config[kind] = {name: one for name, one in config[kind].items() if "." not in name}
    none = Experiment(config | {"ablations": []})
    for of in ("rows", "name"):
        assert getattr(experiment, of) == getattr(none, of)
    for of in ("pretext_rows", "first_recipes", "stages", "imported_recipes"):
        assert getattr(experiment, of)() == getattr(none, of)()
    assert experiment.curves("table_1") == none.curves("table_1")
    files = set(experiment.published_files()) - set(none.published_files())
    assert files == {"results/ablations.csv"}
    for dataset in experiment.datasets_used():
        both = [resources.retrieval(one.config, [dataset]) for one in (experiment, none)]
        assert both[0] == both[1]
    with pytest.raises(VieError, match="no ablations"):
        ablation_runs(none)


def test_rows_of_the_table(experiment):
    rows = ablation_rows(experiment)
    assert next(iter(rows)) == "vie_single"
    assert list(rows)[-2:] == ["opn", "opn.opn_224"]
    assert set(rows.values()) == {"vie_single", "opn"}
    both = Experiment(experiment.config | {"seeds": [0, 5]})
    runs = ablation_runs(both)
    assert [run["name"] for run in runs[:3]] == ["vie_single", "vie_single", list(rows)[1]]
    assert runs[1]["predictions"].endswith("/probe/vie_single/trained/seed5/predictions.parquet")
    assert {run["dataset"] for run in runs} == {"stand-in for Kinetics-400"}


def test_what_is_changed_in_words(experiment, paper):
    of = lambda name: changed(experiment, name)  # noqa: E731
    assert of("vie_single") == ""
    assert of("vie_single.clusters_4000") == "objective.local_aggregation.clusters: 40 -> 20"
    assert "instances.frames: none -> 15" in of("vie_single.bins_52")
    assert "schedule.local_aggregation: 8 epochs -> none" in of("vie_single.ir_only")
    assert of("opn.opn_224") == "geometry.size: 64 -> 32"  # read out on the same crops
    scale = Experiment(paper)
    assert changed(scale, "opn.opn_224") == "geometry.size: 80 -> 224"
    assert changed(scale, "vie_single.bins_52") == (
        "objective.local_aggregation.clusters: 8000 -> 10000; instances.frames: none -> 52"
    )


@pytest.mark.parametrize("overlay", [None, "kinetics400", "smoke"])
def test_labels_are_true(overlay):
    """ "20 clusters (not 40)" says the numbers that are in force."""
    overlays = [ROOT / "experiments" / f"{overlay}.yaml"] if overlay else []
    said = 0
    for run in ablation_runs(Experiment(load_config(ROOT / "config.yaml", *overlays))):
        label = run["model"].replace(",", "")
        if found := re.search(r"([\d.]+) [^(]*\(not ([\d.]+)\)", label):
            assert f"{found[2]} -> {found[1]}" in run["changed"]
        elif found := re.search(r"windows of (\d+) frames", label):
            assert f"instances.frames: none -> {found[1]}" in run["changed"]
        elif found := re.search(r"(\d+) % of the videos", label):
            assert f"instances.share: none -> 0.{found[1].rstrip('0')}" in run["changed"]
        said += bool(found)
    assert said >= (1 if overlay == "smoke" else 9)


def test_how_many_instances_there_are_is_asked_everywhere(experiment, paper):
    """Kinetics' 250 frames make five windows of 52; memory, plan and sizes count them."""
    assert count_instances(None, 10, 250) == 10
    assert count_instances({"share": 0.3}, 239_888, 250) == 71_966
    assert count_instances({"frames": 52}, 239_888, 250) == 5 * 239_888
    assert count_instances({"frames": 130, "share": 0.5}, 10, 250) == 10
    names = list(instances_used(paper["recipes"]))
    assert names == ["frames_52", "frames_130", "share_0.3", "share_0.7"]
    memory = {
        name: resources.pretrain(paper, "kinetics400", paper["recipes"][name], 12)
        for name in ("vie_single", "vie_single.bins_52", "vie_single.videos_30")
    }
    bank = 4 * 4 * 128 * 239_888 / 1e6  # MB
    assert memory["vie_single.bins_52"] - memory["vie_single"] == pytest.approx(4 * bank, abs=200)
    assert memory["vie_single"] - memory["vie_single.videos_30"] == pytest.approx(
        0.7 * bank, abs=200
    )
    small = experiment.config
    estimator = Estimator(small, on_gpu=True, sizes=lambda dataset, split: (480, 71))
    work = {
        name: estimator.work("pretrain", {"recipe": name, "stage": LA})
        for name in ("vie_single", "vie_single.bins_52", "vie_single.clusters_4000")
    }
    assert work["vie_single.bins_52"].disk > work["vie_single"].disk
    assert work["vie_single.clusters_4000"].compute < work["vie_single"].compute
    # Every dry run asks whether settings fit.
    assert sizes.check_graph(paper, "vie_single.bins_52", (2500, "")) is None
    with pytest.raises(VieError, match="2400 is more than the 1800 videos"):
        sizes.check_graph(paper, "vie_single.videos_30", (6000, ""))


def test_settings_are_held_against_the_instances_of_a_recipe(experiment, monkeypatch):
    import numpy as np

    config = experiment.config
    monkeypatch.setenv(sizes.PLANNED, "")
    whole = np.full(480, 71)
    sizes.check_index(config, "embedded", "train", whole, "vie_single")
    sizes.check_index(config, "embedded", "train", np.full(144, 71), "vie_single.videos_30")
    with pytest.raises(VieError, match=r"videos_30\.optimiser\.batch: 32 is more than the 31 inst"):
        sizes.check_index(config, "embedded", "train", np.full(31, 71), "vie_single.videos_30")
    plan = '{"recipes": ["vie_single.videos_30"], "probes": false, "finetuning": {}}'
    monkeypatch.setenv(sizes.PLANNED, plan)
    sizes.check_index(config, "embedded", "train", whole)
    with pytest.raises(VieError, match="64 is more than the 60 videos"):
        sizes.check_index(config, "embedded", "train", np.full(200, 71))
    changed = copying.deepcopy(config)
    changed["recipes"]["vie_trn"]["instances"] = {"share": 0.5}
    with pytest.raises(VieError, match=r"vie_trn\.instances: must be those of vie_single"):
        sizes.check_graph(changed, "vie_trn", (480, ""))


def test_the_job_graph(experiment, copy, snakemake, planned):
    """One stage of instance recognition serves three ablations; windows get an index."""
    target = "results/ablations.csv"
    output = snakemake(copy, "-n", "--cores", "2", "--config", "seeds=[0]", "--", target)
    jobs = planned(output)
    assert jobs["probe"] == len(ablation_rows(experiment))
    assert jobs["instances"] == 4
    trained = re.findall(r"output: results/demo/pretrain/(\S+)/seed0/(\w+)\.pt", output)
    for name in ("clusters_4000", "clusterings_3", "neighbours_1024"):
        assert [stage for recipe, stage in trained if recipe == f"vie_single.{name}"] == [LA]
    assert ("vie_single", IR) in trained
    assert len(trained) == len(set(trained)) == jobs["pretrain"]
    windows = re.search(r"input: (\S+), [^\n]+\n +output: \S+bins_52/seed0/instance_rec", output)
    assert windows[1] == "resources/embedded/train/instances/frames_15/index.parquet"
    without = ("--config", "ablations=[]", "--")
    before = snakemake(copy, "-n", "--cores", "2", *without, target, fails=True)
    assert "no ablations" in before
