"""What a run will cost, rule by rule, before it is launched.

    uv run python -m vie.workflow.estimate --configfile experiments/kinetics400.yaml -- TARGET

Jobs are those of a dry run of Snakemake. A job whose like has been run takes the seconds that that
took (benchmarks/runs); for the others they are computed. Exit status 1: the disk is too small.
"""

import argparse
import functools
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import torch
import yaml

from vie.clips.sampling import sampling
from vie.config import layouts
from vie.config.load import load_config
from vie.config.reading import check_words
from vie.config.settings import (
    dataset_folder,
    probe_of,
    recipes_of,
    resolve_steps,
    single_splits,
)
from vie.datasets.facts import expected
from vie.datasets.holdout import COUNTS
from vie.datasets.layouts import LAYOUTS
from vie.datasets.split_assignment import TRAIN
from vie.engine.schedules import finetuning_schedule
from vie.frames.index import frame_counts
from vie.models.cost import network_cost
from vie.runtime.errors import VieError
from vie.runtime.home import HOME
from vie.runtime.threads import loader_workers
from vie.workflow.estimate_costs import (
    CLIP,
    CPU,
    DEFAULT_QUALITY,
    EXTRACT,
    FLOAT,
    FLOW,
    FRAME,
    GPU,
    GPU_BANK,
    IMAGE,
    IMAGE_ASPECT,
    IMAGE_JPEG,
    INDEX,
    INPUT,
    JPEG,
    LIGHT,
    NOTES,
    RECORDS,
    ROW,
    START,
    STORED,
    VIDEO,
    WRITE,
    Work,
)
from vie.workflow.estimate_jobs import Job, jobs_of, seconds_of_like
from vie.workflow.finetuning import optimiser, schedule
from vie.workflow.image_probes import image_dataset, image_settings
from vie.workflow.instances import count_instances
from vie.workflow.paths import Experiment
from vie.workflow.resources import ASPECT, Config, vector_numbers, views
from vie.workflow.stand_ins import stand_ins
from vie.workflow.videos import annotation, are_found, most_videos

ADVICE = "make room, link resources/ or results/ to a larger disk, or lower frames.shorter_side"
# (dataset, split) -> its videos, and frames of each.
Sizes = Callable[[str, str], tuple[float, float]]


def _found(config: Config, name: str, split: str) -> int | None:
    """Videos of a split of a dataset whose videos are looked for; None: not known."""
    manifest = Path("resources", name, split, "manifest.parquet")
    if manifest.exists():
        return int(pq.read_metadata(manifest).num_rows)
    if most := most_videos(config, name, "train"):
        val: int = max(1, round(config["datasets"][name]["val_share"] * (most[0] + 1)))
        return val if split == "val" else max(1, most[0] + 1 - val)
    print(
        f"How many pieces {name} has is known once resources/{name}/train/manifest.parquet is made."
    )
    return None


class Estimator:
    """Work and seconds of jobs, with networks on GPUs or on cores.

    `sizes` says how many videos a split of a dataset has, and how many frames each; left out, they
    are looked up.
    """

    def __init__(self, config: Config, *, on_gpu: bool, sizes: Sizes | None = None) -> None:
        self.config, self.on_gpu = config, on_gpu
        self.sizes: Sizes = functools.cache(sizes or self._sizes)

    def _sizes(self, name: str, split: str) -> tuple[float, float]:
        """Videos of a split and frames of each: as indexed, else as listed or found, else as
        expected."""
        dataset, index = self.config["datasets"][name], Path("resources", name, split)
        fps = dataset["frames"].get("fps", 1)  # of images 1
        if (index / "index.parquet").exists():
            counts = frame_counts(index / "index.parquet")
            return len(counts), float(counts.mean())
        videos, _, seconds = expected(dataset, split)
        if are_found(self.config, name):
            found = _found(self.config, name, split)
            return found or videos, dataset.get("cut", {}).get("seconds", seconds) * fps
        lists = annotation(self.config, name, split)
        if "generator" not in dataset and lists.exists():
            layout, folder = LAYOUTS[dataset["layout"]], dataset_folder(self.config, name, "videos")
            videos = len((layout.listed or layout.read)(Path(folder), lists, split))
        return videos, seconds * fps

    def shown(
        self, dataset: str, evaluation: Config, trained: float, tested: float
    ) -> tuple[Work, int, int]:
        """Clips shown to the networks of an evaluation, where training costs three forward passes;
        the numbers in the networks; their dimensions. Of images, each is loaded once."""
        recipes = [self.config["recipes"][name] for name in recipes_of(evaluation)]
        geometry = evaluation.get("geometry", recipes[0]["geometry"])
        frames, size = sampling(evaluation["clip"]).frames, geometry["size"]
        frames, repeats = (1, frames) if self._has_images(dataset) else (frames, 1)
        stored = self._pixels(dataset)
        load, passing, numbers, dimensions = frames * (stored * STORED + size**2 * INPUT), 0.0, 0, 0
        for encoder in (recipe["encoder"] for recipe in recipes):
            flops, *more = network_cost(json.dumps(encoder), frames, size, repeats)
            speed = 1e12 * GPU.get(encoder["network"], GPU["single"]) if self.on_gpu else CPU
            passing += flops / speed
            numbers, dimensions = numbers + more[0], dimensions + more[1]
        load = (trained + tested) * (CLIP + load / 1e6)
        return Work(load, (3 * trained + tested) * passing), numbers, dimensions

    def _has_images(self, dataset: str) -> bool:
        return layouts.LAYOUTS[self.config["datasets"][dataset]["layout"]].images

    def _pixels(self, dataset: str) -> float:
        """Of a stored frame."""
        shorter_side: int = self.config["datasets"][dataset]["frames"]["shorter_side"]
        return shorter_side**2 * (IMAGE_ASPECT if self._has_images(dataset) else ASPECT)

    def work(self, rule: str, wild: dict[str, str]) -> Work:
        """Of a job with these wildcards."""
        wild = {"dataset": self.config["dataset"], **wild}
        known = {"pretrain": self._pretrain, "probe": self._probe, "finetune": self._finetune}
        known |= {"import_weights": self._import, "encoder": self._encoder}
        known |= {"features": self._features, "image_probe": self._image_probe}
        if rule in known:
            return known[rule](wild)
        dataset = self.config["datasets"][wild["dataset"]]
        if rule.startswith("embedded_"):
            sizes = [self.sizes(wild["dataset"], split) for split in dataset["shards"]]
            return Work(WRITE * sum(videos * frames for videos, frames in sizes))
        if "split" not in wild:
            return Work()
        videos, frames = self.sizes(wild["dataset"], wild["split"])
        videos /= int(wild.get("shards", 1))
        total, pixels = videos * frames, self._pixels(wild["dataset"])
        if rule == "frames" and self._has_images(wild["dataset"]):
            return Work(videos * IMAGE, disk=total * (pixels * IMAGE_JPEG + FRAME))
        quality = dataset["frames"].get("quality", "default")
        jpeg = pixels * JPEG * (3 / (DEFAULT_QUALITY if quality == "default" else quality)) ** 0.8
        if rule == "frames":
            extracting = videos * VIDEO + total * pixels / 1e6 * EXTRACT
            return Work(extracting, disk=total * (jpeg + FRAME))
        seconds = total * FLOW if rule == "motion" else videos * INDEX
        return Work(seconds, disk=videos * ROW + total * FLOAT)

    def _pretrain(self, wild: dict[str, str]) -> Work:
        recipe, stage = self.config["recipes"][wild["recipe"]], wild["stage"]
        sizes, batch = self.sizes(wild["dataset"], "train"), recipe["optimiser"]["batch"]
        videos = count_instances(recipe.get("instances"), *sizes)
        shown, per_epoch = {"recipe": wild["recipe"], **recipe}, max(1, int(videos // batch))
        clips = batch * resolve_steps(recipe["schedule"][stage], per_epoch)
        work, numbers, dimensions = self.shown(wild["dataset"], shown, clips, 0)
        own, pairs = recipe["objective"].get(stage, {}), 0.0
        if "clusters" in own:  # every clip is compared with the bank, every epoch clusters it
            each = own["clusterings"] * own["clusters"] * (own["kmeans_iterations"] + 1)
            pairs = videos * (clips + (1 + clips // (batch * per_epoch)) * each)
        bank = 2 * dimensions * pairs / (GPU_BANK if self.on_gpu else CPU)
        disk = FLOAT * (2 * numbers + videos * dimensions) + RECORDS
        return Work(work.load, work.compute * views(recipe) + bank, disk)

    def _import(self, wild: dict[str, str]) -> Work:
        shown = {"recipe": wild["recipe"], **self.config["recipes"][wild["recipe"]]}
        _, numbers, dimensions = self.shown(wild["dataset"], shown, 0, 0)
        videos = self.sizes(wild["dataset"], "train")[0]
        return Work(disk=FLOAT * (numbers + videos * dimensions) + RECORDS)

    def _encoder(self, wild: dict[str, str]) -> Work:
        shown = {"recipe": wild["recipe"], **self.config["recipes"][wild["recipe"]]}
        return Work(disk=FLOAT * self.shown(wild["dataset"], shown, 0, 0)[1])

    def _features(self, wild: dict[str, str]) -> Work:
        name, own = wild["dataset"], self.config["features"]
        videos = sum(
            self.sizes(name, split)[0] for split in self.config["datasets"][name]["shards"]
        )
        evaluation = self.config["evaluations"][wild["evaluation"]]
        encoders = [self.config["recipes"][one]["encoder"] for one in recipes_of(evaluation)]
        numbers = sum(vector_numbers(encoder, own["layers"]) for encoder in encoders)
        work = self.shown(name, evaluation, 0, videos * own["clips"])[0]
        return work._replace(disk=videos * (ROW + FLOAT * numbers))

    def _probe(self, wild: dict[str, str]) -> Work:
        probe = probe_of(self.config, wild["evaluation"])
        batch = probe["optimiser"]["batch"]
        train, val = (self.sizes(wild["dataset"], split)[0] for split in ("train", "val"))
        steps = resolve_steps(probe["schedule"]["duration"], max(1, int(train // batch)))
        passes = steps * batch + val * probe["clips"] + train  # the networks are frozen
        evaluation = self.config["evaluations"][wild["evaluation"]]
        return self.shown(wild["dataset"], evaluation, 0, passes)[0]

    def _image_probe(self, wild: dict[str, str]) -> Work:
        experiment = Experiment(self.config)
        probe, name = image_settings(experiment, wild["evaluation"]), image_dataset(experiment)
        batch = probe["optimiser"]["batch"]
        train, val = (self.sizes(name, split)[0] for split in ("train", "val"))
        steps = resolve_steps(probe["schedule"]["duration"], max(1, int(train // batch)))
        evaluation = self.config["evaluations"][wild["evaluation"]]
        return self.shown(name, evaluation, 0, steps * batch + val + train)[0]

    def _finetune(self, wild: dict[str, str]) -> Work:
        one = single_splits(self.config["finetuning"]["targets"])[wild["target"]]
        row, name = (wild["evaluation"], wild["weights"]), one["dataset"]
        batch = optimiser(self.config, *row)["batch"]
        given = schedule(self.config, *row, one["target"], wild["pipeline"])
        known = COUNTS.get(self.config["datasets"][name].get("official_name"), {})
        videos, _ = self.sizes(name, "all")
        train = min(videos, known.get(TRAIN, 0.7 * videos))
        steps = finetuning_schedule(given, max(1, int(train // batch))).last
        evaluation = self.config["evaluations"][wild["evaluation"]]
        work, numbers, _ = self.shown(name, evaluation, steps * batch, 0)
        return work._replace(disk=FLOAT * numbers + RECORDS)

    def seconds(self, job: Job, work: Work) -> float:
        """That a job takes; on a GPU, clips are loaded while it computes."""
        if not (work.compute and self.on_gpu):
            return float((START if work.compute else LIGHT) + sum(work[:2]) / job.threads)
        gpus = max(job.gpus, 1)
        workers = loader_workers(max(1, job.threads // gpus), gpu=True) or 1
        return float(START + max(work.compute, work.load / workers) / gpus)


def disks(every: pd.DataFrame) -> list[str]:
    """Print what is needed and free on every disk; sentences on those that are too small."""
    short = []
    for _, jobs in every.groupby(every["folder"].map(lambda path: path.stat().st_dev)):
        path, needed = min(jobs["folder"]), jobs["disk, GB"].sum()
        free = 0.98 * shutil.disk_usage(path).free / 1e9  # a fiftieth is left alone
        print(f"Disk: {needed:,.1f} GB needed in {path}, {free:,.1f} GB free.")
        if needed > free:
            short.append(f"not enough disk: {path} lacks {needed - free:,.1f} GB; {ADVICE}")
    return short


def estimate(asked: argparse.Namespace) -> int:
    """Print the estimate; the exit status."""
    check_words(asked.configfile, asked.config)
    with tempfile.TemporaryDirectory() as temporary:
        pairs, absent = (Path(temporary, name) for name in ("--config.yaml", "absent.yaml"))
        pairs.write_text("\n".join(pair.replace("=", ": ", 1) for pair in asked.config) or "{}")
        config = load_config(HOME / "config.yaml", *asked.configfile, pairs)
        absent.write_text(yaml.safe_dump(stand_ins(config, Path(temporary))))
        options = ["--snakefile", str(HOME / "Snakefile")]
        # A dry run has one core, also for jobs of a cluster, if none are named.
        options += ["--cores", str(max(config["threads"].values()))]
        options += ["--profile", asked.profile] if asked.profile else []
        options += ["--configfile", *map(str, asked.configfile), str(pairs), str(absent)]
        options += ["--forceall"] * asked.forceall
        jobs = jobs_of([*options, "--", *asked.targets])
    if not jobs:
        print("Nothing to be done. --forceall counts what is done, too.")
        return 0
    likely = torch.cuda.is_available() or "generator" not in config["datasets"][config["dataset"]]
    estimator = Estimator(config, on_gpu=likely and config["gpus"] > 0)
    rows, finished = [], 0
    for job in jobs:
        work, like = estimator.work(job.rule, job.wildcards), seconds_of_like(job.benchmark)
        finished += like is not None
        hours = (estimator.seconds(job, work) if like is None else like) / 3600
        held = hours * job.threads, hours * job.gpus * estimator.on_gpu
        folder = next(path for path in Path(job.output).resolve().parents if path.exists())
        rows.append((folder, job.rule, 1, work.disk / 1e9, job.memory_mb / 1000, *held))
    columns = ["folder", "rule", "jobs", "disk, GB", "memory, GB", "CPU-hours", "GPU-hours"]
    every = pd.DataFrame(rows, columns=columns)
    how = dict.fromkeys(columns[2:], "sum") | {"memory, GB": "max"}
    table = every.groupby("rule", sort=False).agg(how)
    table.loc["total"] = every.agg(how)
    print(table.astype({"jobs": int}).to_string(float_format="{:,.2f}".format))
    print(f"{finished} of {len(jobs)} jobs take as long as finished ones did.{NOTES}\n")
    short = disks(every)
    sys.stderr.write("".join(f"{sentence}\n" for sentence in short))
    return 1 if short else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; errors are for the user."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="files to make; default: all tables")
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="overlays")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="single keys")
    parser.add_argument("--profile", help="whose threads, GPUs and nodes jobs have")
    parser.add_argument("--forceall", action="store_true", help="count what is done already too")
    try:
        return estimate(parser.parse_args(argv))
    except (VieError, OSError, yaml.YAMLError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
