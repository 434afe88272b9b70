"""Memory of jobs, `mem_mb` of the rules, in MB (10^6 bytes, as Snakemake counts), and generous: a
job that asks for too much waits longer for a node, one that asks for too little is killed.

Imports neither torch nor pandas: Snakemake uses it each time it builds the job graph.
"""

import functools
import json
import math
import os
from pathlib import Path
from typing import Any

from vie.clips.sampling import sampling
from vie.config.ablations import without_ablations
from vie.config.layouts import LAYOUTS
from vie.config.settings import stages
from vie.datasets.facts import expected
from vie.datasets.holdout import COUNTS
from vie.frames.process import BYTES_PER_PIXEL
from vie.metrics.retrieval import AT_ONCE
from vie.objectives.table import facts_of, scratch_bytes
from vie.runtime.errors import VieError
from vie.runtime.threads import TEST_CLIPS, VIDEOS_AHEAD, batches_ahead, loader_workers
from vie.workflow.instances import count_instances
from vie.workflow.videos import most_videos

Config = dict[str, Any]
# A process with all imports of training (780 to 1,090 MB measured), CUDA on top of it (assumed), a
# process that loads clips, a job.
PROCESS, CUDA, WORKER, LEAST = 2000, 4000, 600, 4000
# MB that a job may ask for: anywhere, and on a machine that has less than a fourth of it.
MOST, LOCAL = 4_000_000, 64_000
# Numbers of a network of width 64, in millions, which grow with the square of the width (counted).
WEIGHTS = {"single": 11.5, "trn": 11.5, "slow": 20.1, "fast": 20.8, "slowfast": 21.7}
LARGEST_WEIGHTS = 33.3  # 3dresnet, and taken for the user's own
# Bytes that a step on a CPU keeps per input pixel and channel of the stem (9 to 15 measured).
ACTIVATIONS = 20
JPEG_BYTES = 0.35  # of a frame, per pixel: the upper end for quality 2 to 5
FFMPEG, ASPECT = 250, 16 / 9  # a process that reads video, without its frames; a frame
IMAGE = 1600  # a thread that decodes the largest image, a WebP in five copies, and its file


def videos_of(config: Config, dataset: str, split: str) -> int:
    """Videos of a split: of a generated or official dataset as it has when whole; of others as
    many as lists, folders or the manifest say, else Kinetics' number (of images ImageNet's)."""
    settings = config["datasets"][dataset]
    manifest = Path("resources", dataset, split, "manifest.parquet")
    if "generator" in settings or settings.get("official_name") in COUNTS:
        return expected(settings, split).videos
    if LAYOUTS[settings["layout"]].images:  # to count a tree of them takes seconds
        made = manifest.exists()
        return _rows(manifest) if made else expected(settings, split).videos
    known = {"datasets": {dataset: settings}, "roots": config.get("roots", {})}
    return _looked_up(json.dumps(known), dataset, split, os.getcwd())


def _rows(manifest: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(manifest).num_rows)


@functools.cache  # every job asks, and to look may take seconds
def _looked_up(known: str, dataset: str, split: str, _here: str) -> int:
    config = json.loads(known)
    most = most_videos(config, dataset, split)
    return most[0] if most else expected(config["datasets"][dataset], split).videos


def views(recipe: Config) -> int:
    """Clips of each video that the objectives of a recipe show the network, at most."""
    return max(one.n_views * one.shown for one in (facts_of(recipe, s) for s in stages(recipe)))


def loading(threads: int, gpus: int, clips: int, frames: int, size: int, shares: int = 1) -> float:
    """Of a loader: workers, uint8 batches that wait, the one in use. Where `shares` processes
    train, each has one, with its share of both; the whole batch decides how many wait."""
    workers = loader_workers(max(1, threads // shares), gpu=gpus > 0)
    batch = clips * 3 * frames * size**2 / 1e6
    waiting = workers * batches_ahead(workers, int(batch * 1e6)) if workers else 0
    return shares * workers * WORKER + (waiting + 2) * batch


def width(encoder: Config) -> int:
    """Channels of an encoder's stem, or of its two."""
    return int(encoder.get("width", 64) + encoder.get("fast_width", 0))


def dimensions_of(encoder: Config) -> int:
    """Of an encoder's embedding; for pooled features those of TRN, whose frames stand side by side,
    or at most."""
    if encoder["embedding"] != "pooled":
        return int(encoder["embedding"])
    return (8 * encoder["frames"] if encoder["network"] == "trn" else 16) * width(encoder)


def vector_numbers(encoder: Config, layers: list[str]) -> int:
    """Numbers in the vectors of a video: its embedding, and channels of feature maps.

    Conv3, conv4 and conv5 have 2, 4 and 8 times the stem's, and the slow pathway twice the fast
    one's besides.
    """
    stem = int(encoder.get("width", 64) + 2 * encoder.get("fast_width", 0))
    maps = {f"conv{stage}": 2 ** (stage - 2) * stem for stage in (3, 4, 5)}
    return sum((maps | {"embedding": dimensions_of(encoder)})[layer] for layer in layers)


def step(gpus: int, encoders: list[Config], clips: int, frames: int, size: int) -> float:
    """Of the main processes, one for each GPU, and what a training step on a CPU keeps."""
    kept = ACTIVATIONS * clips * frames * size**2 * sum(map(width, encoders)) / 1e6
    kept += 4 * sum(map(weights, encoders))
    return PROCESS * max(gpus, 1) + (CUDA * gpus or kept)


def weights(encoder: Config) -> float:
    """Of the weights of a network: also their gradients, their momentum, what is being written."""
    millions = WEIGHTS.get(encoder.get("network", ""), LARGEST_WEIGHTS)
    return float(millions * (encoder.get("width", 64) / 64) ** 2 * 4)


def pretrain(config: Config, dataset: str, recipe: Config, threads: int) -> int:
    """A stage of pretraining: bank, and two loaders (training waits while the monitor tests).

    Of several nodes, this is what one needs, with its share of a batch.
    """
    gpus, size, shares = config["gpus"], recipe["geometry"]["size"], max(config["gpus"], 1)
    nodes = config["nodes"]
    frames, batch = sampling(recipe["clip"]).frames, recipe["optimiser"]["batch"]
    encoder, videos = recipe["encoder"], videos_of(config, dataset, "train")
    if own := recipe.get("instances"):
        stored = config["datasets"][dataset]
        length = expected(stored, "train").seconds * stored["frames"]["fps"]
        videos = count_instances(own, videos, length)
    dimensions = dimensions_of(encoder)
    total = step(gpus, [encoder], batch * views(recipe) // nodes, frames, size)
    if not gpus:  # a GPU has it in its own memory
        total += max(scratch_bytes(recipe, s, videos, dimensions) for s in stages(recipe)) / 1e6
    batch *= max(facts_of(recipe, one).n_views for one in stages(recipe))
    total += 4 * videos * dimensions * 4 / 1e6  # bank, copy for k-means, checkpoint being written
    total += loading(nodes * threads, gpus, batch, frames, size, nodes * shares) / nodes
    # Each process tests in whole batches of its own.
    total += shares * loading(max(1, threads // shares), gpus, TEST_CLIPS, frames, size)
    return _rounded(total)


def probe(
    config: Config, dataset: str, recipes: list[Config], clip: Any, transform: Config, threads: int
) -> int:
    """An evaluation: a loader at a time, classifiers, outputs; a forward pass keeps little."""
    size, settings = transform["geometry"]["size"], config["probe"] | {"frames": 1}
    frames = sampling(clip).frames
    return _rounded(_probe(config, dataset, recipes, (frames, size), settings, threads))


def image_probe(
    config: Config, dataset: str, recipes: list[Config], size: int, settings: Config, threads: int
) -> int:
    """The same of images, of which there are so many that their embeddings count."""
    dimensions = sum(dimensions_of(recipe["encoder"]) for recipe in recipes)
    bank = videos_of(config, dataset, "train") * dimensions * 4 / 1e6
    return _rounded(_probe(config, dataset, recipes, (1, size), settings, threads) + bank)


def _probe(
    config: Config,
    dataset: str,
    recipes: list[Config],
    clip: tuple[int, int],
    settings: Config,
    threads: int,
) -> float:
    """`clip` is the frames and pixels of a loaded clip, `settings` are those of the classifiers."""
    gpus, (frames, size) = min(config["gpus"], 1), clip
    encoders, classes = (
        [r["encoder"] for r in recipes],
        expected(config["datasets"][dataset], "val").classes,
    )
    batch = max(settings["optimiser"]["batch"], TEST_CLIPS)
    # Numbers of conv3, conv4 and conv5 for each channel of the stem: 2/64 + 4/256 + 8/1024.
    heads = sum(map(width, encoders)) * size**2 * 7 / 128 * classes * 4 / 1e6
    outputs = videos_of(config, dataset, "val") * settings["clips"] * classes * 3 * 4 / 1e6
    total = step(gpus, encoders, batch // 4, frames * settings["frames"], size)
    total += 4 * heads + 3 * outputs
    return float(total + loading(threads, gpus, batch, frames, size))


def features(
    config: Config, dataset: str, recipes: list[Config], clip: Any, transform: Config, threads: int
) -> int:
    """Features of a dataset: one loader, a forward pass keeps little; vectors in three copies."""
    gpus, size = min(config["gpus"], 1), transform["geometry"]["size"]
    encoders, frames = [recipe["encoder"] for recipe in recipes], sampling(clip).frames
    total = step(gpus, encoders, TEST_CLIPS // 4, frames, size)
    total += 3 * vectors(config, dataset, encoders)
    return _rounded(total + loading(threads, gpus, TEST_CLIPS, frames, size))


def vectors(config: Config, dataset: str, encoders: list[Config]) -> float:
    """All vectors of all videos of a dataset."""
    shards = config["datasets"][dataset]["shards"]
    videos = sum(videos_of(config, dataset, split) for split in shards)
    layers = config["features"]["layers"]
    numbers = sum(vector_numbers(encoder, layers) for encoder in encoders)
    return videos * numbers * 4 / 1e6


def retrieval(config: Config, datasets: list[str]) -> int:
    """Rankings, sheets and maps: the largest table of features in three copies, a part of the
    similarities, their order and what is made of it."""
    recipes = without_ablations(config["recipes"]).values()
    encoders = [recipe["encoder"] for recipe in recipes]
    table = max(vectors(config, name, [one]) for name in datasets for one in encoders)
    return _rounded(PROCESS + 3 * table + 4 * AT_ONCE * 4 / 1e6)


def finetune(
    config: Config, recipes: list[Config], clip: Any, size: int, batch: int, threads: int
) -> int:
    """Finetuning: two loaders (training waits while it validates)."""
    gpus, frames = min(config["gpus"], 1), sampling(clip).frames
    encoders = [recipe["encoder"] for recipe in recipes]
    total = sum(loading(threads, gpus, clips, frames, size) for clips in (batch, TEST_CLIPS))
    return _rounded(total + step(gpus, encoders, batch, frames, size))


def pretext(config: Config, recipe: Config, threads: int) -> int:
    """Answers of a pretext network: one loader, a forward pass of at most four views."""
    gpus, size = min(config["gpus"], 1), recipe["geometry"]["size"]
    work = TEST_CLIPS, sampling(recipe["clip"]).frames, size
    return _rounded(step(gpus, [recipe["encoder"]], *work) + loading(threads, gpus, *work))


def frames(dataset: Config, threads: int) -> int:
    """Extraction: a process has an ffmpeg and `VIDEOS_AHEAD` videos, one of them of full length."""
    settings = dataset["frames"]
    if LAYOUTS[dataset["layout"]].images:
        return _rounded(500 + threads * IMAGE)
    second = settings["shorter_side"] ** 2 * ASPECT * JPEG_BYTES * settings["fps"] / 1e6
    seconds = settings["max_seconds"] + (VIDEOS_AHEAD - 1) * 10
    reading = FFMPEG + settings["max_pixels"] * BYTES_PER_PIXEL / 1e6
    return _rounded(500 + threads * (reading + seconds * second))


def index(config: Config, dataset: str, split: str) -> int:
    """Joining shards: their columns and those of the manifest, the sizes of all JPEGs."""
    frames = 10 * config["datasets"][dataset]["frames"].get("fps", 0.1)  # of an image 1
    each = 1000 + frames * 3 * 4
    return _rounded(500 + videos_of(config, dataset, split) * each / 1e6)


def _rounded(mb: float) -> int:
    return max(LEAST, math.ceil(mb / 100) * 100)


def refuse_too_much(what: str, mb: int, on_cpu: int, *, here: bool) -> None:
    """Refuse a job of the config that cannot get its memory, before any job runs.

    Args:
        what: the entry of the config whose job it is.
        mb: that the job asks for.
        on_cpu: that it would ask for without a GPU, which has less.
        here: whether it will run on this machine. What it asks for is generous, so it may be more
            than there is.

    Raises:
        VieError: no machine has so much, or this one has far less.
    """
    own = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6
    there = f"and this machine has {own / 1e3:,.0f} GB"
    if on_cpu > MOST:
        mb, there = on_cpu, "more than any machine has"
    elif not here or mb <= max(4 * own, LOCAL):
        return
    raise VieError(
        f"{what}: a job would need about {mb / 1e3:,.0f} GB of memory, {there}: choose less for "
        "batch, width, geometry.size, the frames of a clip, clips, or the dataset's frames"
    )
