"""How much memory a job needs, for `mem_mb` of the rules and for the plan.

Everything is in MB (10^6 bytes, as Snakemake counts). Numbers are generous: a job that asks for too
much waits a little longer for a node, one that asks for too little is killed.

Imports neither torch nor pandas: Snakemake uses it each time it builds the job graph.
"""

import math
from typing import Any

from vie.clips.sampling import Sampling, sampling
from vie.config.settings import stages
from vie.plan.expected import UNKNOWN, expected
from vie.runtime.threads import batches_ahead

# Resident memory of a process that has imported what training imports (780 measured on a CPU),
# and on top of it what CUDA's libraries and context keep on the host (an assumption).
PROCESS, CUDA = 1000, 4000
WORKER = 600  # of a process that loads clips, what it shares with its parent counted again
TEST_CLIPS, WINDOWS = 128, 64  # of a batch in testing, as in vie.engine.predict, windows
LEAST = 4000
# Bytes that training on a CPU keeps, per pixel of the input and channel of the stem: all
# activations of a ResNet-18 and their gradients (12 to 15 measured, network by network).
ACTIVATIONS = 20
ROTATIONS = 4  # views of each clip that rotation prediction shows
FFMPEG = 250  # one process, reading video of 1080 lines
AHEAD = 4  # videos waiting per process, as in vie.frames.extract
JPEG_BYTES = 0.35  # of a frame, per pixel: the upper end for quality 2 to 5
ASPECT = 16 / 9  # of a video


def batch_mb(clips: int, frames: int, size: int) -> float:
    """Of a uint8 batch (clips, 3, frames, size, size)."""
    return clips * 3 * frames * size**2 / 1e6


def workers_of(threads: int, gpus: int) -> int:
    """Processes that load clips, as vie.runtime.threads has it."""
    return threads - 1 if gpus else threads // 4


def loading(
    threads: int, gpus: int, clips: int, frames: int, size: int, processes: int = 1
) -> float:
    """Of the workers of one loader, the batches that wait, and the one in use.

    Where several processes train, each has such a loader, and its share of `threads` and of
    every batch; how many batches wait is decided by the whole batch (vie.pretrain).
    """
    workers = workers_of(max(1, threads // processes), gpus)
    batch = batch_mb(clips, frames, size)
    waiting = workers * batches_ahead(workers, int(batch * 1e6)) if workers else 0
    return processes * workers * WORKER + (waiting + 2) * batch


def training(recipe: dict[str, Any], batch: int, frames: int, size: int, gpus: int) -> float:
    """Of what a step keeps on the host: nothing if it runs on a GPU."""
    width = recipe["encoder"].get("width", 64)
    return 0 if gpus else ACTIVATIONS * batch * frames * size**2 * width / 1e6


def process(gpus: int) -> float:
    """Of the main processes of a job, one for each GPU."""
    return PROCESS + CUDA * gpus + PROCESS * max(gpus - 1, 0)


def videos_of(config: dict[str, Any], dataset: str, split: str) -> int:
    """Videos of a split as far as the config says, else as many as Kinetics has."""
    found = expected(config["datasets"][dataset], split)
    return found.videos if found else UNKNOWN


def gpus_of(config: dict[str, Any]) -> int:
    """GPUs of a pretraining job."""
    return config.get("gpus", 1)


def pretrain(config: dict[str, Any], dataset: str, recipe: dict[str, Any], threads: int) -> int:
    """A stage of pretraining: bank and labels, two loaders (training waits while the monitor
    tests), and on a CPU the activations."""
    gpus, size = gpus_of(config), recipe["geometry"]["size"]
    frames, batch = sampling(recipe["clip"]).frames, recipe["optimiser"]["batch"]
    shown = batch * (ROTATIONS if "rotation" in stages(recipe) else 1)
    vectors = videos_of(config, dataset, "train") * dimensions(recipe) * 4 / 1e6
    total = process(gpus) + 4 * vectors  # the bank, a copy for k-means, a checkpoint being written
    processes = max(gpus, 1)
    total += loading(threads, gpus, batch, frames, size, processes)
    if recipe["monitor"]["every"]:  # each process tests in whole batches of its own
        each = max(1, threads // processes)
        total += processes * loading(each, gpus, TEST_CLIPS, frames, size)
    return _rounded(total + training(recipe, shown, frames, size, gpus))


def dimensions(recipe: dict[str, Any]) -> int:
    """Of the embedding."""
    encoder = recipe["encoder"]
    pooled = 8 * encoder.get("width", 64) + 16 * encoder.get("fast_width", 0)
    return pooled if encoder["embedding"] == "pooled" else encoder["embedding"]


def probe(
    config: dict[str, Any],
    dataset: str,
    recipes: list[dict],
    clip: Any,
    transform: dict,
    threads: int,
) -> int:
    """An evaluation: a loader (one at a time), the classifiers and their optimiser, the outputs of
    all test clips, and on a CPU a forward pass, which keeps little."""
    gpus, size = min(gpus_of(config), 1), transform["geometry"]["size"]
    frames, batch = sampling(clip).frames, config["probe"]["optimiser"]["batch"]
    found = expected(config["datasets"][dataset], "val")
    classes, videos = (found.classes, found.videos) if found else (400, UNKNOWN // 10)
    width = sum(recipe["encoder"].get("width", 64) for recipe in recipes)
    heads = 175_616 / 64 * (size / 224) ** 2 * width * classes * 4 / 1e6  # conv3, conv4 and conv5
    outputs = videos * config["probe"]["clips"] * classes * 3 * 4 / 1e6
    total = process(gpus) + 4 * heads + 3 * outputs
    total += loading(threads, gpus, max(batch, TEST_CLIPS), frames, size)
    kept = training(recipes[0], max(batch, TEST_CLIPS), frames, size, gpus) / 4
    return _rounded(total + kept * len(recipes))


def finetune(
    config: dict[str, Any], recipe: dict, clip: Any, size: int, weights: str, threads: int
) -> int:
    """Finetuning: two loaders (training waits while it validates), and on a CPU the activations."""
    gpus, frames = min(gpus_of(config), 1), sampling(clip).frames
    batch = config["finetuning"][weights]["batch"]
    total = process(gpus) + loading(threads, gpus, batch, frames, size)
    total += loading(threads, gpus, TEST_CLIPS, frames, size)
    return _rounded(total + training(recipe, batch, frames, size, gpus))


def pretext(config: dict[str, Any], recipe: dict[str, Any], threads: int) -> int:
    """Answers of a pretext network: one loader, a forward pass."""
    gpus, size = min(gpus_of(config), 1), recipe["geometry"]["size"]
    found: Sampling = sampling(recipe["clip"])
    kept = training(recipe, 64 * ROTATIONS, found.frames, size, gpus) / 4
    return _rounded(process(gpus) + loading(threads, gpus, 64, found.frames, size) + kept)


def frames(dataset: dict[str, Any], threads: int) -> int:
    """Extraction: an ffmpeg and `AHEAD` videos per process, each as long as is accepted at most
    for one in `AHEAD` and as long as usual for the others."""
    settings = dataset["frames"]
    frame = settings["shorter_side"] ** 2 * ASPECT * JPEG_BYTES / 1e6
    longest, usual = (frame * s * settings["fps"] for s in (settings["max_seconds"], 10))
    return _rounded(500 + threads * (FFMPEG + longest + (AHEAD - 1) * usual))


def index(config: dict[str, Any], dataset: str, split: str) -> int:
    """Joining shards: every row as a mapping (3 kB) in two copies, the sizes of all JPEGs."""
    videos = videos_of(config, dataset, split)
    rows = videos * (6000 + 10 * config["datasets"][dataset]["frames"]["fps"] * 3 * 4) / 1e6
    return _rounded(500 + rows)


def _rounded(mb: float) -> int:
    """Up to whole hundreds, at least `LEAST`."""
    return max(LEAST, math.ceil(mb / 100) * 100)
