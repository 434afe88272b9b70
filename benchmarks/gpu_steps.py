"""What `benchmarks/gpu.py` times: steps of vie's and of plain networks, and how it times."""

import contextlib
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from training import STAGE, random_batch  # a neighbour of this file

from vie.clips.loader import Batch
from vie.engine.device import accelerator, deterministic_kernels, to_device
from vie.engine.schedules import Schedule
from vie.models.cost import network_cost
from vie.pretrain import Pretraining

VIDEOS = 239_888  # in the bank, at the paper's scale
SLOW_SECONDS = 0.5  # a call that takes longer is timed once
PROFILED = 3  # steps
GPU = torch.cuda.is_available()
Row = dict[str, Any]


def milliseconds(function: Callable[[], object], calls: int = 10) -> float:
    """Of one of several calls that follow each other without waiting, after two not counted."""
    function()
    wait()
    start = time.perf_counter()
    function()
    wait()
    if (first := time.perf_counter() - start) > SLOW_SECONDS:
        return 1e3 * first
    start = time.perf_counter()
    for _ in range(calls):
        function()
    wait()
    return 1e3 * (time.perf_counter() - start) / calls


def in_turns(calls: int, *functions: Callable[[], object]) -> list[float]:
    """Median milliseconds of each function, over three rounds in which they take turns."""
    rounds = [[milliseconds(one, calls) for one in functions] for _ in range(3)]
    return [statistics.median(each) for each in zip(*rounds, strict=True)]


def wait() -> None:
    """Until the device has done its work."""
    if GPU:
        torch.cuda.synchronize()


@contextlib.contextmanager
def free_kernels() -> Iterator[None]:
    """Kernels that need not repeat their bits: the fastest of those that are tried."""
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        deterministic_kernels()


def pinned(batch: Batch) -> Batch:
    """As the loader hands it over on a machine with a GPU."""
    if not GPU:
        return batch
    draws = batch.color_jitter
    assert draws is not None
    parts = [part.pin_memory() for part in batch[:3]]
    return Batch(*parts, type(draws)(*(torch.as_tensor(part).pin_memory() for part in draws)))


class Plain:
    """A training step of a ResNet-18 on the frames of the same clips, as one would write it."""

    def __init__(self, source: str, clips: torch.Tensor, precision: str) -> None:
        if source == "timm":
            import timm

            network = timm.create_model("resnet18")
        else:
            from torchvision.models import resnet18

            network = resnet18()
        there = accelerator(precision)
        # (B, 3, T, H, W) -> (B*T, 3, H, W)
        frames = clips.transpose(1, 2).flatten(0, 1).float().div_(255)
        self.frames = frames.to(there.device, memory_format=torch.channels_last)
        self.network = network.to(there.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9)
        self.autocast = there.autocast

    def step(self) -> None:
        """Forward, backward, update."""
        with free_kernels():
            with self.autocast():
                loss = self.network(self.frames).float().square().mean()
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()


class Step:
    """A recipe's training step on a batch of noise."""

    def __init__(self, recipe: Row, precision: str, stage: str = STAGE, videos: int = VIDEOS):
        self.recipe, batch = recipe, recipe["optimiser"]["batch"]
        labels, schedule = torch.zeros(videos, dtype=torch.int64), Schedule(0, 10**6)
        self.task = Pretraining(
            recipe, stage, schedule, labels, seed=0, steps_per_epoch=10**6, precision=precision
        )
        self.unpinned = random_batch(recipe, batch, videos)
        self.batch, self.number = pinned(self.unpinned), 0

    def __call__(self, batch: Batch | None = None) -> None:
        """One step; the first one of local aggregation clusters."""
        if self.number == 0:
            self.task.before_step(0)
        self.number += 1
        self.task.step(self.number, batch or self.batch)

    def copy(self) -> None:
        """Copy and colours alone."""
        with self.task.accelerator.autocast():
            to_device(self.batch, self.task.accelerator.device)

    def flops(self) -> float:
        """Of a step: forward, and twice as many backward."""
        clips = self.batch.clips
        encoder = json.dumps(self.recipe["encoder"])
        return 3 * len(clips) * network_cost(encoder, clips.shape[2], clips.shape[3])[0]

    def convolution_milliseconds(self) -> float:
        """Of the device in convolutions, by torch's profiler."""
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            for _ in range(PROFILED):
                self()
            wait()
        # Each operation's own time; the kernels that it starts are listed apart.
        names = ("aten::cudnn_convolution", "aten::convolution_backward")
        found = [event for event in profiler.key_averages() if event.key in names]
        return sum(event.self_device_time_total for event in found) / PROFILED / 1e3
