"""Finetuning, and training from scratch, with labels (protocol section 8), and its test."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vie.clips.crops import ScaleCrop
from vie.clips.loader import steps_per_epoch
from vie.clips.sampling import sampling
from vie.clips.transform import ClipTransform
from vie.clips.windows import window_length
from vie.config.settings import resolve_steps
from vie.datasets.split_assignment import HELD_OUT, TEST, TRAIN, SplitRow, read_split_assignment
from vie.engine.plateau import Finetuning, Plateau, Validation
from vie.engine.predict import (
    class_probabilities,
    predict_clips,
    predict_windows,
    write_predictions,
)
from vie.engine.run import Run, TrainingClips, fit
from vie.engine.schedules import finetuning_schedule
from vie.frames.index import Index, load_index
from vie.frames.manifest import read_classes
from vie.metrics.top_k import top_k
from vie.models.checkpoint_format import (
    describe,
    encoder_of,
    network_digest,
    network_metadata,
    read,
)
from vie.models.classifiers import Classifier
from vie.models.resnet import channels_last
from vie.runtime.errors import VieError
from vie.runtime.metadata_file import write_metadata
from vie.runtime.randomness import torch_seed
from vie.runtime.torch_files import content_digest, save

log = logging.getLogger(__name__)


def scale_crop(
    recipe: dict[str, Any], clip: str | dict[str, Any], settings: dict[str, Any]
) -> ClipTransform:
    """CropPolicy at five places and scales, no colour noise: the paper's Table 2."""
    geometry = recipe["geometry"]
    reduced = geometry.get("reduced_decoding", False)
    crop = ScaleCrop(geometry["size"], tuple(settings["scales"]), geometry["flip"], reduced)
    return ClipTransform(sampling(clip), crop, None)


def color_jitter(
    recipe: dict[str, Any], clip: str | dict[str, Any], settings: dict[str, Any]
) -> ClipTransform:
    """CropPolicy and colour noise as in pretraining: the paper's Table 3."""
    return ClipTransform.of(recipe, clip)


# Preprocessing pipeline -> its transform, from geometry and colour of a recipe, a clip sampling,
# and `finetuning.scale_crop` of the config.
PIPELINES = {"scale_crop": scale_crop, "color_jitter": color_jitter}


def build_classifier(contents: Sequence[dict[str, Any]], classes: int, *, seed: int) -> Classifier:
    """The networks of checkpoints' contents, pretrained or not, with one new linear layer."""
    encoders = [encoder_of(content) for content in contents]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "finetuning"))
        return channels_last(Classifier(encoders, classes)).train()


def _alone(values: list[Any]) -> Any:
    """What is said of several networks: a list; of a single one, its own value."""
    return values[0] if len(values) == 1 else values


def instances_of(index: Index, rows: Sequence[SplitRow]) -> dict[str, np.ndarray]:
    """{part: instances (V,)} of the usable videos of a split; the log names the others.

    Raises:
        VieError: a part for training or testing has no usable video.
    """
    place = {video: i for i, video in enumerate(index.videos.to_pylist())}
    absent = [f"{row.video} ({row.subset})" for row in rows if row.video not in place]
    if absent:
        log.warning(
            "%d videos of the split were rejected and take no part: %s%s",
            len(absent),
            ", ".join(absent[:10]),
            " ..." if len(absent) > 10 else "",
        )
    parts = {}
    for part in (TRAIN, HELD_OUT, TEST):
        found = [place[row.video] for row in rows if row.subset == part and row.video in place]
        if not found and part != HELD_OUT:
            raise VieError(f"no {part} video of the split is in {index.path}")
        parts[part] = np.array(sorted(found), dtype=np.int64)
    return parts


@dataclass(frozen=True)
class SplitData:
    """Files of an action dataset and one split of it."""

    index: Path  # index.parquet of all videos of the dataset
    split: Path  # CSV of the split, `vie.datasets.split_assignment`
    classes: Path  # classes.csv


@dataclass(frozen=True)
class FinetuneOutputs:
    """Files that finetuning writes."""

    best: Path  # checkpoint: the network that validated best, and what it needs to be used
    # Parquet: video, group, label, top1 (class), top5 (whether the label is among the five most
    # probable classes).
    predictions: Path
    # JSON: all that decides whether published values are comparable; version and code.
    metadata: Path
    metrics: Path  # JSON lines


def train_finetuned(
    contents: Sequence[dict[str, Any]],
    optimiser: dict[str, Any],
    settings: dict[str, Any],
    clips: TrainingClips,
    run: Run,
    *,
    classes: int,
    validate: Validation,
    key: dict[str, Any],
) -> Finetuning:
    """Train a network, or several together, to the end, going on where a run was killed.

    Args:
        contents: of the checkpoints to start from.
        optimiser: as for `finetune`.
        settings: `finetuning.schedule` of the config, or `every` of it with the duration and
            lr_drops of a row's own. The end may be set later.
        validate: measures a network on the validation videos.
        key: what its answers depend on.

    Returns:
        The task at its end, its network the best one of all validations, in evaluation mode.

    Raises:
        VieError: a batch is larger than the training set, or the loss is not finite.
    """
    steps = steps_per_epoch(len(clips.videos), optimiser["batch"])
    schedule = finetuning_schedule(settings, steps)
    every = resolve_steps(settings["every"], steps)
    if not 0 < every <= schedule.last:
        raise VieError(
            f"finetuning.schedule: validations every {settings['every']} within {schedule.last} "
            f"steps of {steps} an epoch: there would be none"
        )
    classifier = build_classifier(contents, classes, seed=run.seed)
    saturation = {key: settings[key] for key in ("patience", "drops") if key in settings}
    plateau = Plateau(**saturation)
    task = Finetuning(classifier, optimiser, schedule, plateau, validate, every, run.precision)
    own = {
        "network": _alone([network_digest(one) for one in contents]),
        "optimiser": optimiser,
        "plateau": {"every": every} | saturation,
        "transform": clips.transform.to_dict(),
        "videos": content_digest(clips.videos.tolist()),
        "classes": classes,
    }
    fit(task, run, clips, schedule, key=own | key)
    task.network().load_state_dict(task.best)
    task.network().eval()
    return task


def finetune(
    checkpoints: Sequence[Path],
    transform: ClipTransform,
    optimiser: dict[str, Any],
    settings: dict[str, Any],
    data: SplitData,
    run: Run,
    outputs: FinetuneOutputs,
    metadata: dict[str, Any],
) -> None:
    """Train a network on the training videos of a split, test the best one on its test videos.

    Args:
        checkpoints: of the network to start from; several networks are trained together.
        optimiser: `finetuning.trained` or `finetuning.untrained` of the config, with what the row
            has of its own.
        settings: `finetuning` of the config: schedule (or the row's own), validation, clips (of
            validation).
        metadata: what else is written to the metadata.

    Raises:
        VieError: a setting does not fit the data, or the loss is not finite.
    """
    workers = run.use_threads()
    index, classes = load_index(data.index), read_classes(data.classes)
    index.check_classes(classes, data.classes)
    rows = read_split_assignment(data.split)
    parts = instances_of(index, rows)
    watched = parts[TEST if settings["validation"] == "test" else HELD_OUT]
    if not len(watched):
        raise VieError(
            f"{data.split}: no video is held out for validation: raise finetuning.held_out, or set "
            "finetuning.validation to test"
        )
    contents = [read(path) for path in checkpoints]
    task = train_finetuned(
        contents,
        optimiser,
        settings["schedule"],
        TrainingClips(data.index, transform, parts[TRAIN], optimiser["batch"], "finetuning"),
        run,
        classes=len(classes),
        validate=_validation(index, transform, watched, settings["clips"], workers),
        key={"validation": [content_digest(watched.tolist()), settings["clips"]]},
    )
    network, device = task.network(), task.accelerator.device
    how: dict[str, Any] = {"device": device, "workers": workers, "label": f"{run.name} test"}
    probabilities = predict_windows(network, data.index, transform, parts[TEST], **how)
    _write_predictions(index, parts[TEST], rows, probabilities, outputs.predictions)
    own = {"seed": run.seed, "classes": len(classes), "optimiser": optimiser, **run.record}
    counts = {f"n_{part}": len(found) for part, found in parts.items()}
    course = _metadata(contents, index, transform, settings, task)
    write_metadata(metadata | counts | course | own, outputs.metadata)
    run.copy_metrics(outputs.metrics)
    best = {"network": task.best, "classes": classes, "step": task.plateau.best_step}
    recipes = _alone([content["recipe"] for content in contents])
    described = describe(recipes, transform, index.fps)
    origin = {"seed": run.seed, "n_train": len(parts[TRAIN]), **run.record}
    save(outputs.best, described | best | origin)


def _validation(
    index: Index, transform: ClipTransform, videos: np.ndarray, clips: int, workers: int
) -> Validation:
    """What measures a network on `clips` evenly spaced clips of each of some videos."""
    labels = index.labels[videos]

    def validate(network: nn.Module) -> tuple[float, float]:
        """(top-1 as a fraction, mean negative logarithm of the class's probability)."""
        outputs = predict_clips(
            lambda shown: {"logits": network(shown)},
            index.path,
            transform,
            clips=clips,
            device=next(network.parameters()).device,
            workers=workers,
            videos=videos,
        )
        probabilities = class_probabilities(outputs)["logits"]  # (V, classes)
        own = probabilities[np.arange(len(labels)), labels]
        return float(top_k(probabilities, labels).mean()), float(-np.log(own + 1e-12).mean())

    return validate


def _metadata(
    contents: Sequence[dict[str, Any]],
    index: Index,
    transform: ClipTransform,
    settings: dict[str, Any],
    task: Finetuning,
) -> dict[str, Any]:
    """What a run says of its network (or of each of them), its frames, settings and course."""
    return {
        "network": _alone([network_metadata(content) for content in contents]),
        "frames": {"fps": index.fps, "shorter_side": index.shorter_side},
        "validation": settings["validation"],
        "schedule": settings["schedule"],
        "sampling": asdict(transform.sampling),
        "window": window_length(transform.sampling),
        "size": transform.geometry.size,
        "steps": task.ended,
        "best_step": task.plateau.best_step,
        "validation_top1": task.plateau.best[0],
        "saturated": task.finished,
    }


def _write_predictions(
    index: Index,
    videos: np.ndarray,
    rows: Sequence[SplitRow],
    probabilities: np.ndarray,
    path: Path,
) -> None:
    groups = {row.video: row.group for row in rows}
    names, labels = index.videos.take(videos).to_pylist(), index.labels[videos]
    columns = {
        "video": names,
        "group": [groups[name] for name in names],
        "label": labels,
        "top1": probabilities.argmax(1),
        "top5": top_k(probabilities, labels, 5),
    }
    write_predictions(columns, path)
