"""Measure this machine: what `python -m vie.plan --measure` does before it plans.

Processes measure side by side, as many as jobs run at once, for the cores of a busy machine are
slower than one that has the memory for itself. What cores do is measured in CPU time, so that other
users of the machine do not count; what a GPU does, in wall time.
"""

import logging
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vie.clips.color_jitter import ColorJitterDraws, draw_color_jitter, normalise
from vie.clips.loader import Batch, TestClips, TrainClips
from vie.clips.sampling import Sampling
from vie.clips.transform import ClipTransform
from vie.engine.schedules import Schedule
from vie.frames.flow import decode_gray, magnitudes
from vie.frames.index import load_index
from vie.objectives.bank import nearest
from vie.objectives.clustering import kmeans
from vie.plan.datasets import Datasets
from vie.plan.model import Model, described
from vie.plan.networks import Shown, readout_widths
from vie.plan.samples import children_seconds, sample
from vie.plan.throughputs import Throughputs, cpus, load, save
from vie.pretrain import Pretraining
from vie.probe_training import Classifiers, FrozenEncoders, Probing
from vie.runtime.errors import VieError
from vie.runtime.progress import Progress
from vie.runtime.threads import use_threads

log = logging.getLogger(__name__)
Clock = Callable[[], float]
SECONDS = 0.6  # that each thing is measured for, at least
PIXELS = 4e5  # of a batch on a CPU, all its frames together: a step takes a second or so
COLOUR = {"strength": 0.4, "hue": 0.4, "grey": 0.3}
CLIPS, TESTED = 4, 3  # videos of a batch, and clips of each in testing
TEST_BATCH, WARM = 64, 1
FLOW = 25  # frames of which the optical flow is found
INSTANCES = 1000  # rows of the bank in steps that do not compare with it
BANK, DIMENSIONS, QUERIES = 50_000, 128, 64
# Vectors and clusters of k-means: with few clusters most of its time is not what the paper's 8,000
# take it for, and on a CPU these take too long.
CLUSTERED, ITERATIONS = {"cpu": (20_000, 2_000), "cuda": (100_000, 8_000)}, 3
# What a job has imported and set up before its first work; a program of Python for each.
STARTS = {
    "seconds to start training": "import vie.pretrain_monitored; from accelerate import "
    "Accelerator; from torch.utils.tensorboard import SummaryWriter; Accelerator()",
    "seconds to start a network": "import vie.untrained, vie.engine.checkpoints",
    "seconds to start a table": "import io, vie.reporting.tables, vie.reporting.plots; "
    "from matplotlib import pyplot; figure, axes = pyplot.subplots(); axes.bar([1], [1]); "
    "axes.set_title('t'); [figure.savefig(io.BytesIO(), format=f) for f in ('svg', 'png')]",
    "seconds to start anything else": "import vie.frames.manifest, vie.frames.extract",
}


def measure(model: Model, path: Path) -> Throughputs:
    """Measure what the costs of some jobs were worked out from, and keep it.

    Networks are measured where the model has them. If that is a GPU and none is here, only what
    cores do is measured.

    Args:
        model: that has worked out the costs, so that it knows what it was asked for.
        path: JSON to write; what was measured before on this machine is kept in it.
    """
    wanted = model.throughputs.device
    device = wanted if torch.cuda.is_available() else "cpu"
    known, planned = load(path), {model.config["dataset"]}
    found = dict(known.measured) if known and known.device == device else {}
    steps = [step for step in _steps(model) if device == wanted or step[0] in OF_CORES]
    if device != wanted:
        log.warning("there is no GPU here: what cores do is measured, the rest comes from defaults")
        planned = set()  # a plan for this dataset is not one for this machine
    bar = Progress(label="measure this machine", unit="things", every_seconds=3)
    bar.total = len(steps) + len(STARTS)
    pool = multiprocessing.get_context("spawn").Pool(cpus(), keep_to, (device,))
    with tempfile.TemporaryDirectory() as folder, pool, bar:
        for name, program in STARTS.items():
            found[name] = started(program, device)
            bar.update()
        threads = 1 if device == "cuda" else model.usable(model.config["threads"]["pretrain"])
        machine = Machine(device, threads, pool, Path(folder), model.datasets)
        for step, names in steps:
            found.update(step(machine, *names))
            bar.update()
    planned |= set(known.planned if known and known.device == device else ())
    result = Throughputs(device, described_machine(device), cpus(), found, sorted(planned))
    save(result, path)
    return result if device == wanted else result.elsewhere(wanted)


def keep_to(device: str) -> None:
    """Let a process that has not asked for GPUs yet see none where it should not use them."""
    os.environ.update(seeing(device))


def seeing(device: str) -> dict[str, str]:
    """What to add to the environment of a process that keeps to `device`."""
    return {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}


@dataclass
class Machine:
    """What measures.

    Attributes:
        device: where networks run.
        threads: of a network on a CPU.
        pool: a process for each CPU.
        folder: to work in.
        datasets: of the config.
        indexes: of the samples of the datasets so far.
    """

    device: str
    threads: int
    pool: Pool
    folder: Path
    datasets: Datasets
    indexes: dict[str, Path] = field(default_factory=dict)

    def everywhere(self, function: Callable[..., float], *arguments) -> float:
        """Seconds that `function` finds on every CPU at once, on average."""
        return statistics.mean(self.pool.starmap(function, [arguments] * cpus(), chunksize=1))

    def network(self, function: Callable[..., float], *arguments) -> float:
        """Seconds that `function` finds, on as many jobs at once as fit, on average."""
        times = 1 if self.device == "cuda" else max(1, cpus() // self.threads)
        arguments = (self.threads, *arguments)
        return statistics.mean(self.pool.starmap(function, [arguments] * times, chunksize=1))


def _steps(model: Model) -> Iterator[tuple[Callable, tuple]]:
    """Functions that measure what a model asked for, and their arguments."""
    asked = model.asked
    for name in dict.fromkeys(what[1] for what in asked.values() if what[0] in SAMPLED):
        yield _extraction, (name,)
    for name, (what, *rest) in asked.items():
        if what == "load":
            yield _loading, (name, *rest)
        elif what in NETWORKS:
            yield _network, (name, NETWORKS[what], *rest)
    yield _bank, ("comparisons a second with the bank", comparing_seconds)
    yield _kmeans, ("comparisons a second of k-means",)


def _extraction(machine: Machine, name: str) -> dict[str, float]:
    folder = machine.folder / name
    one = sample(name, machine.datasets, folder, cpus())
    machine.indexes[name] = one.index
    settings = described(name, machine.datasets.config["datasets"][name]["frames"])
    return {
        f"seconds to extract a video of {settings}": one.seconds,
        f"bytes of a frame of {settings}": one.jpeg_bytes,
        "seconds to find the flow of a frame": machine.everywhere(flow_seconds, one.index),
    }


def _loading(
    machine: Machine, name: str, dataset: str, split: str, transform: ClipTransform, kind: str
) -> dict[str, float]:
    index = machine.indexes[dataset]
    return {name: machine.everywhere(loading_seconds, index, transform, kind)}


def _network(machine: Machine, name: str, function: Callable, *arguments) -> dict[str, float]:
    return {name: machine.network(function, *arguments)}


def _bank(machine: Machine, name: str, function: Callable[..., float]) -> dict[str, float]:
    return {f"{name}, {machine.device}": 1 / machine.network(function)}


def _kmeans(machine: Machine, name: str) -> dict[str, float]:
    if machine.device == "cuda":
        return _bank(machine, name, clustering_seconds)
    return {f"{name}, cpu": 1 / machine.everywhere(clustering_seconds, 1)}


def started(program: str, device: str) -> float:
    """Seconds of one core that a program of Python takes, started on every CPU at once."""
    before, environment = children_seconds(), {**os.environ, **seeing(device)}
    command = [sys.executable, "-c", program]
    running = [subprocess.Popen(command, env=environment) for _ in range(cpus())]
    codes = [one.wait() for one in running]
    if any(codes):
        raise VieError(f"python -c {program!r} ends with {codes}: no start can be measured")
    return (children_seconds() - before) / len(running)


def repeated(function: Callable[[], Any], warm: int = 1, clock: Clock = time.process_time) -> float:
    """Seconds of a call by a clock, on average over some calls."""
    for _ in range(warm):
        function()
    _synchronise()
    begin, start, times = time.perf_counter(), clock(), 0
    while time.perf_counter() - begin < SECONDS:
        function()
        _synchronise()
        times += 1
    return (clock() - start) / times


def of_device() -> Clock:
    """The clock of what networks run on."""
    return time.perf_counter if torch.cuda.is_available() else time.process_time


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def loading_seconds(index: Path, transform: ClipTransform, kind: str) -> float:
    """Of one core, for a clip."""
    use_threads(1)
    torch.set_num_threads(1)
    clip = transform.sampling
    if clip.windows:  # where they lie costs nothing; how many frames are decoded does
        even = Sampling(clip.frames, (clip.span - 1) / max(clip.frames - 1, 1))
        transform = replace(transform, sampling=even)
    videos = len(load_index(index))
    order = np.resize(np.random.default_rng(0).permutation(videos), 1000 * CLIPS)
    batches = iter(order.reshape(-1, CLIPS))
    if kind == "train":
        dataset = TrainClips(index, transform, seed=0, stage="plan")
        return repeated(lambda: dataset[0, next(batches)]) / CLIPS
    dataset = TestClips(index, transform, clips=TESTED)
    return repeated(lambda: dataset[next(batches)]) / (CLIPS * TESTED)


def flow_seconds(index: Path) -> float:
    """Of one core, to find the optical flow of a frame, decoding included."""
    loaded = load_index(index)
    frames = min(FLOW, int(loaded.n_frames[0]))

    def flow() -> None:
        jpegs = loaded.read_frames(0, np.arange(frames))
        magnitudes([decode_gray(jpeg) for jpeg in jpegs])

    return repeated(flow) / frames


def random_batch(shown: Shown, batch: int) -> Batch:
    """A batch of noise, with the shapes and draws of a loaded one; on a CPU perhaps a smaller."""
    if not torch.cuda.is_available():
        batch = max(2, min(batch, int(PIXELS / (shown.frames * shown.size**2))))
    rng = np.random.default_rng(0)
    shape = (batch, 3, shown.frames, shown.size, shown.size)
    draws = zip(*(draw_color_jitter(rng, **COLOUR) for _ in range(batch)), strict=True)
    rows = torch.from_numpy(rng.choice(INSTANCES, batch, replace=False))
    return Batch(
        torch.from_numpy(rng.integers(256, size=shape, dtype=np.uint8)),
        rows,
        torch.zeros(batch, dtype=torch.int64),
        ColorJitterDraws(*(torch.from_numpy(np.stack(part)) for part in draws)),
    )


def ready(threads: int) -> None:
    """Settings of a job that runs networks."""
    use_threads(threads)
    torch.set_num_threads(threads)


def training_seconds(threads: int, shown: Shown, kind: str, recipe: dict, batch: int) -> float:
    """Of a step, for a clip."""
    ready(threads)
    recipe = {**recipe, "optimiser": {**recipe["optimiser"], "lr": 1e-6, "batch": batch}}
    labels = torch.arange(INSTANCES) % 10
    schedule = Schedule(0, 10**9)
    task = Pretraining(recipe, kind, schedule, labels, seed=0, steps_per_epoch=10**9)
    loaded = random_batch(shown, batch)
    return repeated(lambda: task.step(0, loaded), WARM, of_device()) / len(loaded.clips)


def testing_seconds(threads: int, shown: Shown) -> float:
    """Of a forward pass, for a clip."""
    ready(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = FrozenEncoders(shown.build()).to(device)
    clips = random_batch(shown, TEST_BATCH).clips

    @torch.no_grad()
    def forward() -> None:
        network.with_embedding(normalise(clips.to(device)))

    return repeated(forward, WARM, of_device()) / len(clips)


def probing_seconds(threads: int, shown: Shown, classes: int, batch: int) -> float:
    """Of a step of linear classifiers, for a clip."""
    ready(threads)
    classifiers = Classifiers(FrozenEncoders(shown.build()), readout_widths(shown), classes)
    settings = {"lr": 1e-6, "momentum": 0.9, "weight_decay": 1e-4, "batch": batch}
    task = Probing(classifiers, settings, Schedule(0, 10**9))
    loaded = random_batch(shown, batch)
    return repeated(lambda: task.step(0, loaded), WARM, of_device()) / len(loaded.clips)


def _bank_vectors(count: int = BANK) -> torch.Tensor:
    vectors = torch.randn(count, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(vectors, dim=1)


def comparing_seconds(threads: int) -> float:
    """Of comparing one embedding with one entry of a bank."""
    ready(threads)
    vectors = _bank_vectors().to("cuda" if torch.cuda.is_available() else "cpu")
    return repeated(lambda: nearest(vectors[:QUERIES], vectors, 512), 1, of_device()) / (
        QUERIES * BANK
    )


def clustering_seconds(threads: int) -> float:
    """Of comparing one vector with one centroid."""
    ready(threads)
    count, clusters = CLUSTERED["cuda" if torch.cuda.is_available() else "cpu"]
    vectors = _bank_vectors(count).numpy()
    settings = {"iterations": ITERATIONS, "threads": threads}
    seconds = repeated(lambda: kmeans(vectors, clusters, **settings), 1, of_device())
    return seconds / ((ITERATIONS + 1) * count * clusters)


def described_machine(device: str) -> str:
    """This machine in words."""
    processor = platform.processor() or platform.machine()
    where = f", {torch.cuda.get_device_name()}" if device == "cuda" else ""
    return f"{platform.node()}, {cpus()} CPUs ({processor}){where}, torch {torch.__version__}"


SAMPLED = ("extract", "load")  # what needs videos
NETWORKS = {"train": training_seconds, "test": testing_seconds, "probe": probing_seconds}
OF_CORES = (_extraction, _loading)  # steps that say the same wherever networks run
