"""The workflow, run by Snakemake itself."""

import re
import shutil
import textwrap
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import yaml

import vie
from tests.workflow.conftest import SMOKE
from vie.config.load import load_config
from vie.engine.feature_table import read_features
from vie.runtime.torch_files import content_digest

ROOT = Path(__file__).parents[2]
ORDER = "input output log benchmark wildcard_constraints priority localrule conda threads "
ORDER += "resources params script"


def test_default_targets_of_the_embedded_dataset(copy, snakemake, planned):
    jobs = planned(snakemake(copy, "-n", "--cores", "2", "results/table_s1.csv"))
    assert jobs["probe"] == 3 * 6  # three inputs with three seeds, and the same untrained
    assert jobs["pretrain"] == 3 * 2
    assert jobs["untrained"] == 3


@pytest.mark.slow
def test_a_new_network_is_one_recipe(copy, snakemake, planned):
    """Slow with 8 frames, as docs/networks.md shows it: its row comes by itself."""
    config = copy / "config.yaml"
    text = config.read_text()
    before = planned(snakemake(copy, "-n", "--cores", "2", "results/table_1.csv"))
    documented = (ROOT / "docs" / "networks.md").read_text()
    recipe = re.search(r"```yaml\n(  vie_slow8:\n.*?)```", documented, re.S)[1]
    place = "  supervised_single:"
    config.write_text(text.replace(place, recipe + place, 1))
    output = snakemake(copy, "-n", "--cores", "2", "results/table_1.csv")
    config.write_text(text)
    after = planned(output)
    more = {"pretrain": 3 * 2, "probe": 3}  # three seeds
    assert after == before | {name: before[name] + count for name, count in more.items()}
    assert "results/demo/probe/vie_slow8/trained/seed0/predictions.parquet" in output


@pytest.mark.slow
def test_a_folder_of_class_folders_is_a_target(copy, tmp_path, snakemake, planned):
    """A user's own videos, with names of every kind, as one more column of table 2."""
    for label in ("eat (noodles) & soup", "sit; stand"):
        (tmp_path / label).mkdir()
        for i in range(4):
            (tmp_path / label / f"#{i} [take].mov.mp4").touch()
    own = {"layout": "folders", "videos": str(tmp_path), "shards": {"all": 1}, "min_frames": 3}
    base = yaml.safe_load((copy / "config.yaml").read_text())
    own["frames"] = base["datasets"]["embedded"]["frames"]
    overlay = {"datasets": {"own": own}}
    overlay["finetuning"] = {"targets": {"own": {"dataset": "own", "split": 5}}}
    (copy / "own.yaml").write_text(yaml.safe_dump(overlay))
    arguments = ("--cores", "2", "--configfile", "own.yaml", "--")
    assigned = "resources/own/split5/split_assignment.csv"
    jobs = planned(snakemake(copy, "-n", *arguments, "results/table_2.csv", assigned))
    config = load_config(copy / "config.yaml")
    rows = config["tables"]["table_2"]["evaluations"]
    assert jobs["finetune"] == len(rows) * 3 * len(config["seeds"])
    snakemake(copy, *arguments, assigned)
    found = pd.read_csv(copy / assigned)
    assert sorted(found["subset"]) == ["held_out"] * 2 + ["test"] * 2 + ["train"] * 4
    assert found["label"].nunique() == 2
    assert "Nothing to be done" in snakemake(copy, "-n", *arguments, assigned)
    (tmp_path / "sit; stand" / "new.mkv").touch()  # a new video is seen
    assert planned(snakemake(copy, "-n", *arguments, assigned))["split_assignment"] == 1


def test_own_videos_are_pretrained_on_without_annotations(copy, tmp_path, snakemake, planned):
    """The overlay of docs/own-videos.md, "With labels", on folders that are there."""
    page = (ROOT / "docs" / "own-videos.md").read_text()
    overlay = textwrap.dedent(re.search(r"```yaml\n( +dataset: mine\n.*?)```", page, re.S)[1])
    for split, count in (("train", 64), ("val", 1)):  # as many as local aggregation's neighbours
        (tmp_path / split / "a class").mkdir(parents=True)
        for i in range(count):
            (tmp_path / split / "a class" / f"any name {i}.mp4").touch()
    (copy / "mine.yaml").write_text(overlay.replace("/data/mine/videos", str(tmp_path)))
    arguments = ("--cores", "2", "--configfile", "mine.yaml", "--")
    jobs = planned(snakemake(copy, "-n", *arguments, "results/table_s1.csv"))
    assert jobs["frames"] == 5
    manifest = "resources/mine/val/manifest.parquet"
    snakemake(copy, *arguments, manifest)
    assert (copy / manifest).exists()


@pytest.mark.slow
def test_missing_files_are_named_before_anything_is_trained(copy, tmp_path, snakemake, planned):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Jump\n2 Run\n")
    files = [f"{c}/v_{c}_g0{g}_c01" for c in ("Jump", "Run") for g in (1, 2, 3)]
    number = {"Jump": 1, "Run": 2}
    train = [f"{f}.avi {number[f.split('/')[0]]}\n" for f in files if "g01" not in f]
    (lists / "trainlist01.txt").write_text("".join(train))
    (lists / "testlist01.txt").write_text("".join(f"{f}.avi\n" for f in files if "g01" in f))
    for name in files[:-1]:
        path = tmp_path / "videos" / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    base = yaml.safe_load((copy / "config.yaml").read_text())
    mine = {"layout": "ucf101", "videos": str(tmp_path / "videos"), "annotations": str(lists)}
    mine |= {"shards": {"all": 1}, "min_frames": 3}
    mine["frames"] = base["datasets"]["embedded"]["frames"]
    overlay = {"datasets": {"mine": mine}}
    overlay["finetuning"] = {"targets": {"mine": {"dataset": "mine", "split": 1}}}
    (copy / "mine.yaml").write_text(yaml.safe_dump(overlay))
    manifest = "resources/mine/all/manifest.parquet"
    arguments = ("--cores", "2", "--configfile", "mine.yaml", "--", manifest)
    output = snakemake(copy, *arguments, fails=True)
    assert "1 listed videos are missing: 'Run/v_Run_g03_c01.avi'" in output
    mine["missing"] = "reject"
    (copy / "mine.yaml").write_text(yaml.safe_dump(overlay))
    snakemake(copy, *arguments)
    assert (copy / manifest).exists()
    assert "Nothing to be done" in snakemake(copy, "-n", *arguments)
    # A list that is edited where it lies is seen.
    path = lists / "testlist01.txt"
    with path.open("a") as file:
        file.write("Run/v_Run_g01_c02.avi\n")
    assert planned(snakemake(copy, "-n", *arguments))["manifest"] == 1


def test_the_papers_experiment(copy, tmp_path, snakemake, planned):
    """Whole shards, not videos, are jobs; nothing is generated; roots are all that is set."""
    text = (copy / "experiments" / "kinetics400.yaml").read_text()
    (tmp_path / "kinetics400" / "annotations").mkdir(parents=True)
    for name in ("train", "validate"):
        (tmp_path / "kinetics400" / "annotations" / f"{name}.csv").touch()
    for folder in ("ucf101/ucfTrainTestlist", "hmdb51/testTrainMulti_7030_splits"):
        (tmp_path / folder).mkdir(parents=True)
    for split in ("train", "val"):
        (tmp_path / "imagenet" / split / "n01440764").mkdir(parents=True)
    for name in ("kinetics400", "ucf101", "hmdb51", "imagenet"):
        text = text.replace(f"{name}: data/{name}", f"{name}: {tmp_path / name}")
    (tmp_path / "mine.yaml").write_text(text)
    overlay = str(tmp_path / "mine.yaml")
    output = snakemake(
        copy, "-n", "-q", "rules", "--cores", "32", "--configfile", overlay, "--", "all"
    )
    jobs = planned(output)
    assert jobs["frames"] == 220 + 16 + 8 + 128 + 8
    assert not {"embedded_videos", "embedded_actions"} & set(jobs)
    # From scratch, baselines, VIE, supervised; datasets, pipelines.
    assert jobs["finetune"] == (5 + 3 + 6 + 5) * 2 * 2
    assert jobs["split_assignment"] == 2
    assert jobs["probe"] == 25 + 12  # 22 rows of table 1, 3 controls of table S1, ablations
    assert jobs["pretext"] == 3
    assert jobs["motion"] == 220


@pytest.mark.slow
def test_a_root_without_lists_is_a_sentence(copy, tmp_path, snakemake, planned):
    """Where to look, once a job asks for the lists; not if what was made of them is there."""
    made = copy / "resources" / "kinetics400"
    arguments = (
        "-n",
        "-q",
        "rules",
        "--cores",
        "2",
        "--configfile",
        "experiments/kinetics400.yaml",
    )
    arguments += ("--config", f"roots={{kinetics400: {tmp_path}}}", "--")
    target = "resources/kinetics400/train/index.parquet"
    output = snakemake(copy, *arguments, target, fails=True)
    assert f"{tmp_path / 'annotations'}: no such folder of annotations" in output
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "k400_train.csv").touch()
    output = snakemake(copy, *arguments, target, fails=True)
    assert f"{tmp_path / 'annotations'}: no CSV of the split 'train'" in output
    for words in ("kinetics_train.csv", "CSVs there: 'k400_train.csv'"):
        assert words in output
    for key in ("`roots.kinetics400`", "`datasets.kinetics400.annotations`"):
        assert key in output
    assert "MissingInput" not in output
    assert planned(snakemake(copy, *arguments, "results/summary_embedded.csv"))["frames"]
    (made / "train").mkdir(parents=True)
    for path in (made / "classes.csv", made / "train" / "manifest.parquet"):
        path.touch()
    jobs = planned(snakemake(copy, *arguments, target))
    shutil.rmtree(made)
    assert jobs == {"frames": 200, "index": 1}


def test_the_papers_experiment_lints_without_data(copy, snakemake, planned):
    overlay = "experiments/kinetics400.yaml"
    assert "good condition" in snakemake(copy, "--lint", "--configfile", overlay)


@pytest.mark.slow
def test_a_copy_of_kinetics_as_its_scripts_leave_it(copy, tmp_path, snakemake, planned):
    """Flat folders, a replacement, validate.csv, a root; differences stand in logs and summary."""
    from vie.datasets.synthetic.write_videos import write_embedded

    draw = {"dataset_seed": 3, "train_videos_per_class": 1, "val_videos_per_class": 1}
    root = tmp_path / "k400"
    write_embedded(draw, tmp_path / "videos", root / "annotations", 2)
    (root / "annotations" / "val.csv").rename(root / "annotations" / "validate.csv")
    for split in ("train", "val"):
        (root / split).mkdir()
        for path in (tmp_path / "videos" / split).glob("*/*.mp4"):
            path.rename(root / split / path.name)
    empty = next(path for path in (root / "train").iterdir() if not path.stat().st_size)
    good = max((root / "train").iterdir(), key=lambda path: path.stat().st_size)
    (root / "replacement" / "replacement_for_corrupted_k400").mkdir(parents=True)
    shutil.copy(good, root / "replacement" / "replacement_for_corrupted_k400" / empty.name)
    shutil.copy(good, root / "train" / "named_by_none.mp4")
    (tmp_path / "mine.yaml").write_text(
        f"dataset: mine\nroots: {{mine: {root}}}\ndatasets:\n  mine:\n"
        "    {layout: kinetics, official_name: kinetics400, videos: ., annotations: annotations,\n"
        "     frames: {fps: 25, shorter_side: 48, quality: 3, timeout_seconds: 60,\n"
        "              max_seconds: 30}, shards: {train: 1, val: 1}, min_frames: 3}\n"
    )
    overlay, target = str(tmp_path / "mine.yaml"), "results/summary_mine.csv"
    snakemake(copy, "--cores", "2", "--configfile", "config.yaml", overlay, "--", target)
    log = (copy / "logs" / "resources" / "mine" / "manifest_train.log").read_text()
    assert "1 videos are taken from 1 replacements" in log
    assert "1 videos are named by no list: 'train/named_by_none.mp4'" in log
    assert (
        "24 classes are not of kinetics400"
        in (copy / "logs/resources/mine/classes.log").read_text()
    )
    assert "the paper has 19,653" in (copy / "logs/resources/mine/index_val.log").read_text()
    table = pd.read_csv(copy / target).set_index(["split", "quantity", "name"])["value"]
    assert table["train", "videos", "all"] == 24 + 1  # the empty one was replaced
    assert table["val", "videos", "all"] == 24
    assert table["train", "expected", "videos"] == 239_888
    assert table["val", "difference", "videos"] == 24 - 19_653
    # What the dataset is said to be is no reason to extract it anew.
    text = (tmp_path / "mine.yaml").read_text().replace("official_name: kinetics400, ", "")
    (tmp_path / "mine.yaml").write_text(text)
    output = snakemake(
        *(copy, "-n", "-q", "rules", "--cores", "2", "--configfile", "config.yaml", overlay),
        *("--", target),
    )
    assert planned(output) == {"summary": 1, "publish_plots": 1}


def test_lint_has_nothing_to_say(copy, snakemake, planned):
    assert "good condition" in snakemake(copy, "--lint")


def test_a_wrong_config_stops_before_the_first_job(copy, tmp_path, snakemake, planned):
    (tmp_path / "wrong.yaml").write_text("recipes: {vie_single: {objective: {temprature: 0.1}}}")
    overlay = str(tmp_path / "wrong.yaml")
    output = snakemake(copy, "-n", "--cores", "1", "--configfile", overlay, "--", fails=True)
    assert "recipes.vie_single.objective: unknown key temprature" in output
    assert "Traceback" not in output


def test_fewer_gpus_than_a_job_asks_for_stop_before_the_first_job(copy, snakemake, planned):
    """Snakemake would cut the job's GPUs down in silence."""
    arguments = ("-n", "-q", "rules", "--cores", "2", "--config", "gpus=2", "threads={pretrain: 4}")
    output = snakemake(copy, *arguments, "--resources", "gpu=1", fails=True)
    assert "gpus in the config is 2, but `--resources gpu=1`" in output
    assert "Traceback" not in output
    assert planned(snakemake(copy, *arguments, "--resources", "gpu=2"))["pretrain"]


def test_nodes_without_slurm_stop_before_the_first_job(copy, snakemake):
    target = "results/demo/pretrain/vie_single/seed0/instance_recognition.pt"
    arguments = ("--cores", "2", "--config", "nodes=2", "--", target)
    output = snakemake(copy, *arguments, fails=True)
    assert "nodes in the config is 2, but jobs would run on this machine alone" in output
    assert "Traceback" not in output
    assert "Finished job" not in output


@pytest.mark.slow
def test_nodes_are_asked_for_as_slurm_counts_them(copy, snakemake):
    """`--gres` is for each node; without GPUs there is a task for each."""
    target = "results/demo/pretrain/vie_single/seed0/instance_recognition.pt"
    for gpus, asked in ((2, "gpu=0, nodes=2, gres=gpu:2"), (0, "gpu=0, nodes=2, tasks=2")):
        config = ("nodes=2", f"gpus={gpus}", "threads={pretrain: 4}")
        arguments = ("-n", "--cores", "2", "--config", *config, "--", target)
        assert asked in snakemake(copy, *arguments)


def test_every_rule_is_complete():
    files = {path.stem: path.read_text() for path in sorted((ROOT / "rules").glob("*.smk"))}
    text = "".join(files[name] for name in sorted(files.keys() - {"common", "checks"}))
    said = re.findall(r'^(?:use )?rule .*:\n    (""".*"""$)?', text, re.M)
    assert all(said)  # `snakemake --list` shows them
    assert len(set(said)) == len(said)
    text = re.sub(r"^use rule .*?(?=^rule )", "", text, flags=re.M | re.S)  # complete as its base
    rules = re.split(r"^rule ", text, flags=re.M)[1:]
    assert len(rules) >= 12
    for rule in rules:
        name = rule.split(":")[0]
        directives = re.findall(r"^    (\w+):", rule, re.M)
        expected = [d for d in ORDER.split() if d in directives]
        assert directives == expected, f"{name}: order of directives"
        needed = {"log", "threads", "resources", "params", "conda", "script"}
        if name != "status":  # it always runs
            needed |= {"output", "benchmark"}
            assert re.search(
                r"version=(version\(|of\(experiment\.(layout|stage|frames)_version)", rule
            ), name
        assert needed <= set(directives), name
        for word in ("mem_mb=", "runtime="):
            assert word in rule, f"{name} lacks {word}"
        if name in ("pretrain", "probe", "pretext", "finetune"):
            assert "gpu=" in rule or "pretrain_nodes(" in rule, name


def test_conda_has_the_pins_of_the_lock_file():
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    locked = {}
    for package in lock["package"]:
        locked.setdefault(package["name"], []).append(package["version"])
    environment = yaml.safe_load((ROOT / "envs" / "vie.yaml").read_text())
    pins = environment["dependencies"][-1]["pip"]
    found = [re.match(r"([\w-]+)==([\w.]+)", pin).groups() for pin in pins]
    for name, version in found:
        assert version in locked[name], name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = {re.match(r"[\w-]+", line)[0] for line in project}
    launchers = {"snakemake", "snakemake-executor-plugin-slurm"}
    assert {name for name, _ in found} == wanted - launchers


@pytest.mark.slow
def test_runs_and_compares(ran, snakemake):
    """One run of every rule, and the comparison."""
    copy = ran
    logs = [*(copy / "logs" / "smoke" / "probe").rglob("*.log")]
    assert any("probe trn_input_single trained seed 0: 100%" in log.read_text() for log in logs)
    table = pd.read_csv(copy / "results" / "table_s1.csv")
    assert table["model"].tolist() == ["TRN-Input-Single", "Slow-Input-Single", "Sf-Input-Single"]
    assert (table["n_val"] == table["n_val"].iloc[0]).all()
    assert not table["comparable"].any()
    control = pd.read_csv(copy / "results" / "random_control.csv")
    assert [name for name in table if name not in control] == [
        *(f"conv{i}_published" for i in (3, 4, 5)),
        "comparable",
    ]
    assert not {*control["model"]} & {*table["model"]}
    assert {*control["dataset"], *table["dataset"]} == {"stand-in for Kinetics-400"}
    published = pd.read_csv(copy / "results" / "published.csv")
    assert not published["comparable"].any()
    assert published["ours"].notna().sum() == 9 + 1  # Table S1, and OPN's task
    rejected = pd.read_csv(copy / "resources" / "smoke" / "train" / "rejected.csv")
    assert len(rejected) >= 4
    assert rejected["reason"].nunique() == len(rejected)
    finetuned = pd.read_csv(copy / "results" / "table_2.csv")
    assert finetuned["model"].tolist() == ["Scratch-Single", "VIE-Single", "VIE-SlowFast"]
    assert (finetuned["stand_in_ucf101_n"] == 10).all()
    assert (finetuned["validation"] == "held_out").all()
    confusion = pd.read_csv(
        copy / "results" / "table_3_stand_in_hmdb51_confusion.csv", index_col="class"
    )
    assert confusion.to_numpy().sum() == 8
    # Every training keeps its state: a longer schedule goes on from it.
    states = [str(path.parent) for path in (copy / "results").rglob("checkpoint.pt")]
    for kind in ("pretrain", "probe", "finetune"):
        assert any(f"/{kind}/" in state for state in states)

    assert "Nothing to be done" in snakemake(copy, "-n", *SMOKE, "--", "all")
    log = copy / "logs" / "smoke" / "pretrain" / "vie_single" / "seed0" / "instance_recognition.log"
    assert re.match(rf"INFO: code \w{{12}} of {copy}\n", log.read_text())

    files = [copy / f"results/smoke/{name}" for name in ("encoders/opn.pt", "features/opn.parquet")]
    snakemake(copy, *SMOKE, "--", *(str(path.relative_to(copy)) for path in files))
    encoder, table = vie.load_encoder(files[0]), read_features(files[1])
    assert encoder.metadata["frames"] == {"fps": 25, "shorter_side": 64, "quality": 5}
    assert encoder.metadata["provenance"]["stages"] == ["order_prediction"]
    assert set(table.splits) == {"train", "val"}
    assert table.metadata["encoder"] == content_digest(encoder.state_dict())

    snakemake(copy, *SMOKE, "--", "results/comparison.csv")
    compared = pd.read_csv(copy / "results" / "comparison.csv")
    assert compared["experiment"].unique().tolist() == ["smoke"]
    assert compared["table"].value_counts().to_dict() == {"table_1": 7, "table_s1": 3}


# ---- In other places


def test_rules_run_the_library_beside_them(copy, tmp_path, snakemake):
    """Not that of the clone whose environment is active."""
    other = shutil.copytree(copy, tmp_path / "clone")
    videos = tmp_path / "videos" / "train" / "a class"
    videos.mkdir(parents=True)
    (videos / "one.mp4").touch()
    (other / "mine.yaml").write_text(
        f"datasets: {{mine: {{layout: folders, videos: {videos.parents[1]}, min_frames: 3,\n"
        "  shards: {train: 1, val: 1}, frames: {fps: 25, shorter_side: 48, quality: 3,\n"
        "  timeout_seconds: 60, max_seconds: 30}}}\n"
    )
    manifest = other / "vie" / "frames" / "manifest.py"
    marked = "\n_write = write_classes\n"
    marked += (
        "def write_classes(labels, path):\n    _write([*labels, 'of the other clone'], path)\n"
    )
    manifest.write_text(manifest.read_text() + marked)
    target = "resources/mine/classes.csv"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    snakemake(
        elsewhere,
        *("--cores", "1", "-s", str(other / "Snakefile")),
        *("--configfile", str(other / "mine.yaml"), "--", target),
    )
    assert pd.read_csv(elsewhere / target)["label"].tolist() == ["a class", "of the other clone"]


def test_a_job_with_another_library_says_so(monkeypatch, tmp_path, capsys):
    """Where PYTHONPATH does not reach a job, such as in a container."""
    from vie.runtime.logs import BESIDE, job

    monkeypatch.setenv(BESIDE, str(tmp_path))
    with pytest.raises(SystemExit), job(tmp_path / "a.log"):
        raise AssertionError("it must not begin")
    said = (tmp_path / "a.log").read_text()
    assert f"the rules are those of {tmp_path}, but this job imports vie from {ROOT}" in said


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "as vie_*"])
def test_the_workflow_is_a_module(copy, tmp_path, snakemake, planned, prefix):
    (tmp_path / "Snakefile").write_text(
        f'configfile: "{copy}/config.yaml"\n'
        f'module vie:\n    snakefile: "{copy}/Snakefile"\n    config: config\n'
        f"use rule * from vie {prefix}\n"
        "rule mine:\n    default_target: True\n    input: 'results/table_s1.csv'\n"
        "    output: 'mine.csv'\n    shell: 'cp {input} {output}'\n"
    )
    jobs = planned(snakemake(tmp_path, "-n", "-q", "rules", "--cores", "2"))
    start = prefix.removeprefix("as ").removesuffix("*")
    assert jobs["mine"] == 1
    assert jobs[f"{start}pretrain"] == 3 * 2
    assert jobs[f"{start}publish"] == 1
    assert planned(snakemake(tmp_path, "-n", "-q", "rules", "--cores", "2", "mine.csv")) == jobs


@pytest.mark.slow
def test_another_working_directory(copy, tmp_path, snakemake, planned):
    """The config is found beside the Snakefile; overlays as they are named."""
    arguments = ("-n", "-q", "rules", "--cores", "2", "--directory", str(tmp_path))
    assert planned(snakemake(copy, *arguments, "results/table_s1.csv"))["pretrain"] == 6
    overlay = ("--configfile", "experiments/smoke.yaml", "--", "results/table_s1.csv")
    assert planned(snakemake(copy, *arguments, *overlay))["frames"] == 3


def test_a_key_that_stands_twice_is_named(copy, snakemake):
    """Snakemake takes the last one, without a word."""
    (copy / "twice.yaml").write_text("seeds: [0]\nexperiment: twice\nseeds: [1]\n")
    said = snakemake(
        copy, "-n", "--cores", "1", "--configfile", "twice.yaml", "--", "all", fails=True
    )
    assert "twice.yaml: line 3: the key seeds stands in line 1 already" in said


def test_jobs_that_cannot_get_their_memory_are_refused_before_the_first(copy, snakemake):
    overlay = {"recipes": {"vie_slow": {"optimiser": {"batch": 480}, "geometry": {"size": 4096}}}}
    sides = {"train_shorter_side": [4096, 4200], "test_shorter_side": 4096}
    overlay["recipes"]["vie_slow"]["geometry"] |= sides
    (copy / "large.yaml").write_text(yaml.safe_dump(overlay))
    target = "results/demo/pretrain/vie_slow/seed0/local_aggregation.pt"
    said = snakemake(
        copy, "-n", "--cores", "1", "--configfile", "large.yaml", "--", target, fails=True
    )
    assert "recipes.vie_slow: a job would need about" in said
