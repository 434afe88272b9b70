"""Linear probe: softmax classifiers on frozen features (protocol section 7), trained and tested."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vie.clips.loader import Batch, steps_per_epoch
from vie.clips.transform import ClipTransform
from vie.config.clip_frames import trained_clip
from vie.config.settings import LAYERS, resolve_steps
from vie.engine.device import accelerator, to_device
from vie.engine.predict import class_probabilities, clip_outputs, predict_clips, write_predictions
from vie.engine.run import Data, Run, TrainingClips, fit
from vie.engine.schedules import Schedule, probe_schedule
from vie.engine.task import Task
from vie.frames.index import Index, load_index
from vie.frames.manifest import read_classes
from vie.metrics.knn import knn_predict
from vie.metrics.top_k import top_k
from vie.models.checkpoint_format import encoder_of, network_digest, network_metadata, read
from vie.models.classifiers import Classifiers, FrozenEncoders
from vie.models.encoders import feature_shapes
from vie.runtime.metadata_file import write_metadata
from vie.runtime.randomness import torch_seed


def build_classifiers(
    networks: Sequence[dict[str, Any]],
    transform: ClipTransform,
    classes: int,
    *,
    seed: int,
    **shown: Any,
) -> Classifiers:
    """Classifiers, untrained, on the networks of checkpoints' contents.

    Their widths follow from the clips of the transform. `shown` are frames and pooled of
    `FrozenEncoders`.
    """
    network = FrozenEncoders([encoder_of(content) for content in networks], **shown)
    size = transform.geometry.size
    shapes = feature_shapes(network, (3, transform.sampling.frames, size, size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "probe"))
        return Classifiers(network, {name: shapes[name][0] for name in LAYERS}, classes)


class Probing(Task[Classifiers]):
    """Training of the classifiers, all in one pass over the clips."""

    def __init__(
        self,
        classifiers: Classifiers,
        optimiser: dict[str, Any],
        schedule: Schedule,
        precision: str = "float32",
    ) -> None:
        super().__init__(classifiers, optimiser, accelerator(precision))
        self.schedule = schedule
        self.parts["heads"] = classifiers.heads  # the network is in the checkpoints that are read

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One step of all classifiers; the losses do not touch each other's parameters."""
        with self.accelerator.autocast():
            clips, _, labels, _ = to_device(batch, self.accelerator.device)
            logits = self.model(clips)
        losses = [F.cross_entropy(scores.float(), labels) for scores in logits.values()]
        loss = cast(Tensor, sum(losses))  # there is at least one
        self.update(loss, self.schedule.lr(self.lr, step))
        metrics = {"loss": loss.detach() / len(logits)}
        for name, scores in logits.items():
            metrics[f"{name}_top1"] = 100 * (scores.argmax(1) == labels).float().mean()
        return metrics


def train_probe(
    networks: Sequence[dict[str, Any]],
    transform: ClipTransform,
    settings: dict[str, Any],
    data: Data,
    run: Run,
) -> Classifiers:
    """Train classifiers on frozen networks, going on where a run was killed.

    Args:
        networks: contents of checkpoints, trained or not; several are read side by side.
        transform: as in pretraining but for the evaluation's sampling.
        settings: `probe` of the config. Of images there are also frames, so many times each is
            shown, and pooled (`FrozenEncoders`).
        data: training videos and classes.

    Returns:
        The classifiers, in evaluation mode.
    """
    assert data.classes is not None  # an evaluation has labels
    index, labels = load_index(data.train), read_classes(data.classes)
    index.check_classes(labels, data.classes)
    videos, batch = np.arange(len(index)), settings["optimiser"]["batch"]
    schedule = probe_schedule(settings["schedule"], steps_per_epoch(len(videos), batch))
    shown = {key: settings[key] for key in ("frames", "pooled") if key in settings}
    classifiers = build_classifiers(networks, transform, len(labels), seed=run.seed, **shown)
    task = Probing(classifiers, settings["optimiser"], schedule, run.precision)
    trains = transform.to_dict()
    trains["crop"].pop("test_shorter_side", None)  # trains nothing
    trains["sampling"] = trained_clip(trains["sampling"])
    fit(
        task,
        run,
        TrainingClips(data.train, transform, videos, batch, "probe"),
        schedule,
        key={
            "networks": [network_digest(one) for one in networks],
            "probe": {k: v for k, v in settings.items() if k not in ("schedule", "clips")},
            "transform": trains,
            "classes": len(labels),
        },
    )
    return task.network().eval()


@dataclass(frozen=True)
class ProbeOutputs:
    """Files that a probe writes."""

    # Parquet: video, label, for each layer `<layer>_top1` (class) and `<layer>_top5` (whether the
    # label is among the five most probable classes), and `knn_top1` (class by the nearest
    # neighbours of the embedding).
    predictions: Path
    # JSON: all that decides whether published values are comparable; version and code.
    metadata: Path
    metrics: Path  # JSON lines


def probe(
    networks: Sequence[Path],
    transform: ClipTransform,
    settings: dict[str, Any],
    data: Data,
    run: Run,
    outputs: ProbeOutputs,
    official_name: str | None = None,
    pretrained_on: str | None = None,
) -> None:
    """Train the classifiers, test them, find neighbours, write what tables are made of.

    Args:
        networks: checkpoints of what is read; several are read side by side.
        transform, settings: as for `train_probe`.
        data: the videos of both splits, and their classes.
        official_name: name under which published values know the dataset, if they do.
        pretrained_on: that of the networks' own dataset, if it is another one.

    Raises:
        VieError: a checkpoint cannot be read, or a setting does not fit the data.
    """
    assert data.val is not None  # an evaluation has validation videos
    workers = run.use_threads()
    contents = [read(path) for path in networks]
    classifiers = train_probe(contents, transform, settings, data, run)
    train, val = load_index(data.train), load_index(data.val)
    how: dict[str, Any] = {"device": next(classifiers.parameters()).device, "workers": workers}
    label, clips = f"{run.name} test", settings["clips"]
    found = predict_clips(
        classifiers.with_embedding, data.val, transform, clips=clips, label=label, **how
    )
    # Every training video is embedded by its middle clip. Unlike the memory bank of the monitor,
    # this is the same for networks that were pretrained, supervised or never trained.
    parts = clip_outputs(
        lambda clips: {"embedding": classifiers.network.with_embedding(clips)[1]},
        data.train,
        transform,
        clips=1,
        label=f"{run.name} neighbours",
        **how,
    )
    bank = _filled((part["embedding"][:, 0] for part in parts), len(train))
    queries, labels = found.pop("embedding"), torch.from_numpy(train.labels)
    probabilities = class_probabilities(found)
    classes = probabilities[LAYERS[0]].shape[1]
    probabilities["knn"] = knn_predict(bank, labels, queries, classes=classes).numpy()
    _write_predictions(val, probabilities, outputs.predictions)
    origin: dict[str, Any] = {
        "seed": run.seed,
        "dataset_official_name": official_name,
        "classes": classes,
    }
    if pretrained_on is not None:
        origin["pretrained_on"] = pretrained_on
    about = _metadata(contents, transform, settings, train, val)
    write_metadata(origin | about | run.record, outputs.metadata)
    run.copy_metrics(outputs.metrics)


def _filled(parts: Iterable[Tensor], rows: int) -> Tensor:
    """(N, D) of batches of its rows, which are never in memory twice: a bank may take gigabytes."""
    whole, done = torch.empty(0), 0
    for part in parts:
        whole = whole if done else part.new_empty(rows, part.shape[1])
        whole[done : done + len(part)] = part
        done += len(part)
    return whole


def _metadata(
    contents: Sequence[dict[str, Any]],
    transform: ClipTransform,
    settings: dict[str, Any],
    train: Index,
    val: Index,
) -> dict[str, Any]:
    """What a probe says of its networks, its data and its settings."""
    steps = steps_per_epoch(len(train), settings["optimiser"]["batch"])
    return {
        "n_train": len(train),
        "n_val": len(val),
        "frames": {"fps": val.fps, "shorter_side": val.shorter_side},
        "networks": [_network_metadata(content) for content in contents],
        "sampling": asdict(transform.sampling),
        "size": transform.geometry.size,
        "probe": settings,
        "steps": resolve_steps(settings["schedule"]["duration"], steps),
    }


def _network_metadata(content: dict[str, Any]) -> dict[str, Any]:
    batch = content["recipe"].get("optimiser", {}).get("batch")
    return network_metadata(content) | {"batch": batch}


def _write_predictions(val: Index, probabilities: dict[str, np.ndarray], path: Path) -> None:
    columns = {"video": val.videos, "label": val.labels}
    for layer in LAYERS:
        columns[f"{layer}_top1"] = probabilities[layer].argmax(1)
        columns[f"{layer}_top5"] = top_k(probabilities[layer], val.labels, 5)
    columns["knn_top1"] = probabilities["knn"].argmax(1)
    write_predictions(columns, path)
