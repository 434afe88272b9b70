"""Kills at moments that nobody chose: final files have the bits of a run that was left alone."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.campaigns.small_workflow import (
    ASKED,
    MADE,
    PARTS,
    SECONDS,
    TARGETS,
    assert_same,
    command,
    copy_of,
    digest_of,
    jobs_of,
    remove,
    run,
    send,
    start,
)

KILLS = 5  # in a case
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
WHO = ("a job", "Snakemake", "all")


@pytest.mark.campaign(short=1, long=20)
def test_kills_of_the_workflow(campaign, left_alone):
    """Each case has `KILLS` kills; its run begins where a rule's results are gone."""
    alone, digests, seconds = left_alone

    def case(rng: random.Random, folder: Path) -> str:
        home, log = copy_of(alone, folder / "run"), folder / "log.txt"
        part = rng.choice([*PARTS.values(), None])
        gone = part or MADE
        argv = command(home, targets=[*TARGETS, *(part or ())[:1]])
        remove(home, gone)
        longest = 3 + (seconds / 8 if len(gone) > 1 else 3)
        leaders: list[int] = []  # of runs, whose jobs may go on when they were killed
        try:
            for _ in range(KILLS):
                ended = kill_once(rng, argv, log, rng.uniform(0.5, longest), leaders)
                shutil.rmtree(home / ".snakemake" / "locks", ignore_errors=True)  # --unlock
                if ended:  # before that moment: from there again
                    send(signal.SIGKILL, [job for leader in leaders for job in jobs_of(leader)])
                    remove(home, gone)
            # Snakemake leaves out what nothing that is missing needs, as shards of an index.
            finish(command(home, targets=[*TARGETS, *ASKED]), log)
        finally:
            send(signal.SIGKILL, [job for leader in leaders for job in jobs_of(leader)])
        assert_same(home, digests)
        return f"{KILLS} kills"

    campaign.run(case)


def kill_once(
    rng: random.Random, argv: list[str], log: Path, after: float, leaders: list[int]
) -> bool:
    """Run until a moment, then signal someone; whether the run ended before that.

    Its process is added to `leaders`.
    """
    process = start(argv, log)
    leaders.append(process.pid)
    try:
        process.wait(after)
        return process.returncode == 0
    except subprocess.TimeoutExpired:
        signal_one(rng, process)
        return False
    finally:
        process.kill()  # where it did not end


def signal_one(rng: random.Random, process: subprocess.Popen) -> None:
    """Signal a job, Snakemake or all, and wait for Snakemake's end."""
    own = jobs_of(process.pid)
    number, who = rng.choice(SIGNALS), rng.choice(WHO)
    chosen = {"Snakemake": [process.pid], "all": [process.pid, *own]}
    send(number, chosen.get(who, [rng.choice(own)] if own else [process.pid]))
    if who != "a job":
        process.wait(120)
    else:  # Snakemake finishes what else is running
        try:
            process.wait(rng.uniform(0, 3))
        except subprocess.TimeoutExpired:
            send(signal.SIGKILL, [process.pid])
            process.wait(60)
    if rng.random() < 0.5:  # else a new run begins while jobs of the old one go on
        send(signal.SIGKILL, jobs_of(process.pid))


def finish(argv: list[str], log: Path) -> None:
    """The command again, which must come to its end."""
    for attempt in range(3):
        try:
            run(argv, log)
            return
        except AssertionError as error:  # a job of an earlier run that goes on is named
            if "is in use by process" not in str(error) or attempt == 2:
                raise
            time.sleep(20)


@pytest.mark.campaign(short=1, long=20)
def test_kills_while_checkpoints_are_written(campaign, small_dataset, recipe, tmp_path_factory):
    """Each case has `KILLS` kills of a training of two stages, which then goes on to its end."""
    recipe["schedule"] = {"instance_recognition": "20 steps", "local_aggregation": "20 steps"}
    recipe["schedule"]["lr_drops"] = ["30 steps"]
    index = small_dataset / "train" / "index.parquet"

    def trained(home: Path, kills: int, seed: int) -> dict[str, str]:
        asked = json.dumps([recipe, str(index), str(home), kills, seed])
        argv = [sys.executable, "-m", "tests.campaigns.training", asked]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stderr[-3000:]
        kinds = (".pt", ".jsonl")
        return {one.name: digest_of(one) for one in home.iterdir() if one.suffix in kinds}

    alone = trained(tmp_path_factory.mktemp("alone"), 0, 0)
    assert len(alone) == 4

    def case(rng: random.Random, folder: Path) -> str:
        assert trained(folder, KILLS, rng.randrange(2**32)) == alone
        torn = list(folder.rglob(".*"))
        assert not torn, torn
        return f"{KILLS} kills"

    campaign.run(case)
