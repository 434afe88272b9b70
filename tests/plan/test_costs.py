"""Costs of jobs against numbers worked out by hand."""

import copy
import re

import pytest

from vie.objectives.table import transform_of
from vie.plan.costs import RULES, cost, pretraining
from vie.plan.jobs import ROOT
from vie.plan.model import Work, load_name
from vie.plan.networks import Shown


def test_every_rule_has_a_cost():
    texts = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    written = r"^(?:use rule \w+ as|rule) (\w+)"
    rules = {r for text in texts for r in re.findall(written, text.read_text(), re.M)}
    assert rules - {"pretrain_early"} == set(RULES)


def test_a_shard_of_frames(config, model, job):
    """480 videos of 71 frames in 2 shards; 900 bytes a frame, 0.06 s a video, on one of 2 CPUs."""
    name = "embedded (80 pixels, quality 3, 25 fps)"
    measured = {
        "seconds to start anything else": 0.5,
        f"seconds to extract a video of {name}": 0.06,
        f"bytes of a frame of {name}": 900,
    }
    wildcards = {"dataset": "embedded", "split": "train", "shard": "0", "shards": "2"}
    one = cost(model(config, measured), job("frames", 4, **wildcards))
    assert one.seconds == pytest.approx(0.5 + 240 * 0.06)
    assert one.cores == 1  # two jobs of four cores share eight, and so two CPUs
    # A header and half a block of zeros beside each JPEG, and its row of the table.
    assert one.disk == pytest.approx(240 * 71 * (900 + 512 + 256 + 8.5))


def test_frames_are_planned_as_wide_ones(paper, model, job):
    """Of a video of 10 s at 25 fps, 250 frames of 569 x 320 pixels of 0.2 bytes, extracted in
    0.7 s: 0.72 were measured for a video of 640 x 360."""
    wildcards = {"dataset": "kinetics400", "split": "val", "shard": "0", "shards": "40"}
    machine = model(paper, device="cuda", cores=4, cpus=4)
    one = cost(machine, job("frames", 4, **wildcards))
    frame = 569 * 320 * 0.2 + 512 + 256 + 8.5
    assert one.disk == pytest.approx(19_653 / 40 * 250 * frame, rel=1e-3)
    assert one.seconds == pytest.approx(0.5 + 19_653 / 40 * 0.72 / 4, rel=0.02)


def test_instance_recognition_on_a_cpu(config, model):
    """vie_single: 70 epochs of 15 steps of 32 clips; the monitor at the start, at epochs 10 to 60
    and at the end, 480 clips each; all 480 others in the softmax."""
    recipe = config["recipes"]["vie_single"]
    transform = transform_of(recipe, "instance_recognition")
    shown = Shown.of([recipe], "single", 64)
    measured = {
        load_name("embedded", 80, transform, "train"): 2e-3,
        load_name("embedded", 80, transform, "test"): 1e-3,
        f"train supervised {shown}, 32 clips": 5e-3,
        f"test {shown}": 2e-3,
        "comparisons a second with the bank, cpu": 1e6,
    }
    wildcards = {
        "dataset": "embedded",
        "recipe": "vie_single",
        "seed": "0",
        "stage": "instance_recognition",
    }
    work = pretraining(model(config, measured), wildcards)
    clips, tested = 70 * 15 * 32, 8 * 480
    assert work.loading == pytest.approx(clips * 2e-3 + tested * 1e-3)
    compared = (clips + tested) * 480 / 1e6
    assert work.on_gpus(1) == pytest.approx(clips * 5e-3 + tested * 2e-3 + compared)


def test_local_aggregation_at_the_papers_scale(paper, model):
    """VIE-Single's 1,350,000 steps of 128 clips are 720 epochs of 1,874 steps and some: as many
    clusterings and one at the start; the monitor every 10 epochs."""
    recipe = paper["recipes"]["vie_single"]
    transform = transform_of(recipe, "local_aggregation")
    shown = Shown.of([recipe], "single", 224)
    measured = {
        load_name("kinetics400", 320, transform, "train"): 0,
        load_name("kinetics400", 320, transform, "test"): 0,
        f"train supervised {shown}, 128 clips": 0,
        f"test {shown}": 1e-4,
        "comparisons a second with the bank, cuda": 1e12,
        "comparisons a second of k-means, cuda": 1e10,
    }
    wildcards = {"dataset": "kinetics400", "recipe": "vie_single", "seed": "0"}
    work = pretraining(
        model(paper, measured, device="cuda"), wildcards | {"stage": "local_aggregation"}
    )
    clusterings = 1 + 1_350_000 // 1874
    kmeans = clusterings * 21 * 239_888 * 8000 / 1e10
    passes = 2 + (1_350_000 - 1) // 18_740
    tested = passes * 19_653 * 5
    training = 1_350_000 * 128 * 239_888 / 1e12
    assert work.computing == pytest.approx(training + tested * 1e-4)
    # The first GPU clusters for all, and each compares all of the monitor's clips.
    assert work.unshared == pytest.approx(kmeans + tested * 239_888 / 1e12)
    assert work.on_gpus(4) == pytest.approx(work.computing / 4 + work.unshared)


def test_on_a_gpu_the_slower_of_loading_and_computing_limits(config, model):
    machine = model(config, device="cuda", cores=24, cpus=24)
    assert machine.wall(Work(230, 100), 24) == (100, "computing")  # 23 workers
    assert machine.wall(Work(4600, 100), 24) == (200, "loading")
    # 5 workers for each of 4 GPUs
    assert machine.wall(Work(230, 100, 7), 24, gpus=4) == (25 + 7, "computing")
    assert machine.wall(Work(800, 100), 24, gpus=4) == (40, "loading")


def test_a_gpu_with_one_thread_waits_for_its_clips(config, model):
    """12 threads for 8 GPUs are one for each, which loads in between."""
    machine = model(config, device="cuda", cores=12, cpus=12)
    assert machine.workers(12, 8) == 0
    assert machine.wall(Work(800, 400), 12, gpus=8) == (100 + 50, "loading")
    assert machine.workers(12, 4) == 8
    assert machine.wall(Work(10, 100), 1) == (110, "computing")


def test_on_a_cpu_loading_and_computing_share_the_cores(config, model):
    machine = model(config, cores=8, cpus=2)
    assert machine.wall(Work(10, 100), 4)[0] == 110  # one thread, no workers
    assert model(config, cores=4, cpus=4).wall(Work(10, 100), 4)[0] == pytest.approx(27.5)


def test_finetuning_to_its_last_epoch(config, model, job):
    """10 epochs of 11 steps of 16 videos, 60 held out of 240, 160 tested in windows."""
    recipe = config["recipes"]["vie_single"]
    shown = Shown.of([recipe], "single", 64)
    machine = model(config, {f"train supervised {shown}, 16 clips": 1.0, f"test {shown}": 0.01})
    settings = {"target": "ucf101", "pipeline": "scale_crop", "evaluation": "scratch_single"}
    wildcards = settings | {"dataset": "embedded", "weights": "untrained", "seed": "0"}
    one = cost(machine, job("finetune", 4, **wildcards))
    windows = 5  # of 16 in 71 frames, the last overlapping
    computing = 10 * 11 * 16 * 1.0 + (10 * 60 + 160 * windows) * 0.01
    loading = one.seconds - computing - machine.start("training")
    assert 0 < loading < 0.05 * computing


def test_pretraining_leaves_network_momentum_and_bank(config, model, job):
    from vie.untrained import new_encoder

    recipe = config["recipes"]["vie_single"]
    wildcards = {"dataset": "embedded", "recipe": "vie_single", "seed": "0"}
    one = cost(model(config), job("pretrain", 4, stage="instance_recognition", **wildcards))
    numbers = sum(p.numel() for p in new_encoder(recipe, 0).parameters())
    assert one.disk == pytest.approx(4 * (2 * numbers + 480 * 128), rel=0.05)
    assert one.gpus == 0  # there is none


def test_more_seconds_for_more_epochs(config, model, job):
    longer = copy.deepcopy(config)
    longer["probe"]["schedule"]["duration"] = "10 epochs"
    wildcards = {"dataset": "embedded", "evaluation": "vie_slow", "weights": "trained", "seed": "0"}
    short, long = (cost(model(c), job("probe", 2, **wildcards)) for c in (config, longer))
    assert long.seconds > 1.3 * short.seconds
    assert long.disk == short.disk
