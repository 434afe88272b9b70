"""The demo on a real SLURM of one node, and a training on one of two: `pytest -m slurm --runslurm`,
as root on Debian."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from vie.runtime import torch_files

pytestmark = pytest.mark.slurm
CLUSTER = Path(__file__).with_name("cluster.sh")
STAGE = "pretrain/vie_single/seed0/instance_recognition"
# Longer than the demo's, for all interruptions of a fast machine.
LONGER = (
    "recipes={vie_single: {schedule: {instance_recognition: 300 epochs, lr_drops: [294 epochs]}}}"
)


@pytest.fixture
def cluster(request):
    """SLURM, with as many nodes as the test asks for."""
    nodes = getattr(request, "param", 1)
    try:
        subprocess.run([CLUSTER, "start", str(nodes)], check=True)
        yield
    finally:
        subprocess.run([CLUSTER, "stop"], check=True)


class Run:
    """Snakemake, submitting jobs to the nodes."""

    def __init__(self, folder, *targets, config=(LONGER,), stage=f"demo/{STAGE}", overlays=()):
        self.folder, self.log = folder, folder / "snakemake.out"
        self.checkpoint = folder / f"results/{stage}.state/checkpoint.pt"
        self.messages = folder / f"logs/{stage}.log"
        command = [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm"]
        command += ["--slurm-status-command", "squeue", *overlays]
        command += [
            "--slurm-init-seconds-before-status-checks",
            "5",
            "--config",
            "seeds=[0]",
            *config,
        ]
        command += ["--", *targets]
        environment = os.environ | {"PYTHONPATH": str(folder)}
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT
            )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()

    def wait(self, what, happens, seconds=900):
        """Until `happens()` is true; gives back what it was."""
        deadline = time.monotonic() + seconds
        while not (found := happens()):
            assert self.process.poll() is None, f"{what}: {self.log.read_text()[-5000:]}"
            assert time.monotonic() < deadline, f"{what}: {self.log.read_text()[-5000:]}"
            time.sleep(0.2)
        return found

    def training(self, after):
        """Number of the job of SLURM that trains, some time after the row of step `after`."""
        self.wait(f"no row after step {after}", lambda: self.last_row() > after)
        time.sleep(random.uniform(0, 3))  # at a moment that nobody chose
        states = squeue("%i %T %k")
        jobs = [row.split()[0] for row in states if "RUNNING" in row and "rule_pretrain" in row]
        assert len(jobs) == 1, states
        return jobs[0]

    def last_row(self):
        """Step of the last whole row of metrics, or -1."""
        path = self.checkpoint.with_name("metrics.jsonl")
        rows = path.read_text().splitlines() if path.exists() else []
        return max((json.loads(row)["step"] for row in rows if row.endswith("}")), default=-1)

    def requeued(self, job, before):
        """As `resumed`, of a job that SLURM has queued again under its own number."""
        self.wait("not queued again", lambda: f"{job} PENDING" in squeue("%i %T"))
        assert "queueing job" in self.messages.read_text()
        # SLURM lets a job rest for two minutes, and would stop one with a short limit again.
        scontrol(f"JobId={job}", "TimeLimit=1440", "StartTime=now")
        return self.resumed(before)

    def resumed(self, before):
        """The step at which training went on, once it has; later than `before`."""

        def found():
            text = self.messages.read_text() if self.messages.exists() else ""
            return [int(step) for step in re.findall(r"resuming at step (\d+)", text)]

        return self.wait("not resumed", lambda: [s for s in found() if s > before])[-1]


def squeue(columns, *which):
    command = ["squeue", "--noheader", "--format", columns, *which]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def scontrol(*settings):
    subprocess.run(["scontrol", "update", *settings], check=True)


def state_of(node):
    command = ["sinfo", "--noheader", "--nodes", node, "--format", "%T"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return shown[0] if len(set(shown)) == 1 else ""


def processes_of(job):
    """Numbers of a job's processes, those of SLURM that started them first."""
    listed = subprocess.run(["scontrol", "listpids", job], capture_output=True, text=True)
    own = [line.split()[0] for line in listed.stdout.splitlines()[1:]]
    stats = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in own]
    parents = {stat[1] for stat in stats} - {*own, "1"}
    steps = [one for one in parents if "slurmstepd" in Path(f"/proc/{one}/comm").read_text()]
    return [int(one) for one in [*steps, *own]]


def take_the_node_down(run, step):
    """As when it loses its power: nothing on it goes on. Later it comes back."""
    job = run.training(after=step)
    run.wait("no checkpoint", run.checkpoint.exists)
    run.messages.unlink()
    state = Path("/run/vie-slurm")
    [node] = squeue("%N", "--job", job)
    dead = [int((state / f"{node}.pid").read_text()), *processes_of(job)]
    assert len(dead) > 2
    for process in dead:
        os.kill(process, signal.SIGKILL)
    scontrol(f"NodeName={node}", "State=DOWN", "Reason=test")
    run.wait("not queued again", lambda: f"{job} PENDING" in squeue("%i %T"))
    subprocess.run([CLUSTER, "daemon", node], check=True)
    run.wait("the node is not back", lambda: state_of(node) == "idle")
    # SLURM would wait for two minutes: its order to end the job there may still be on its way.
    time.sleep(10)
    scontrol(f"JobId={job}", "StartTime=now")
    return run.resumed(step - 1)


def interrupt(run):
    """Six times, each at another moment.

    They are time limit, preemption, signal, scancel, kill -9, and a node that is gone.
    """
    job = run.training(after=100)
    # Two minutes left: less than the ten that profiles/slurm asks to be warned before.
    [elapsed] = squeue("%M", "--job", job)
    scontrol(f"JobId={job}", f"TimeLimit={int(elapsed.split(':')[0]) + 2}")
    step = run.requeued(job, 0)

    job = run.training(after=step)
    urgent = ["sbatch", "--parsable", "--partition=urgent", "--gpus=2", "--output=/dev/null"]
    subprocess.run([*urgent, "--wrap", "sleep 2"], check=True, stdout=subprocess.DEVNULL)
    step = run.requeued(job, step)

    subprocess.run(["scancel", "--signal=USR1", run.training(after=step)], check=True)
    step = run.resumed(step)

    subprocess.run(["scancel", run.training(after=step)], check=True)
    step = run.resumed(step)

    run.training(after=step)
    run.messages.unlink()  # it may go on at the same step, if no checkpoint was written since
    script = f"{run.folder}/.snakemake/scripts/.*pretrain.py"
    found = subprocess.run(["pgrep", "-f", script], capture_output=True, text=True, check=True)
    for process in found.stdout.split():
        os.kill(int(process), signal.SIGKILL)
    step = run.resumed(step - 1)

    take_the_node_down(run, step)


def want_gres(profile):
    """Edit a profile as for a cluster that wants --gres in place of --gpus."""
    text = profile.read_text()
    wanted = re.sub(r"^( +)# (gpu: 0|gres: gpu:1) .*$", r"\1\2", text, flags=re.M)
    assert wanted.count("gpu: 0") == wanted.count("    gres: gpu:1\n") == 1
    profile.write_text(wanted)


def test_the_demo_outlives_time_limit_cancellation_kill_and_its_node(cluster, copy):
    want_gres(copy / "profiles/slurm/config.yaml")
    with Run(copy, "results/table_s1.csv") as run:
        job = run.training(after=0)
        [asked] = squeue("%b", "--job", job)  # of each node, as --gres asks and --gpus does not
        assert asked.endswith("gpu:1"), asked
        interrupt(run)
        assert run.process.wait(timeout=1200) == 0, run.log.read_text()[-5000:]
    table = pd.read_csv(copy / "results/table_s1.csv")
    models = ["TRN-Input-Single", "Slow-Input-Single", "Sf-Input-Single"]
    assert table["model"].tolist() == models
    assert (table["conv5"] > 3 * 100 / 24).all()  # chance is one of 24 classes
    metrics = (copy / f"results/demo/{STAGE}.jsonl").read_text().splitlines()
    steps = [row["step"] for row in map(json.loads, metrics) if "loss" in row]
    assert steps == sorted(set(steps))
    assert steps[0] < 100
    assert steps[-1] > 4400
    assert "slurm_logs/group_frames_frames/" in run.log.read_text()  # several shards in one job


def in_namespace(node):
    """Numbers of the processes on one of two nodes."""
    command = ["ip", "netns", "pids", node]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def is_training(process):
    command = Path(f"/proc/{process}/cmdline").read_bytes() if process else b""
    return b"multiprocessing.spawn" in command or b"spawn_main" in command


@pytest.mark.parametrize("cluster", [2], indirect=True)
def test_two_nodes_train_the_network_of_one_machine(cluster, copy):
    """And save their state when SLURM tells them to stop."""
    overlays = ["--configfile", "experiments/smoke.yaml"]
    # Two steps to compare. Later ones magnify the last bits of float32, also those of one process
    # with another number of threads.
    steps = "instance_recognition: 2 steps, local_aggregation: 5000 steps, lr_drops: []"
    config = [
        "threads={pretrain: 2}",
        f"recipes={{vie_single: {{schedule: {{{steps}}}}}}}",
    ]
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *overlays, "--config", *config]
    command += ["experiment=one", "gpus=0", "--", f"results/one/{STAGE}.pt"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # Asked for with --gres; no driver stands behind these GPUs.
    config += ["experiment=two", "nodes=2", "gpus=1"]
    then = f"two/{STAGE}".replace("instance_recognition", "local_aggregation")
    two = copy / f"results/two/{STAGE}.pt"
    settings = {"config": config, "stage": then, "overlays": overlays}
    with Run(copy, f"results/{then}.pt", **settings) as run:
        run.wait("not trained", two.exists)
        alone, shared = map(torch_files.load, (copy / f"results/one/{STAGE}.pt", two))
        for part in ("bank", "encoder"):
            for name, value in alone[part].items():
                torch.testing.assert_close(shared[part][name], value, rtol=0.005, atol=0.005)
        run.wait("no row of metrics", lambda: run.last_row() >= 2)
        for node in ("vie-node1", "vie-node2"):
            assert any(map(is_training, in_namespace(node))), node
        [job] = squeue("%i", "--states", "RUNNING")
        subprocess.run(["scancel", "--signal=USR1", job], check=True)
        run.wait("not stopped", lambda: "stopped by SIGUSR1 after" in run.messages.read_text())
        assert 2 < torch_files.load(run.checkpoint)["step"] < 5002
