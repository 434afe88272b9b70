"""StopRequest for memory against hand-worked numbers and against real processes."""

import copy
import json
import subprocess
import sys

import pytest

from vie.clips.sampling import sampling
from vie.plan import memory
from vie.plan.jobs import ROOT


def test_pretraining_on_a_gpu_by_hand(paper):
    """SlowFast: 23 workers of training and 23 of the monitor. Of its batches, of 154 and 308 MB,
    one waits for each: more would be over 4 GB."""
    recipe = paper["recipes"]["vie_slowfast"]
    batch, tested = (clips * 3 * 16 * 224 * 224 / 1e6 for clips in (64, 128))
    waiting = 2 * 23 * memory.WORKER + (23 + 2) * (batch + tested)
    bank = 4 * 239_888 * 128 * 4 / 1e6
    found = memory.pretrain(paper, "kinetics400", recipe, 24)
    assert found == pytest.approx(memory.PROCESS + memory.CUDA + waiting + bank, abs=100)


@pytest.mark.parametrize(
    ("gpus", "threads", "gb"),
    [
        (4, 12, 44.0),  # 2 workers each: 4 x (2 x 600 + 10/4 x 154 + 2 x 600 + 10 x 308) MB
        (4, 16, 54.3),
        (8, 32, 106.0),
        (8, 12, 45.7),  # none: (2/8 x 154 + 2 x 308) MB each
    ],
)
def test_pretraining_on_several_gpus_by_hand(paper, gpus, threads, gb):
    """SlowFast: besides the loaders a bank of 0.49 GB and 5 GB for each process of a GPU."""
    recipe = paper["recipes"]["vie_slowfast"]
    found = memory.pretrain({**paper, "gpus": gpus}, "kinetics400", recipe, threads)
    assert found / 1000 == pytest.approx(gb, abs=0.101)  # whole hundreds of MB, rounded up


def test_more_of_everything_needs_more(paper):
    recipe = paper["recipes"]["vie_slow"]
    larger = copy.deepcopy(recipe)
    larger["optimiser"]["batch"] = 512
    least = memory.pretrain(paper, "kinetics400", recipe, 8)
    assert memory.pretrain(paper, "kinetics400", recipe, 16) > least
    assert memory.pretrain(paper, "kinetics400", larger, 8) > least
    on_cpus = {**paper, "gpus": 0}
    assert memory.pretrain(on_cpus, "kinetics400", larger, 8) > 40_000  # all activations
    frames = paper["datasets"]["kinetics400"]
    assert memory.frames(frames, 32) > memory.frames(frames, 4)
    assert memory.index(paper, "kinetics400", "train") >= memory.LEAST


def test_no_job_of_the_default_experiment_asks_for_less_than_was_measured(config):
    """Peaks of benchmarks/runs on two cores without a GPU, MB."""
    for gpus in (0, 1):
        here = {**config, "gpus": gpus}
        recipes = config["recipes"]
        assert memory.pretrain(here, "embedded", recipes["opn"], 4) > 2 * 1138
        both = [recipes["vie_single"], recipes["vie_slowfast"]]
        clip = recipes["vie_slowfast"]["clip"]
        assert memory.probe(here, "embedded", both, clip, recipes["vie_slow"], 2) > 2 * 1308
        asked = memory.finetune(here, recipes["vie_single"], "single", 64, "untrained", 4)
        assert asked > 2 * 999
        assert memory.frames(config["datasets"]["embedded"], 4) > 2 * 144


PROGRAM = """
import json, re, sys, torch
import vie.pretrain_monitored
from vie.plan.measure import random_batch, Pretraining, Schedule, Shown
from vie.plan import measure
from vie.runtime.threads import use_threads
recipe, frames, size, clips = json.loads(sys.argv[1])
use_threads(1)
measure.PIXELS = 1e12
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024 / 1e6
shown = Shown.of([recipe], recipe["clip"], size)
labels = torch.arange(measure.INSTANCES) % 10
task = Pretraining(recipe, "supervised", Schedule(0, 9), labels, seed=0, steps_per_epoch=9)
batch = random_batch(shown, clips)
before = peak()
for step in range(2):
    task.step(step, batch)
print(before, peak())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "name",
    [
        "vie_slowfast",
        pytest.param("vie_single", marks=pytest.mark.slow),
        pytest.param("vie_3dresnet", marks=pytest.mark.slow),
    ],
)
def test_training_on_a_cpu_keeps_within_what_is_asked_for(config, name):
    recipe = config["recipes"][name]
    frames, size = sampling(recipe["clip"]).frames, recipe["geometry"]["size"]
    clips = 128
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([recipe, frames, size, clips])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"CUDA_VISIBLE_DEVICES": "", "PATH": "/usr/bin:/bin"},
    )
    before, peak = map(float, done.stdout.split())
    assert before < memory.PROCESS
    asked = memory.training(recipe, clips, frames, size, gpus=0)
    assert peak - before < asked + memory.PROCESS - before
    assert peak - before > asked / 4  # and not for a multiple of it
