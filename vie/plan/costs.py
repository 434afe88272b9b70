"""What one job of each rule costs, from the work that it has to do.

A job's seconds are a start and its work: clips loaded, networks run on them, videos extracted. What
takes less than a start (lists, tables, plots) is a start alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vie.clips.transform import ClipTransform
from vie.clips.windows import window_length
from vie.config.settings import PRETEXTS, recipes_of, resolve_steps, stages
from vie.finetune_training import PIPELINES
from vie.objectives.table import transform_of
from vie.plan.expected import expected
from vie.plan.jobs import Job
from vie.plan.memory import dimensions
from vie.plan.model import ROTATIONS, Model, Work, steps_of, total
from vie.plan.networks import Shown, parameters, readout_widths

HEADER = 512 + 256  # bytes of a JPEG in a tar besides its own: a header, and half a block of zeros
TABLE = 8.5  # bytes of a frame in the table of its shard
ROW = 60  # bytes of a video in a manifest, an index, a list of predictions
CURVES = 50_000  # bytes of TensorBoard's and other records of a training
PLOTS = 150_000  # bytes of a table and its plots
FLOAT = 4  # bytes
KEPT = 2  # numbers in a checkpoint for each of a network: itself and its momentum


@dataclass(frozen=True)
class Cost:
    """What a job takes.

    Attributes:
        seconds: from the start of its script to the end.
        cores: that it holds meanwhile.
        gpus: that it holds meanwhile.
        disk: bytes that it leaves.
        passing: bytes that it needs meanwhile, on top of these.
    """

    seconds: float
    cores: int
    gpus: int = 0
    disk: float = 0
    passing: float = 0


def cost(model: Model, job: Job) -> Cost:
    """Cost of a job."""
    return RULES[job.rule](model, job)


def light(disk: float = 0.0) -> Callable[[Model, Job], Cost]:
    """A rule that imports little and does little."""
    return lambda model, job: Cost(model.start("anything else"), 1, disk=disk)


def table(model: Model, job: Job) -> Cost:
    """A table and its plots."""
    return Cost(model.start("a table"), 1, disk=PLOTS)


def nothing(model: Model, job: Job) -> Cost:
    """A rule without a script."""
    return Cost(0, 0)


def generated(model: Model, job: Job) -> Cost:
    """Videos of an embedded dataset."""
    dataset = model.config["datasets"][job.wildcards["dataset"]]
    found = [expected(dataset, split) for split in dataset["shards"]]
    frames = sum(one.videos * one.seconds * dataset["frames"]["fps"] for one in found)
    threads = model.usable(job.threads)
    seconds = frames * model.throughputs.get("seconds to write a frame of an embedded video")
    size = frames * model.throughputs.get("bytes of a frame of an embedded video")
    return Cost(model.start("anything else") + seconds / threads, threads, disk=size)


def listed(model: Model, job: Job) -> Cost:
    """A manifest."""
    videos = _split(model, job).videos
    return Cost(model.start("anything else") + 1e-5 * videos, 1, disk=ROW * videos)


def _split(model: Model, job: Job):
    return model.datasets.split(job.wildcards["dataset"], job.wildcards["split"])


def frames(model: Model, job: Job) -> Cost:
    """A shard of frames."""
    split, name = _split(model, job), job.wildcards["dataset"]
    videos = split.videos / int(job.wildcards["shards"])
    threads = model.usable(job.threads)
    seconds = model.start("anything else") + videos * model.extract(name, split) / threads
    size = videos * split.frames * (model.jpeg_bytes(name, split) + HEADER + TABLE)
    return Cost(seconds, threads, disk=size)


def index(model: Model, job: Job) -> Cost:
    """An index."""
    split = _split(model, job)
    seconds = split.videos * model.throughputs.get("seconds to index a video")
    size = split.videos * ROW + split.all_frames * FLOAT
    return Cost(model.start("anything else") + seconds, 1, disk=size)


def motion(model: Model, job: Job) -> Cost:
    """The motion of a shard."""
    split = _split(model, job)
    here = split.all_frames / int(job.wildcards["shards"])
    threads = model.usable(job.threads)
    seconds = here * model.throughputs.get("seconds to find the flow of a frame") / threads
    return Cost(model.start("anything else") + seconds, threads, disk=here * FLOAT)


def motion_index(model: Model, job: Job) -> Cost:
    """The motion of a split."""
    split = _split(model, job)
    seconds = split.videos * model.throughputs.get("seconds to index a video")
    return Cost(model.start("anything else") + seconds, 1, disk=split.all_frames * FLOAT)


def _size(recipe: dict[str, Any]) -> float:
    """Bytes of a network."""
    (encoder,) = Shown.of([recipe], "single", 1).encoders
    return FLOAT * parameters(encoder, recipe["encoder"]["embedding"])


def untrained(model: Model, job: Job) -> Cost:
    """A network of random weights."""
    recipe = model.config["recipes"][job.wildcards["recipe"]]
    return Cost(model.start("a network"), 1, disk=_size(recipe))


def pretrain(model: Model, job: Job) -> Cost:
    """A stage of pretraining."""
    work = pretraining(model, job.wildcards)
    seconds, limit = model.wall(work, job.threads, job.gpus)
    stage, name = job.wildcards["stage"], job.wildcards["recipe"]
    model.limits[f"{name}, {stage.replace('_', ' ')}"] = (limit, work)
    recipe = model.config["recipes"][name]
    N = model.datasets.split(model.config["dataset"], "train").videos
    size = KEPT * _size(recipe) + N * dimensions(recipe) * FLOAT + CURVES
    if stage == "local_aggregation":
        size += 8 * N * recipe["objective"][stage]["clusterings"]
    start = model.start("training")
    return Cost(start + seconds, model.usable(job.threads), _gpus(model, job), size, 2 * size)


def _gpus(model: Model, job: Job) -> int:
    return job.gpus if model.on_gpu else 0


def pretraining(model: Model, wildcards: dict[str, str]) -> Work:
    """Work of a stage of pretraining: training, clustering, the monitor."""
    recipe, stage = model.config["recipes"][wildcards["recipe"]], wildcards["stage"]
    name, transform = model.config["dataset"], transform_of(recipe, stage)
    shown = Shown.of([recipe], recipe["clip"], recipe["geometry"]["size"])
    N = model.datasets.split(name, "train").videos
    batch, D = recipe["optimiser"]["batch"], dimensions(recipe)
    per_epoch = steps_of(N, batch)
    steps = resolve_steps(recipe["schedule"][stage], per_epoch)
    kind = stage if stage in PRETEXTS else "supervised"
    train = model.train(shown, kind, recipe, batch)
    parts = [(steps * batch) * Work(model.load(name, "train", transform, "train"), train)]
    if stage == "instance_recognition":
        settings = recipe["objective"][stage]
        others = N if settings["estimator"] == "softmax" else settings["negatives"]
        parts.append(Work(0, model.nearest(steps * batch, others, D)))
    if stage == "local_aggregation":
        settings = recipe["objective"][stage]
        iterations, clusters = settings["kmeans_iterations"], settings["clusters"]
        one = settings["clusterings"] * model.kmeans(N, clusters, D, iterations)
        parts.append(Work(0, model.nearest(steps * batch, N, D), (1 + steps // per_epoch) * one))
    every = resolve_steps(recipe["monitor"]["every"], per_epoch)
    passes = 2 + (steps - 1) // every if every else 2
    clips = model.datasets.split(name, "val").videos * recipe["monitor"]["clips"]
    tested = clips * Work(model.load(name, "val", transform, "test"), model.test(shown))
    parts.append(passes * (tested + Work(0, 0, model.nearest(clips, N, D))))
    return total(parts)


def _evaluation(model: Model, job: Job) -> tuple[list[dict], dict, ClipTransform, Shown]:
    """Recipes, what geometry and colour are from, the view and the networks of an evaluation."""
    evaluation = model.config["evaluations"][job.wildcards["evaluation"]]
    recipes = [model.config["recipes"][name] for name in recipes_of(evaluation)]
    source = {key: evaluation.get(key, recipes[0][key]) for key in ("geometry", "color_jitter")}
    transform = ClipTransform.of(source, evaluation["clip"])
    return (
        recipes,
        source,
        transform,
        Shown.of(recipes, evaluation["clip"], transform.geometry.size),
    )


def probe(model: Model, job: Job) -> Cost:
    """An evaluation: training of the classifiers, the test, the neighbours."""
    name, settings = model.config["dataset"], model.config["probe"]
    recipes, _, transform, shown = _evaluation(model, job)
    train, val = (model.datasets.split(name, split) for split in ("train", "val"))
    batch = settings["optimiser"]["batch"]
    steps = resolve_steps(settings["schedule"]["duration"], steps_of(train.videos, batch))
    load = model.load(name, "train", transform, "train")
    test = Work(model.load(name, "val", transform, "test"), model.test(shown))
    clips = val.videos * settings["clips"]
    # The neighbours are found on the CPU; a search is brief beside the passes over the videos.
    work = total(
        [
            (steps * batch) * Work(load, model.probe(shown, train.classes, batch)),
            clips * test,
            train.videos * test,
            Work(0, model.nearest(clips, train.videos, sum(map(dimensions, recipes)))),
        ]
    )
    seconds, _ = model.wall(work, job.threads)
    heads = sum(readout_widths(shown).values()) * train.classes
    return Cost(
        model.start("training") + seconds,
        model.usable(job.threads),
        _gpus(model, job),
        ROW * val.videos + CURVES,
        2 * KEPT * heads * FLOAT,
    )


def finetune(model: Model, job: Job) -> Cost:
    """Finetuning, to the last epoch that its schedule allows: it may well end sooner."""
    target, settings = job.wildcards["target"], model.config["finetuning"]
    name = settings["targets"][target]["dataset"]
    recipes, source, transform, shown = _evaluation(model, job)
    clip = model.config["evaluations"][job.wildcards["evaluation"]]["clip"]
    transform = PIPELINES[job.wildcards["pipeline"]](source, clip, settings["scale_crop"])
    split, parts = model.datasets.split(name, "all"), model.datasets.parts(target)
    batch = settings[job.wildcards["weights"]]["batch"]
    per_epoch = steps_of(parts.train, batch)
    steps = resolve_steps(settings["schedule"]["most"], per_epoch)
    validations = math.ceil(steps / max(resolve_steps(settings["schedule"]["every"], per_epoch), 1))
    test = Work(model.load(name, "all", transform, "test"), model.test(shown))
    train = model.train(shown, "supervised", recipes[0], batch)
    train = Work(model.load(name, "all", transform, "train"), train)
    windows = math.ceil(split.frames / window_length(transform.sampling))
    work = total(
        [
            (steps * batch) * train,
            (validations * model.datasets.validation(target) * settings["clips"]) * test,
            (parts.test * windows) * test,
        ]
    )
    seconds, _ = model.wall(work, job.threads)
    size = _size(recipes[0])
    return Cost(
        model.start("training") + seconds,
        model.usable(job.threads),
        _gpus(model, job),
        size + ROW * parts.test + CURVES,
        2 * (KEPT + 1) * size,
    )


def pretext(model: Model, job: Job) -> Cost:
    """Answers of a pretext network on validation videos."""
    name, recipe = model.config["dataset"], model.config["recipes"][job.wildcards["recipe"]]
    stage = stages(recipe)[-1]
    transform = transform_of(recipe, stage)
    shown = Shown.of([recipe], recipe["clip"], recipe["geometry"]["size"])
    clips = model.datasets.split(name, "val").videos * recipe["monitor"]["clips"]
    views = ROTATIONS if stage == "rotation" else 1
    work = clips * Work(model.load(name, "val", transform, "train"), views * model.test(shown))
    seconds, _ = model.wall(work, job.threads)
    disk = ROW * clips
    start = model.start("training")
    return Cost(start + seconds, model.usable(job.threads), _gpus(model, job), disk)


# Rule -> what a job of it costs. Every rule of the workflow has an entry.
RULES: dict[str, Callable[[Model, Job], Cost]] = {
    "all": nothing,
    "embedded_videos": generated,
    "embedded_actions": generated,
    "classes": light(ROW),
    "manifest": listed,
    "members": light(ROW),
    "frames": frames,
    "index": index,
    "motion": motion,
    "motion_index": motion_index,
    "summary": table,
    "untrained": untrained,
    "pretrain": pretrain,
    "pretext": pretext,
    "probe": probe,
    "finetune": finetune,
    "table_s1": table,
    "random_control": table,
    "table_1": table,
    "learning_curves": table,
    "pretext_table": table,
    "finetuning_table": table,
    "finetuning_classes": table,
    "publish": light(),
    "publish_plots": light(),
    "publish_classes": light(),
    "comparison": table,
    "status": light(),
}
