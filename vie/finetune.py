"""Finetuning from its network to its predictions: what the workflow's rule `finetune` does."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import nn

from vie.clips.transform import ClipTransform
from vie.clips.windows import window_length
from vie.datasets.split_assignment import HELD_OUT, TEST, TRAIN, SplitRow, read_split_assignment
from vie.engine import checkpoints
from vie.engine.predict import class_probabilities, predict_clips, predict_windows
from vie.finetune_training import Finetuning, train_finetuned
from vie.frames.index import Index, load_index
from vie.frames.manifest import read_classes
from vie.metrics.top_k import top_k
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write, digest, write_json
from vie.runtime.threads import use_threads

log = logging.getLogger(__name__)


def instances_of(index: Index, members: Sequence[SplitRow]) -> dict[str, np.ndarray]:
    """{part: instances (V,)} of the usable videos of a split; the log names the others.

    Raises:
        VieError: a part for training or testing has no usable video.
    """
    place = {video: i for i, video in enumerate(index.videos.to_pylist())}
    parts: dict[str, list[int]] = {TRAIN: [], HELD_OUT: [], TEST: []}
    absent = []
    for member in members:
        if member.video in place:
            parts[member.subset].append(place[member.video])
        else:
            absent.append(f"{member.video} ({member.subset})")
    if absent:
        log.warning(
            "%d videos of the split were rejected and take no part: %s",
            *(len(absent), ", ".join(absent[:10]) + (" ..." if len(absent) > 10 else "")),
        )
    for part in (TRAIN, TEST):
        if not parts[part]:
            raise VieError(f"no {part} video of the split is in {index.path}")
    return {part: np.array(sorted(found), dtype=np.int64) for part, found in parts.items()}


def finetune(
    checkpoint: Path,
    transform: ClipTransform,
    optimiser: dict,
    settings: dict,
    *,
    index: Path,
    members: Path,
    classes: Path,
    seed: int,
    name: str,
    known: dict,
    best: Path,
    predictions: Path,
    facts: Path,
    metrics: Path,
    work: Path,
    code: str,
    threads: int,
    gpus: int = 1,
    precision: str = "float32",
) -> None:
    """Train a network on the training videos of a split, test the best one on its test videos.

    Args:
        checkpoint: of the network to start from.
        transform: clips and preprocessing.
        optimiser: `finetuning.trained` or `finetuning.untrained` of the config.
        settings: `finetuning` of the config: schedule, validation, clips.
        index: index.parquet of all videos of the dataset.
        members: CSV of the split.
        classes: classes.csv.
        seed: of the training.
        name: shown with the progress.
        known: what else is written to the facts.
        best: checkpoint to write: the network that validated best, and what it needs to be used.
        predictions: Parquet to write: video, group, label, top1 (class), top5 (whether the label
            is among the five most probable classes).
        facts: JSON to write: everything that decides whether published values are comparable.
        metrics: JSON lines to write.
        work: folder of what a run in progress needs.
        code: fingerprint of the code.
        threads: that may be used.
        gpus: 0 keeps to the CPU.
        precision: as for `vie.engine.device.accelerator`.
    """
    workers = use_threads(threads, gpus)
    videos, labels = load_index(index), read_classes(classes)
    listed = read_split_assignment(members)
    parts = instances_of(videos, listed)
    watched = parts[TEST] if settings["validation"] == "test" else parts[HELD_OUT]
    if not len(watched):
        raise VieError(
            f"{members}: no video is held out for validation: raise finetuning.held_out, or set "
            "finetuning.validation to test"
        )
    task = train_finetuned(
        checkpoint,
        optimiser,
        settings["schedule"],
        transform,
        index,
        parts[TRAIN],
        classes=len(labels),
        validate=_validation(index, transform, watched, settings["clips"], workers),
        depends={"code": code, "members": digest(members), "clips": settings["clips"]},
        seed=seed,
        label=name,
        tensorboard=predictions.parent / "tensorboard",
        work=work,
        workers=workers,
        precision=precision,
    )
    network = task.network()
    probabilities = predict_windows(
        network,
        index,
        transform,
        parts[TEST],
        device=next(network.parameters()).device,
        workers=workers,
        label=f"{name} test",
    )
    groups = {member.video: member.group for member in listed}
    _write_predictions(videos, parts[TEST], groups, probabilities, predictions)
    content = checkpoints.load(checkpoint)
    counts = {f"n_{part}": len(found) for part, found in parts.items()}
    write_json(
        {**known, **counts, **_facts(content, videos, task), "seed": seed}
        | {
            "classes": len(labels),
            "validation": settings["validation"],
            "schedule": settings["schedule"],
            "optimiser": optimiser,
            "sampling": asdict(transform.sampling),
            "window": window_length(transform.sampling),
            "size": transform.geometry.size,
        },
        facts,
    )
    with atomic_write(metrics) as temporary:
        shutil.copyfile(work / "metrics.jsonl", temporary)
    checkpoints.save(
        best,
        {
            "recipe": content["recipe"],
            "network": task.best,
            "classes": labels,
            "step": task.plateau.best_step,
            "transform": repr(transform),
        },
    )


def _validation(
    index: Path, transform: ClipTransform, videos: np.ndarray, clips: int, workers: int
) -> Callable[[nn.Module], tuple[float, float]]:
    """What measures a network on `clips` evenly spaced clips of each of some videos."""
    labels = load_index(index).labels[videos]

    def validate(network: nn.Module) -> tuple[float, float]:
        """(top-1 as a fraction, mean negative logarithm of the class's probability)."""
        device = next(network.parameters()).device
        outputs = predict_clips(
            lambda shown: {"logits": network(shown)},
            index,
            transform,
            clips=clips,
            device=device,
            workers=workers,
            videos=videos,
        )
        probabilities = class_probabilities(outputs)["logits"]  # (V, classes)
        own = probabilities[np.arange(len(labels)), labels]
        return float(top_k(probabilities, labels).mean()), float(-np.log(own + 1e-12).mean())

    return validate


def _facts(content: dict, videos: Index, task: Finetuning) -> dict:
    """What a run says of its network, its frames and its course."""
    return {
        "frames": {"fps": videos.fps, "shorter_side": videos.shorter_side},
        "network": {
            "steps": content["step"],
            "encoder": content["recipe"]["encoder"],
            "objective": content.get("objectives"),
        },
        "steps": task.ended,
        "best_step": task.plateau.best_step,
        "validation_top1": task.plateau.best[0],
        "saturated": task.finished,
    }


def _write_predictions(
    videos: Index,
    chosen: np.ndarray,
    groups: dict[str, str],
    probabilities: np.ndarray,
    path: Path,
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    every, labels = videos.videos.to_pylist(), videos.labels[chosen]
    columns = {
        "video": [every[i] for i in chosen],
        "group": [groups[every[i]] for i in chosen],
        "label": labels,
        "top1": probabilities.argmax(1),
        "top5": top_k(probabilities, labels, 5),
    }
    with atomic_write(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
