"""What is left behind by long trainings, and by loading processes that are killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from functools import partial

import pytest

from tests.loading import JOBS, TOGETHER
from tests.processes import kill_worker, start_job
from vie.runtime import torch_files

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS)
ENDING = ("features", "pretext", "motion", "embedded")
SENTENCE = re.compile(r"ERROR: (a process that loads data|one of \d+ processes of this job) ")


@pytest.mark.campaign(short=6, long=50)
def test_killed_loading_processes(campaign, small_dataset, recipe):
    """The job ends within 30 s, says why, keeps its state, and leaves no process."""

    def case(rng, folder):
        name = rng.choice([*JOBS, *JOBS, TOGETHER])
        workers = rng.randint(2, 4 if name == TOGETHER else 12)
        # Those that come to an end have to be slow enough to be met before it.
        least, most = (1, 2) if name in ENDING else (0.02, 4)
        slow, after = rng.uniform(least, 2), rng.uniform(0, most)
        by = rng.choice(SIGNALS)
        job = start_job(name, small_dataset, folder, recipe, workers=workers, slow=slow)
        about = f"{name}, {workers} workers, {slow:.2f} s a clip, {by.name} after {after:.1f} s"
        try:
            took = kill_worker(job, folder, rng.choice, after=after, by=by)
        except AssertionError as error:
            raise AssertionError(f"{about}: {error}") from None
        told = (folder / "stderr").read_text()
        assert took < 30, f"{about}: {took:.0f} s"
        assert job.returncode == 1, f"{about}: exit code {job.returncode}"
        assert SENTENCE.search(told), f"{about}: {told[-500:]}"
        assert "Traceback" not in told, f"{about}: {told[-1500:]}"
        for checkpoint in (folder / "state").glob("*.pt"):
            torch_files.load(checkpoint)
        return name

    campaign.run(case)


MEASURED = """
    import json, sys
    from pathlib import Path
    from tests.loading import data_of
    from vie.engine.run import Run
    from vie.pretrain import PretrainOutputs, Pretraining, train_stage

    folder, dataset, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    recipe = json.loads((folder / "recipe.json").read_text())
    recipe["schedule"] = {"instance_recognition": f"{steps} steps", "lr_drops": []}
    recipe["monitor"]["every"] = sys.argv[4]
    step = Pretraining.step

    own = Path("/proc/self")

    def shared():
        lines = (line for line in (own / "maps").read_text().splitlines() if "/dev/shm/" in line)
        ends = ([int(end, 16) for end in line.split()[0].split("-")] for line in lines)
        return sum(last - first for first, last in ends)

    def children_of(thread):
        try:
            return (thread / "children").read_text().split()
        except OSError:  # it has just ended
            return []

    def measure(self, number, batch):
        if number % (steps // 15) == 0:
            tasks = list((own / "task").iterdir())
            children = [child for one in tasks for child in children_of(one)]
            rss = int((own / "statm").read_text().split()[1]) * 4096
            handles = len(list((own / "fd").iterdir()))
            print(rss, shared(), handles, len(tasks), len(children), flush=True)
        return step(self, number, batch)

    Pretraining.step = measure
    outputs = PretrainOutputs(folder / "ir.pt", folder / "ir.jsonl")
    run = Run(folder / "state", seed=1, name="leaks", gpus=0, workers=2)
    train_stage(recipe, "instance_recognition", data_of(dataset), run, outputs)
"""
# What a row of it has, and how much more of it may be there in the end than after a third.
ROW = {"bytes of memory": 48 * 10**6, "bytes of /dev/shm": 16 * 10**6}
ROW |= {"descriptors": 12, "threads": 6, "processes": 4}


@pytest.mark.campaign(short=1, long=1)
def test_memory_of_a_long_training(campaign, small_dataset, recipe):
    """Thousands of steps of one loader."""
    steps = 3000 if campaign.size == "long" else 300
    campaign.run(partial(trains_flatly, small_dataset, recipe, steps, "999999 steps"))


@pytest.mark.campaign(short=1, long=1)
def test_memory_of_restarted_loaders(campaign, small_dataset, recipe):
    """The monitor starts its own at every epoch, of which each has four steps."""
    epochs = 100 if campaign.size == "long" else 15
    campaign.run(partial(trains_flatly, small_dataset, recipe, 4 * epochs, "1 epochs"))


def trains_flatly(dataset, recipe, steps, every, rng, folder):
    """A case: one training, measured 15 times."""
    (folder / "recipe.json").write_text(json.dumps(recipe))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURED), folder, dataset, str(steps), every],
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    early, late = rows[3:6], rows[-3:]
    for column, (what, most) in enumerate(ROW.items()):
        grown = min(row[column] for row in late) - max(row[column] for row in early)
        assert grown < most, f"{grown} more {what}: {rows}"
    shutil.rmtree(folder)
    return "flat"
