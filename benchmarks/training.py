"""Clips a second and peak memory of one training step, network by network.

    uv run python benchmarks/training.py
    uv run python benchmarks/training.py --configfile config.yaml --batch 32 --recipes 'vie_*'

Without arguments: the recipes of experiments/kinetics400.yaml, at the paper's input sizes and with
its memory bank. A step is what training does with a batch that has been loaded: color jitter,
forward, loss of instance recognition, backward, update of weights and bank. Each recipe runs in a
process of its own, for its memory:

    clips/s  of the batch, at the median step
    peak     resident memory of the process (CPU) or allocated on the device (GPU), in GiB
    resnet18 clips/s of torchvision's ResNet-18 on the same frames as single images, in turns with
             ours in the same process: forward, backward and update, nothing else
    share    clips/s over that: what the network costs whatever the machine
"""

import argparse
import fnmatch
import functools
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vie.clips.color_jitter import ColorJitterDraws, draw_color_jitter
from vie.clips.loader import Batch
from vie.clips.transform import ClipTransform
from vie.config.load import load_config, merge
from vie.engine.schedules import Schedule
from vie.pretrain import Pretraining
from vie.runtime.threads import use_threads

ROOT = Path(__file__).parent.parent
STAGE = "instance_recognition"


def random_batch(recipe: dict[str, Any], batch: int, instances: int) -> Batch:
    """A batch of noise, with the shapes and draws of a loaded one."""
    rng = np.random.default_rng(0)
    transform = ClipTransform.of(recipe)
    size = transform.geometry.size
    shape = (batch, 3, transform.sampling.frames, size, size)
    draws = zip(
        *(draw_color_jitter(rng, **(transform.color_jitter or {})) for _ in range(batch)),
        strict=True,
    )
    rows = torch.from_numpy(rng.choice(instances, batch, replace=False))
    return Batch(
        torch.from_numpy(rng.integers(256, size=shape, dtype=np.uint8)),
        rows,
        torch.zeros(batch, dtype=torch.int64),
        ColorJitterDraws(*(torch.from_numpy(np.stack(part)) for part in draws)),
    )


class PlainResNet:
    """A training step of torchvision's ResNet-18 on the frames of the same clips."""

    def __init__(self, clips: torch.Tensor, device: torch.device) -> None:
        from torchvision.models import resnet18

        # (B, 3, T, H, W) -> (B*T, 3, H, W)
        frames = clips.transpose(1, 2).flatten(0, 1).float().div_(255)
        self.frames = frames.to(device, memory_format=torch.channels_last)
        self.network = resnet18().to(device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9)

    def step(self) -> None:
        """Forward, backward, update."""
        loss = self.network(self.frames).square().mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


def measure(
    recipe: dict[str, Any], batch: int, instances: int, steps: int, threads: int
) -> dict[str, Any]:
    """Clips a second and memory. To be called in a fresh process."""
    use_threads(threads)
    recipe["optimiser"]["batch"] = batch
    labels = torch.zeros(instances, dtype=torch.int64)
    task = Pretraining(recipe, STAGE, Schedule(0, steps), labels, seed=0, steps_per_epoch=steps)
    device = task.accelerator.device
    loaded = random_batch(recipe, batch, instances)
    for step in range(2):  # the first steps warm up
        task.step(step, loaded)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB -> GiB
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**30
    plain = PlainResNet(loaded.clips, device)
    timed(plain.step, device)
    ours, resnet = [], []
    for step in range(2, 2 + steps):
        ours.append(timed(functools.partial(task.step, step, loaded), device))
        resnet.append(timed(plain.step, device))
    return {
        "ours": batch / statistics.median(ours),
        "plain": batch / statistics.median(resnet),
        "peak": peak,
        "shape": "x".join(map(str, loaded.clips.shape[2:])),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
    }


def timed(function: Callable[[], object], device: torch.device) -> float:
    """Seconds that a call takes, until the device has done its work."""
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", type=Path, default=ROOT / "experiments/kinetics400.yaml")
    parser.add_argument("--recipes", default="vie_*", help="pattern of names")
    parser.add_argument("--batch", type=int, help="clips; default: 4 on a CPU, else the recipe's")
    parser.add_argument("--instances", type=int, default=239_888, help="rows of the memory bank")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def main() -> None:
    """Print one line per recipe."""
    asked = arguments()
    config = load_config(ROOT / "config.yaml", asked.configfile)
    names = [name for name in config["recipes"] if fnmatch.fnmatchcase(name, asked.recipes)]
    print(f"{'recipe':24}{'clip':>12}{'batch':>7}{'clips/s':>9}{'peak':>8}", end="")
    print(f"{'resnet18':>10}{'share':>8}  device, {asked.threads} threads")
    spawn = multiprocessing.get_context("spawn")
    for name in names:
        recipe = merge({}, config["recipes"][name])
        batch = asked.batch or (recipe["optimiser"]["batch"] if torch.cuda.is_available() else 4)
        with spawn.Pool(1) as pool:
            row = pool.apply(measure, (recipe, batch, asked.instances, asked.steps, asked.threads))
        print(
            f"{name:24}{row['shape']:>12}{batch:>7}{row['ours']:>9.2f}{row['peak']:>8.2f}", end=""
        )
        print(
            f"{row['plain']:>10.2f}{row['ours'] / row['plain']:>8.2f}  {row['device']}", flush=True
        )


if __name__ == "__main__":
    main()
