"""How long pieces of work take: loading, training, testing, clustering, comparing with the bank."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vie.clips.transform import ClipTransform
from vie.plan.datasets import Datasets, Split
from vie.plan.networks import Shown, forward_flops, readout_widths, train_flops
from vie.plan.throughputs import Throughputs

NARROW = 32  # channels of a stem below which a CPU does fewer operations a second
ROTATIONS = 4  # views of a clip that rotation prediction shows
DRAWS = 32  # crops drawn to know how large frames are decoded, on average
QUALITY = 0.8  # bytes fall with this power of ffmpeg's scale: a photograph between 2 and 10
FRACTIONS = (8, 4, 2, 1)  # of their size at which JPEGs are decoded, as in vie.frames.jpeg


@dataclass(frozen=True)
class Work:
    """Something that a job does with clips.

    Attributes:
        loading: seconds of one core to load the clips.
        computing: seconds of one core, or of one GPU.
        unshared: the same, of what is not faster on several GPUs: the first does it while the
            others wait, or each does all of it.
    """

    loading: float
    computing: float
    unshared: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.loading + other.loading,
            self.computing + other.computing,
            self.unshared + other.unshared,
        )

    def __rmul__(self, times: float) -> "Work":
        return Work(times * self.loading, times * self.computing, times * self.unshared)

    def on_gpus(self, gpus: int) -> float:
        """Seconds that so many GPUs compute."""
        return self.computing / gpus + self.unshared


@dataclass
class Model:
    """What costs are worked out from.

    Attributes:
        config: checked.
        datasets: their sizes.
        throughputs: of the machine.
        cores: that local jobs share, as Snakemake's --cores.
        cpus: that they really have.
        limits: recipe and stage -> what limits its training, for the notes.
        asked: name of a throughput of a single network, clip or dataset -> what would measure it,
            as arguments of a function of `measure`, its name first.
    """

    config: dict[str, Any]
    datasets: Datasets
    throughputs: Throughputs
    cores: int
    cpus: int
    limits: dict[str, tuple[str, Work]] = field(default_factory=dict)
    asked: dict[str, tuple] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        """Whether networks run on GPUs."""
        return self.throughputs.device == "cuda"

    def usable(self, threads: int) -> int:
        """Threads that a job really has, as `vie.runtime.threads.usable` finds them."""
        at_once = max(1, max(self.cpus, self.cores) // threads)
        return max(1, min(threads, self.cpus // at_once))

    def wall(self, work: Work, threads: int, gpus: int = 1) -> tuple[float, str]:
        """Seconds that work takes, and which part of it limits.

        On a GPU, all threads but one load clips while it computes; on a CPU as
        `vie.runtime.threads` has it. Computing is as many times as fast on as many threads. GPUs
        share the threads, and each loads its own clips: one whose process has a single thread
        waits while that loads.
        """
        processes = max(gpus, 1) if self.on_gpu else 1
        workers, threads = self.workers(threads, processes), self.usable(threads)
        computing = work.on_gpus(processes) if self.on_gpu else work.on_gpus(1) / threads
        loading = work.loading / (workers or processes)
        limit = "loading" if loading > computing else "computing"
        if not workers:
            return loading + computing, limit
        # On a CPU loading and computing have the same cores.
        both = 0 if self.on_gpu else (work.loading + work.on_gpus(1)) / threads
        return max(loading, computing, both), limit

    def workers(self, threads: int, gpus: int = 1) -> int:
        """Processes that load clips, those for all GPUs of a job (`vie.runtime.threads`)."""
        if not self.on_gpu:
            return self.usable(threads) // 4
        gpus = max(gpus, 1)
        return gpus * (self.usable(max(1, threads // gpus)) - 1)

    def get(self, name: str, otherwise: Callable[[], float], *measured_by) -> float:
        """A throughput that is measured for itself, else worked out of others."""
        self.asked[name] = measured_by
        return self.throughputs.get(name, otherwise)

    def load(self, dataset: str, split: str, transform: ClipTransform, kind: str) -> float:
        """Seconds of one core to load a clip; `kind` is "train" or "test"."""
        side = self.config["datasets"][dataset]["frames"]["shorter_side"]

        def otherwise() -> float:
            pixels = self.aspect * decoded_share(transform, kind, side) * side**2
            pixels += transform.geometry.size**2
            frame = self.throughputs.get("seconds to load a frame")
            frame += self.throughputs.get("seconds to load a megapixel") * pixels / 1e6
            return (
                self.throughputs.get("seconds to load a clip") + transform.sampling.frames * frame
            )

        name = load_name(dataset, side, transform, kind)
        return self.get(name, otherwise, "load", dataset, split, transform, kind)

    def train(self, shown: Shown, kind: str, recipe: dict[str, Any], batch: int) -> float:
        """Device seconds of a training step, per clip.

        `kind` is a stage: the objective whose own cost is not worked out apart.
        """
        times = ROTATIONS if kind == "rotation" else 1
        return self.get(
            f"train {kind} {shown}, {batch} clips",
            lambda: times * train_flops(shown) / self.speed("training", shown),
            *("train", shown, kind, recipe, batch),
        )

    def test(self, shown: Shown) -> float:
        """Device seconds of a forward pass of a clip."""
        return self.get(
            f"test {shown}",
            lambda: forward_flops(shown) / self.speed("testing", shown),
            *("test", shown),
        )

    def probe(self, shown: Shown, classes: int, batch: int) -> float:
        """Device seconds of a step of linear classifiers, per clip."""

        def otherwise() -> float:
            # Forward, and gradients of the classifiers' weights alone.
            heads = 2 * 2 * sum(readout_widths(shown).values()) * classes
            return self.test(shown) + heads / self.speed("testing", shown)

        name = f"probe {shown}, {classes} classes, {batch} clips"
        return self.get(name, otherwise, "probe", shown, classes, batch)

    def speed(self, doing: str, shown: Shown) -> float:
        """Operations a second."""
        narrow = "narrow, " if shown.width < NARROW and not self.on_gpu else ""
        name = f"operations a second in {doing}, {narrow}{self.throughputs.device}"
        return self.throughputs.get(name)

    def nearest(self, queries: float, vectors: int, dimensions: int) -> float:
        """Device seconds to compare embeddings with a bank, its dimensions 128."""
        name = f"comparisons a second with the bank, {self.throughputs.device}"
        return queries * vectors * (dimensions / 128) / self.throughputs.get(name)

    def kmeans(self, vectors: int, clusters: int, dimensions: int, iterations: int) -> float:
        """Device seconds of one clustering: its iterations and the last assignment."""
        name = f"comparisons a second of k-means, {self.throughputs.device}"
        times = (iterations + 1) * vectors * clusters * (dimensions / 128)
        return times / self.throughputs.get(name)

    def start(self, what: str) -> float:
        """Seconds until a job of a kind does its first work."""
        return self.throughputs.get(f"seconds to start {what}")

    def jpeg_bytes(self, dataset: str, split: Split) -> float:
        """Of a frame."""
        settings = self.config["datasets"][dataset]["frames"]

        def otherwise() -> float:
            if split.jpeg_bytes:
                return split.jpeg_bytes
            pixel = self.throughputs.get("bytes of a pixel at quality 3")
            return self.frame_pixels(settings) * pixel * (3 / settings["quality"]) ** QUALITY

        name = f"bytes of a frame of {described(dataset, settings)}"
        return self.get(name, otherwise, "extract", dataset)

    @property
    def aspect(self) -> float:
        """Of a stored frame, its longer side by its shorter one."""
        return self.throughputs.get("longer by shorter side of a frame")

    def frame_pixels(self, settings: dict[str, Any]) -> float:
        """Of a stored frame."""
        return settings["shorter_side"] ** 2 * self.aspect

    def extract(self, dataset: str, split: Split) -> float:
        """Seconds of one core to extract a video."""
        settings = self.config["datasets"][dataset]["frames"]

        def otherwise() -> float:
            pixels = split.frames * self.frame_pixels(settings)
            megapixel = self.throughputs.get("seconds to extract a megapixel")
            return self.throughputs.get("seconds to extract a video") + pixels / 1e6 * megapixel

        name = f"seconds to extract a video of {described(dataset, settings)}"
        return self.get(name, otherwise, "extract", dataset)


def decoded_share(transform: ClipTransform, kind: str, shorter_side: int) -> float:
    """How much of decoding a whole JPEG is done for a frame, on average over crops."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(DRAWS if kind == "train" else 1):
        crop = (
            transform.geometry.train_crop(rng)
            if kind == "train"
            else transform.geometry.centre_crop()
        )
        least = transform.geometry.size / crop.scale
        fraction = next((f for f in FRACTIONS if shorter_side / f >= least), 1)
        # Entropy decoding, about half of the work, is spared by no fraction.
        shares.append(0.5 + 0.5 / fraction**2)
    return float(np.mean(shares))


def described(dataset: str, settings: dict[str, Any]) -> str:
    """A dataset and what decides how its frames are stored."""
    return (
        f"{dataset} ({settings['shorter_side']} pixels, quality {settings['quality']}, "
        f"{settings['fps']:g} fps)"
    )


def load_name(dataset: str, side: int, transform: ClipTransform, kind: str) -> str:
    """Name of the throughput of loading a clip."""
    geometry = transform.geometry
    sides = getattr(geometry, "train_shorter_side", None) or getattr(geometry, "scales", "")
    if kind == "test":
        sides = getattr(geometry, "test_shorter_side", "all")
    jitter = f", jitter {transform.frame_shift}" if transform.frame_shift else ""
    clip = transform.sampling
    where = f"windows {clip.windows}" if clip.windows else f"stride {clip.stride:g}"
    cut = f"{geometry.size} of {sides}{jitter}"
    return f"load {kind} {dataset} {side}: {clip.frames} frames, {where}, {cut}"


def total(works: Sequence[Work]) -> Work:
    """Of several pieces."""
    return sum(works, Work(0, 0))


def steps_of(videos: int, batch: int) -> int:
    """Complete batches in an epoch, at least one: whether they fit is for the job to say."""
    return max(1, videos // batch)


def top_folder(output: str) -> str:
    """resources or results: the part of the workflow's folder that a file lies in."""
    return Path(output).parts[0]
