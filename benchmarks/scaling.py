"""Clips a second of a pretraining on 1, 2, 4, ... GPUs or cores, as shares of what one would give.

    uv run python benchmarks/scaling.py                     # all GPUs, or all cores of the CPU
    uv run python benchmarks/scaling.py --recipe vie_slow --processes 1,2,4,8

A process has one GPU, or one thread of the CPU. The whole batch is the recipe's, however many
processes share it, as in training. A step is what training does with a batch that has been loaded
(benchmarks/training.py): its gradients, its batch norm and its bank are those of the whole batch,
so it contains all that processes say to each other.

    clips/s    of the whole batch, at the median step
    speed-up   clips/s over those of the first row
    efficiency speed-up over the number of processes, with the first row as 1
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from training import ROOT, STAGE, random_batch

from vie.clips.color_jitter import ColorJitterDraws
from vie.clips.loader import Batch
from vie.config.load import load_config, merge
from vie.engine.schedules import Schedule
from vie.pretrain import Pretraining
from vie.runtime import distributed
from vie.runtime.threads import use_threads

WARM_UP = 3  # steps that are not timed


def measure(
    recipe: dict[str, Any], precision: str, instances: int, steps: int, on_gpus: int, result: Path
) -> None:
    """Seconds of steps, written to `result` by the first of the processes."""
    use_threads(1, on_gpus)
    labels, schedule = torch.zeros(instances, dtype=torch.int64), Schedule(0, steps)
    task = Pretraining(
        recipe, STAGE, schedule, labels, seed=0, steps_per_epoch=steps, precision=precision
    )
    whole = random_batch(recipe, recipe["optimiser"]["batch"], instances)
    draws = ColorJitterDraws(*map(distributed.shard, whole.color_jitter))
    part = Batch(*map(distributed.shard, whole[:3]), draws)
    seconds = []
    for step in range(WARM_UP + steps):
        began = time.perf_counter()
        task.step(step, part)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    if distributed.is_main_process():
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        result.write_text(json.dumps([name, seconds[WARM_UP:]]))


def run(processes: int, settings: dict[str, Any]) -> None:
    """`measure` in so many processes."""
    from scaling import measure as found  # of a module: the processes do not run this script again

    gpus = processes if torch.cuda.device_count() else 0
    distributed.launch(processes, found, gpus=gpus, on_gpus=gpus, **settings)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", type=Path, default=ROOT / "experiments/kinetics400.yaml")
    parser.add_argument("--recipe", default="vie_single")
    parser.add_argument("--processes", help="numbers, such as 1,2,4; default: up to all there are")
    parser.add_argument("--batch", type=int, help="clips; default: the recipe's")
    parser.add_argument("--instances", type=int, default=239_888, help="rows of the memory bank")
    parser.add_argument("--steps", type=int, default=20, help="timed steps")
    return parser.parse_args()


def main() -> None:
    """Print one line for each number of processes."""
    asked = arguments()
    config = load_config(ROOT / "config.yaml", asked.configfile)
    recipe = merge({}, config["recipes"][asked.recipe])
    recipe["optimiser"]["batch"] = batch = asked.batch or recipe["optimiser"]["batch"]
    there = torch.cuda.device_count() or os.cpu_count() or 1
    numbers = [2**power for power in range(there.bit_length())]
    if asked.processes:
        numbers = [int(number) for number in asked.processes.split(",")]
    if unfit := [number for number in numbers if batch % number]:
        sys.exit(
            f"{unfit} processes cannot share the batch of {batch}: choose --processes or --batch"
        )
    print(f"{'processes':>9}{'batch':>7}{'clips/s':>9}{'speed-up':>10}{'efficiency':>12}  device")
    first, spawn = 0.0, multiprocessing.get_context("spawn")
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder, "seconds.json")
            settings = {"recipe": recipe, "precision": config["precision"], "result": result}
            settings |= {"instances": asked.instances, "steps": asked.steps}
            # In a process of its own, as one process works where it is called.
            child = spawn.Process(target=run, args=(number, settings))
            child.start()
            child.join()
            if child.exitcode:
                sys.exit(f"with {number} processes: it failed; its message is above")
            device, seconds = json.loads(result.read_text())
        rate = batch / statistics.median(seconds)
        first = first or rate / number
        print(f"{number:>9}{batch:>7}{rate:>9.1f}{rate / first:>10.2f}", end="")
        print(f"{rate / first / number:>12.2f}  {device}", flush=True)


if __name__ == "__main__":
    main()
