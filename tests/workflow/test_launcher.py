"""profiles/slurm/launch.sh, with commands in place of uv's and SLURM's that write down all."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "profiles/slurm/launch.sh"
# Snakemake goes on until it is interrupted, if the test says so.
UV = """#!/usr/bin/env python3
import os, sys, time
record = open("said", "a")
print("uv", *sys.argv[1:], sep="\\t", file=record, flush=True)
if os.environ.get("LONG") and "--unlock" not in sys.argv:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""
OTHER = """#!/usr/bin/env bash
printf '%s\\n' "$(basename "$0")"$'\\t'"$*" >>said
if [ "$(basename "$0")" = squeue ]; then printf '%s\\n' '8 vie-launch-7_ab' '9 vie-launch-77_cd'; fi
"""


@pytest.fixture
def launch(tmp_path):
    """Starts the script with arguments and variables."""
    for name in ("uv", "scontrol", "scancel", "squeue"):
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(UV if name == "uv" else OTHER)
        command.chmod(0o755)

    def start(*arguments, **variables):
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "SLURM_JOB_ID": "7"} | variables
        return subprocess.Popen([LAUNCH, *arguments], cwd=tmp_path, env=environment)

    return start


def said(folder):
    path = folder / "said"
    return [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []


def test_its_command_is_one_of_snakemake(launch, tmp_path):
    given = ["--configfile", "experiments/kinetics 400.yaml", "--", "results/table_s1.csv"]
    assert launch(*given).wait(60) == 0
    [[uv, run, no_sync, snakemake, *arguments]] = said(tmp_path)
    assert [uv, run, no_sync, snakemake] == ["uv", "run", "--no-sync", "snakemake"]
    parsed = get_argument_parser().parse_args(arguments)
    assert [(ROOT / one / "config.yaml").exists() for one in parsed.profile] == [True]
    assert parsed.slurm_jobname_prefix == "vie-launch-7"
    assert parsed.configfile == [Path("experiments/kinetics 400.yaml")]
    assert parsed.targets == ["results/table_s1.csv"]


@pytest.mark.parametrize(
    ("number", "then"),
    [(signal.SIGUSR1, [["scontrol", "requeue 7"]]), (signal.SIGTERM, [])],
    ids=["time limit", "scancel"],
)
def test_a_signal_stops_snakemake_and_one_of_them_queues_again(launch, tmp_path, number, then):
    running = launch("all", LONG="yes")
    deadline = time.monotonic() + 60
    while not said(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(number)
    assert running.wait(60) == 1
    assert said(tmp_path)[1:] == then


def test_a_suspended_snakemake_is_waited_for(launch, tmp_path):
    running = launch("all", LONG="yes")
    deadline = time.monotonic() + 60
    while not said(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text()
    for number in (signal.SIGSTOP, signal.SIGCONT):
        os.kill(int(children), number)
        time.sleep(0.5)
        assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 1


def test_a_second_time_begins_with_the_jobs_and_the_lock_of_the_first(launch, tmp_path):
    assert launch("all", SLURM_RESTART_COUNT="1").wait(60) == 0
    queue, cancelled, unlocked, ran = said(tmp_path)
    assert queue[0] == "squeue"
    assert cancelled == ["scancel", "8"]  # not the job of launch 77
    assert [*ran[:-1], "--unlock", "all"] == unlocked
