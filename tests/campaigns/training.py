"""Trainings that are killed while they write a checkpoint.

    python -m tests.campaigns.training '[recipe, index, folder, kills, seed]'

They are forks of this process, which has imported everything. All but the last one are killed.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from vie.engine.resumable import Resumable
from vie.engine.run import Data, Run
from vie.pretrain import PretrainOutputs, train_stage
from vie.runtime.signals import StoppedError, resumable

STAGES = "instance_recognition", "local_aggregation"


def train(recipe: dict[str, Any], index: str, home: Path) -> None:
    """Both stages, with a checkpoint after every step."""
    Resumable.due = lambda states: True
    previous = None
    for stage in STAGES:
        outputs = PretrainOutputs(home / f"{stage}.pt", home / f"{stage}.jsonl")
        with resumable(home / f"{stage}.state") as work:
            run = Run(work, seed=1, name=stage, workers=0)
            train_stage(recipe, stage, Data(Path(index)), run, outputs, previous)
        previous = outputs.checkpoint


def kill_while_it_writes(child: int, home: Path, rng: random.Random) -> None:
    """Kill a process at a moment in or after the time in which it writes one of its checkpoints."""
    seen: set[str] = set()
    wanted = rng.randint(1, 8)
    while len(seen) < wanted:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return  # it had ended before
        seen |= {path.name for path in home.glob("*.state/.checkpoint.*")}
    time.sleep(rng.choice([0, rng.uniform(0, 0.002), rng.uniform(0, 0.02)]))
    os.kill(child, rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))


def main(recipe: dict[str, Any], index: str, folder: str, kills: int, seed: int) -> None:
    home, rng = Path(folder), random.Random(seed)
    for number in range(kills + 1):
        child = os.fork()
        if child == 0:
            try:
                train(recipe, index, home)
                os._exit(0)
            except StoppedError:
                os._exit(1)
        if number < kills:
            kill_while_it_writes(child, home, rng)
        _, status = os.waitpid(child, 0)
    sys.exit(status)


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
