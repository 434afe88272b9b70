"""The estimate: its jobs against Snakemake's, its costs against hand-worked ones."""

import collections
import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from vie.config.load import load_config
from vie.datasets.facts import expected
from vie.datasets.synthetic import action_files, write_videos
from vie.datasets.video import Video
from vie.frames.manifest import write_manifest
from vie.models.cost import network_cost
from vie.models.encoders import build_encoder
from vie.workflow import estimate
from vie.workflow.estimate import Estimator, Job, Work, main, seconds_of_like
from vie.workflow.estimate_jobs import jobs_of

ROOT = Path(__file__).parents[2]
OWN_SEEDS = ["--config", "seeds=[0,1]"]
SLURM = ["--profile", "profiles/slurm"]  # its jobs are in groups
KINETICS = ["--configfile", "experiments/kinetics400.yaml"]
Usage = collections.namedtuple("Usage", "total used free")
FORWARD = 3_652_943_872  # FLOPs of VIE-Single for a frame of 224 x 224, checked below


@pytest.fixture(autouse=True)
def large_disk(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**13, 0, 10**13))


@pytest.fixture
def one_job(monkeypatch):
    """A dry run that lists one job of pretraining."""
    wildcards = {"dataset": "kinetics400", "recipe": "vie_single", "seed": "0"}
    job = Job(
        "pretrain",
        wildcards | {"stage": "instance_recognition"},
        *(12, 27_000, 1),
        "results/kinetics400/pretrain/vie_single/seed0/instance_recognition.pt",
        "benchmarks/runs/kinetics400/pretrain/vie_single/seed0/instance_recognition.tsv",
    )
    monkeypatch.setattr(estimate, "jobs_of", lambda arguments: [job])
    return job


def rows_of(text: str) -> dict[str, list[str]]:
    """{rule: cells} of the printed table."""
    lines = [line.split() for line in text.splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) == 6 and line[1].isdigit()}


def lists_of_kinetics(folder: Path) -> None:
    (folder / "annotations").mkdir(parents=True)
    for split, count in (("train", 8_000), ("val", 30)):
        rows = "".join(f"eating,{i:011d},0,10,{split}\n" for i in range(count))
        path = folder / "annotations" / f"{split}.csv"
        path.write_text(f"label,youtube_id,time_start,time_end,split\n{rows}")


@pytest.mark.parametrize(
    "options",
    [
        OWN_SEEDS,
        pytest.param(KINETICS, marks=pytest.mark.slow),
        pytest.param([*KINETICS, *SLURM], marks=pytest.mark.slow),
    ],
)
def test_as_many_jobs_of_each_rule_as_snakemake_counts(options, capsys, tmp_path):
    if options != OWN_SEEDS:
        lists_of_kinetics(tmp_path)
        options = [*options, "--config", f"roots={{kinetics400: {tmp_path}}}"]
    assert main([*options, "--forceall", "--", "results/table_s1.csv"]) == 0
    rows = rows_of(capsys.readouterr().out)
    command = ["-n", "--quiet", "host", "--forceall", "--cores", "8", *options]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *command, "--", "results/table_s1.csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", done.stdout, re.M | re.S)[1]
    counts: collections.Counter = collections.Counter()
    for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.M):
        counts[rule.removesuffix("_early")] += int(count)
    assert {rule: int(cells[0]) for rule, cells in rows.items() if rule != "total"} == counts
    assert int(rows["total"][0]) == counts.total()
    assert float(rows["pretrain"][2]) >= 4  # GB of memory, as the rules ask for


def test_data_that_are_not_here_are_planned_for(capsys, tmp_path):
    roots = f"roots={{kinetics400: {tmp_path}/nowhere}}"
    assert main([*KINETICS, "--config", roots, "--", "results/summary_kinetics400.csv"]) == 0
    out = capsys.readouterr().out
    assert f"kinetics400 is not here ({tmp_path}/nowhere/annotations/train.csv is missing)" in out
    rows = rows_of(out)
    assert rows["frames"][0] == "220"
    # 259,541 videos of 250 frames of 569 x 320 pixels, 0.2 bytes each at quality 3 and less at
    # ffmpeg's default, and their headers.
    gb = 259_541 * 250 * (320**2 * 16 / 9 * 0.2 * (3 / 16) ** 0.8 + 776.5) / 1e9
    assert float(rows["frames"][1].replace(",", "")) == pytest.approx(gb, rel=0.01)
    assert rows["frames"][4] == "0.00"  # GPU-hours


@pytest.mark.parametrize("as_list", [False, True])
def test_videos_that_are_found_are_counted(capsys, tmp_path, as_list):
    folders = [tmp_path / name for name in ("a", "b c")]
    for folder in folders:
        folder.mkdir()
        for i in range(40 if as_list else 80):
            (folder / f"{i}.mp4").touch()
    videos = [str(folder) for folder in folders] if as_list else str(folders[0])
    overlay = {"experiment": "mine", "dataset": "mine"}
    overlay["datasets"] = {"mine": {"layout": "flat", "videos": videos}}
    config = tmp_path / "mine.yaml"
    config.write_text(yaml.safe_dump(overlay))
    target = "results/mine/pretrain/vie_slow/seed0/local_aggregation.pt"
    assert main(["--configfile", str(config), "--", target]) == 0
    assert rows_of(capsys.readouterr().out)["pretrain"][0] == "2"
    found = load_config(ROOT / "config.yaml", config)
    assert Estimator(found, on_gpu=False).sizes("mine", "train") == (72, 250)
    assert Estimator(found, on_gpu=False).sizes("mine", "val") == (8, 250)
    found["datasets"]["mine"]["cut"] = {"seconds": 4, "overlap": 0}
    assert Estimator(found, on_gpu=False).sizes("mine", "train") == (250_000, 100)
    assert "How many pieces mine has is known once" in capsys.readouterr().out
    shutil.rmtree(folders[0])
    assert main(["--configfile", str(config), "--", target]) == 2
    assert f"{folders[0]}: no such file or folder" in capsys.readouterr().err


def test_videos_of_a_manifest_are_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "resources" / "mine" / "val"
    made.mkdir(parents=True)
    rows = [Video(f"a@{i}-{i + 4}", "a", "", i, i + 4) for i in range(5)]
    write_manifest(rows, [], made / "manifest.parquet", exact=True)
    own = {"layout": "flat", "videos": "gone", "frames": {"fps": 25}}
    found = {"datasets": {"mine": own | {"cut": {"seconds": 4, "overlap": 0}}}}
    assert Estimator(found, on_gpu=False).sizes("mine", "val") == (5, 100)


def test_released_weights_that_are_not_here_are_planned_for(capsys, tmp_path):
    lists_of_kinetics(tmp_path)
    released = [*KINETICS, "experiments/released_weights.yaml"]
    options = ["--config", f"roots={{kinetics400: {tmp_path}}}", "--forceall"]
    assert main([*released, *options, "--", "results/table_1.csv"]) == 0
    out = capsys.readouterr().out
    assert "data/checkpoint-1450000.tar, the weights of vie_3dresnet, is not here" in out
    rows = rows_of(out)
    assert rows["import_weights"][0] == "1"
    # 33.2 million numbers, and the bank: 800 videos.
    assert float(rows["import_weights"][1]) == pytest.approx(0.133, abs=0.01)
    assert "pretrain" not in rows


def test_a_small_disk_is_exit_status_1_and_a_sentence(one_job, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 0))
    assert main(KINETICS) == 1
    captured = capsys.readouterr()
    assert "pretrain" in captured.out  # the table is there all the same
    # The network twice, 11.3 million numbers, and the bank.
    assert re.search(r"not enough disk: \S+ lacks 0\.2 GB; make room", captured.err)


def test_what_has_been_run_costs_what_it_took(one_job, capsys, monkeypatch):
    monkeypatch.setattr(estimate, "seconds_of_like", {one_job.benchmark: 7200.0}.get)
    assert main(KINETICS) == 0
    out = capsys.readouterr().out
    assert rows_of(out)["pretrain"][-2:] == ["24.00", "2.00"]  # 12 cores and a GPU for 2 hours
    assert "1 of 1 jobs take as long as finished ones" in out


def test_like_jobs_are_those_of_other_seeds_and_shards(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, seconds in (("a/seed0/s", 10), ("a/seed1/s", 30), ("b/seed0/s", 99)):
        path = tmp_path / "runs" / f"{name}.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}.5\t0:00:10\t-\n")
    (tmp_path / "frames_1-of-2.tsv").write_text("s\n4.0\n")
    assert seconds_of_like("runs/a/seed2/s.tsv") == 20.5
    assert seconds_of_like("frames_0-of-2.tsv") == 4
    assert seconds_of_like("frames_0-of-3.tsv") is None
    assert seconds_of_like("") is None


def test_operations_of_a_network_by_hand():
    """Two for each multiplication: stem, four convolutions at 56 x 56, and three stages that halve
    the size and double the channels, with their shortcuts; the linear layer."""
    first = 2 * 112**2 * 64 * 3 * 49 + 4 * 2 * 56**2 * 64**2 * 9 + 2 * 56**2 * 64**2
    stages = 3 * 2 * 28**2 * (128 * 64 * 9 + 3 * 128**2 * 9 + 128 * 64)
    assert first + stages + 2 * 512 * 128 == FORWARD
    flops, numbers, dimensions = network_cost(json.dumps({"network": "single"}), 1, 224)
    assert (flops, dimensions) == (FORWARD, 128)
    assert numbers == pytest.approx(11.2e6, rel=0.02)


@pytest.mark.parametrize("network", ["slowfast", "3dresnet"])
def test_operations_are_counted_by_shapes_as_on_a_cpu(network):
    settings = {"network": network, "width": 8}
    encoder = build_encoder(settings).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(torch.zeros(1, 3, 16, 48, 48))
    numbers = sum(tensor.numel() for tensor in encoder.state_dict().values())
    found = network_cost(json.dumps(settings), 16, 48)
    assert found == (counter.get_total_flops(), numbers, 128)


def test_hours_of_pretraining_by_hand(one_job, paper):
    """50,000 steps of 128 clips, each three forward passes at 50 TFLOP/s."""
    estimator = Estimator(paper, on_gpu=True)
    work = estimator.work(one_job.rule, one_job.wildcards)
    assert work.compute == pytest.approx(50_000 * 128 * 3 * FORWARD / 50e12)
    clip = 1.6e-3 + (320**2 * 16 / 9 * 3.8e-3 + 224**2 * 12e-3) / 1e6
    assert work.load == pytest.approx(50_000 * 128 * clip)
    # With 12 threads, 11 of which load, clips are slower than the GPU.
    assert estimator.seconds(one_job, work) == pytest.approx(15 + work.load / 11)
    many = one_job._replace(threads=100)
    assert estimator.seconds(many, work) == pytest.approx(15 + work.compute)
    four = one_job._replace(gpus=4, threads=400)
    assert estimator.seconds(four, work) == pytest.approx(15 + work.compute / 4)


def test_gpus_and_threads_of_all_nodes_are_counted(monkeypatch):
    monkeypatch.chdir(ROOT)
    target = "results/demo/pretrain/vie_single/seed0/instance_recognition.pt"
    options = ["--cores", "4", "--forceall", "--config", "threads={pretrain: 4}", "gpus=2"]
    jobs = jobs_of([*options, "nodes=2", "--", target])
    job = next(one for one in jobs if one.rule == "pretrain")
    assert (job.gpus, job.threads) == (4, 8)


def test_seconds_on_cores_by_hand(one_job, paper):
    estimator = Estimator(paper, on_gpu=False)
    assert estimator.seconds(one_job, Work(60, 120)) == 15 + 180 / 12
    assert estimator.seconds(one_job, Work(60, 0)) == 3 + 60 / 12


def test_clusters_of_every_epoch_are_counted(paper):
    """In 1,325,000 steps there are 707 epochs of 1,874 steps, and one more clustering."""
    wildcards = {"dataset": "kinetics400", "recipe": "vie_single", "stage": "local_aggregation"}
    work = Estimator(paper, on_gpu=True).work("pretrain", wildcards)
    clips, bank = 1_325_000 * 128, 239_888
    compared = bank * (clips + 708 * 8000 * 21) * 2 * 128 / 10e12
    assert work.compute == pytest.approx(clips * 3 * FORWARD / 50e12 + compared)


def test_probes_and_finetuning_are_of_their_own_clips(paper):
    estimator = Estimator(paper, on_gpu=True)
    wildcards = {"dataset": "kinetics400", "evaluation": "slow_input_single", "weights": "trained"}
    work = estimator.work("probe", wildcards)
    clips = 394_998 * 128 + 19_653 * 5 + 239_888
    assert work.compute == pytest.approx(clips * 4 * FORWARD / 50e12, rel=1e-3)
    work = estimator.work("features", wildcards)
    assert work.compute == pytest.approx(259_541 * 5 * 4 * FORWARD / 50e12, rel=1e-3)
    assert work.disk == pytest.approx(259_541 * (128 + 512) * 4, rel=0.1)  # embedding and conv5
    wildcards |= {"evaluation": "vie_single", "target": "ucf101", "pipeline": "scale_crop"}
    work = estimator.work("finetune", wildcards)
    assert work.compute == pytest.approx(300 * (9537 // 128) * 128 * 3 * FORWARD / 50e12)


def test_probes_on_images_by_hand(paper):
    """Every image is loaded once; VIE-TRN convolves it once, VIE-3DResNet 16 times."""
    estimator = Estimator(paper, on_gpu=True)
    work = estimator.work("image_probe", {"evaluation": "vie_trn", "weights": "trained"})
    images = 1_170_000 * 128 + 1_281_167 + 50_000
    assert work.compute == pytest.approx(images * FORWARD / 68e12, rel=1e-3)
    each = 1.6e-3 + (320**2 * 4 / 3 * 3.8e-3 + 224**2 * 12e-3) / 1e6
    assert work.load == pytest.approx(images * each)
    encoder = json.dumps(paper["recipes"]["vie_3dresnet"]["encoder"])
    assert network_cost(encoder, 1, 112, 16)[0] == network_cost(encoder, 16, 112)[0]
    slow = json.dumps(paper["recipes"]["vie_slow"]["encoder"])
    assert network_cost(slow, 1, 224)[0] < network_cost(slow, 1, 224, 4)[0]
    assert network_cost(slow, 1, 224, 4)[0] < 0.7 * network_cost(slow, 4, 224)[0]


def test_frames_of_images_by_hand(paper):
    work = Estimator(paper, on_gpu=True).work(
        "frames", {"dataset": "imagenet", "split": "val", "shards": "8", "shard": "0"}
    )
    assert work.load == pytest.approx(50_000 / 8 * 5e-3)
    assert work.disk == pytest.approx(50_000 / 8 * (320**2 * 4 / 3 * 0.5 + 776.5))


def test_finetuning_of_two_networks_for_as_long_as_the_releases(paper):
    released = copy.deepcopy(paper)
    released["finetuning"]["trained"]["schedule"] = "release"
    released["finetuning"]["targets"]["ucf101"]["split"] = "all"
    estimator, work = Estimator(released, on_gpu=True), {}
    for row in ("vie_two_pathway", "vie_slowfast"):
        wildcards = {"evaluation": row, "weights": "trained", "pipeline": "scale_crop"}
        work[row] = estimator.work("finetune", wildcards | {"target": "ucf101_split2"})
    single = 30_000 * 64 * 3 * 16 * FORWARD / 50e12
    slowfast = work["vie_slowfast"].compute * 30_000 * 64 / (300 * (9537 // 128) * 128)
    assert work["vie_two_pathway"].compute == pytest.approx(single + slowfast, rel=1e-3)
    assert work["vie_two_pathway"].disk > work["vie_slowfast"].disk + 4 * 11e6  # Single's weights


def test_sizes_are_of_the_lists_where_there_are_some(tmp_path, paper):
    lists_of_kinetics(tmp_path)
    here = Estimator({**paper, "roots": {"kinetics400": str(tmp_path)}}, on_gpu=True)
    assert here.sizes("kinetics400", "train") == (8_000, 250)
    nowhere = Estimator({**paper, "roots": {"kinetics400": "/nowhere"}}, on_gpu=True)
    assert nowhere.sizes("kinetics400", "val") == (19_653, 250)


def test_the_generators_settings_say_how_many_videos_they_write():
    datasets = load_config(ROOT / "config.yaml")["datasets"]
    planned = write_videos.plan(datasets["embedded"]["generator"])
    for split in ("train", "val"):
        good = [video for video in planned if video.split == split and not video.bad]
        assert expected(datasets["embedded"], split).videos == len(good)
    settings = datasets["stand_in_hmdb51"]["generator"]
    groups = settings["train_groups"] + settings["test_groups"] + action_files.SPARE
    videos = len(action_files.HMDB51) * groups * settings["clips_per_group"]
    assert expected(datasets["stand_in_hmdb51"], "all").videos == videos


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["--config", "seeds=two"], "seeds: 'two'"),
        (["--configfile", "nothing.yaml"], "nothing.yaml"),
        (["--config", "gpus=[1"], "--config.yaml"),
        (["--configfile", "experiments/smoke.yaml", "results/x.csv"], "put -- before"),
        (["--config", "results/x.csv"], "is not KEY=VALUE"),
        (["--", "results/nothing.csv"], "results/nothing.csv"),
    ],
)
def test_a_wrong_argument_is_a_message(capsys, command, what):
    assert main(command) == 2
    assert what in capsys.readouterr().err
