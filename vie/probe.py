"""An evaluation from its network to its predictions: what the workflow's rule `probe` does."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vie.clips.transform import ClipTransform
from vie.config.settings import LAYERS
from vie.engine import checkpoints
from vie.engine.predict import class_probabilities, predict_clips
from vie.frames.index import load_index
from vie.frames.manifest import read_classes
from vie.metrics.knn import knn_predict
from vie.metrics.top_k import top_k
from vie.probe_training import FrozenEncoders, train_probe
from vie.runtime.files import atomic_write, write_json
from vie.runtime.threads import use_threads

NEIGHBOURS, TEMPERATURE = 10, 0.07  # protocol section 5


def probe(
    networks: Sequence[Path],
    transform: ClipTransform,
    settings: dict,
    *,
    train_index: Path,
    val_index: Path,
    classes: Path,
    seed: int,
    name: str,
    official_name: str | None,
    predictions: Path,
    facts: Path,
    metrics: Path,
    work: Path,
    code: str,
    threads: int,
    gpus: int = 1,
    precision: str = "float32",
) -> None:
    """Train the classifiers, test them, find neighbours, write what tables are made of.

    Args:
        networks: checkpoints of what is read out; several are read out side by side.
        transform: the evaluation's clips.
        settings: `probe` of the config.
        train_index, val_index: index.parquet of either split.
        classes: classes.csv.
        seed: of the evaluation.
        name: shown with the progress.
        official_name: name under which published values know the dataset, if they do.
        predictions: Parquet to write: video, label, for each layer `<layer>_top1` (class) and
            `<layer>_top5` (whether the label is among the five most probable classes), and
            `knn_top1` (class by the nearest neighbours of the embedding).
        facts: JSON to write: everything that decides whether published values are comparable.
        metrics: JSON lines to write.
        work: folder of what a run in progress needs.
        code: fingerprint of the code.
        threads: that may be used.
        gpus: 0 keeps to the CPU.
        precision: as for `vie.engine.device.accelerator`.
    """
    workers = use_threads(threads, gpus)
    label = f"probe {name} seed {seed}"
    labels = read_classes(classes)
    classifiers = train_probe(
        networks,
        settings,
        transform,
        train_index,
        classes=len(labels),
        seed=seed,
        label=label,
        tensorboard=predictions.parent / "tensorboard",
        work=work,
        code=code,
        workers=workers,
        precision=precision,
    )
    device = next(classifiers.parameters()).device
    outputs = predict_clips(
        classifiers.with_embedding,
        val_index,
        transform,
        clips=settings["clips"],
        device=device,
        workers=workers,
        label=f"{label} test",
    )
    scores = class_probabilities({layer: outputs[layer] for layer in LAYERS})
    scores["knn"] = neighbour_probabilities(
        classifiers.network,
        outputs["embedding"],
        train_index,
        transform,
        classes=len(labels),
        device=device,
        workers=workers,
        label=f"{label} neighbours",
    )
    val = load_index(val_index)
    _write_predictions(val.videos, val.labels, scores, predictions)
    contents = [checkpoints.load(path) for path in networks]
    write_json(
        {
            "seed": seed,
            "dataset_official_name": official_name,
            "n_train": len(load_index(train_index)),
            "n_val": len(val),
            "classes": len(labels),
            "frames": {"fps": val.fps, "shorter_side": val.shorter_side},
            "networks": [
                {
                    "steps": content["step"],
                    "encoder": content["recipe"]["encoder"],
                    "batch": content["recipe"].get("optimiser", {}).get("batch"),
                    "objective": content.get("objectives"),
                }
                for content in contents
            ],
            "sampling": asdict(transform.sampling),
            "size": transform.geometry.size,
            "probe": settings,
        },
        facts,
    )
    with atomic_write(metrics) as temporary:
        shutil.copyfile(work / "metrics.jsonl", temporary)


def neighbour_probabilities(
    network: FrozenEncoders,
    queries: Tensor,
    train_index: Path,
    transform: ClipTransform,
    *,
    classes: int,
    device: torch.device,
    workers: int,
    label: str,
) -> np.ndarray:
    """(V, classes) probabilities of validation videos by their neighbours among the training ones.

    Every training video is embedded by its middle clip. Unlike the memory bank of the monitor,
    this is the same for networks that were pretrained, supervised or never trained.

    Args:
        network: gives embeddings.
        queries: (V, clips, D), the embeddings of the validation videos' test clips.
        train_index: index.parquet of the training videos.
        transform: the evaluation's clips.
        classes: number of classes.
        device, workers, label: as in `predict_clips`.
    """
    embeddings = predict_clips(
        lambda clips: {"embedding": network.with_embedding(clips)[1]},
        train_index,
        transform,
        clips=1,
        device=device,
        workers=workers,
        label=label,
    )["embedding"]
    return knn_predict(
        embeddings[:, 0],  # (N, 1, D) -> (N, D)
        torch.from_numpy(load_index(train_index).labels),
        queries,
        classes=classes,
        k=NEIGHBOURS,
        temperature=TEMPERATURE,
    ).numpy()


def _write_predictions(videos, labels: np.ndarray, probabilities: dict, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"video": videos, "label": labels}
    for layer in LAYERS:
        columns[f"{layer}_top1"] = probabilities[layer].argmax(1)
        columns[f"{layer}_top5"] = top_k(probabilities[layer], labels, 5)
    columns["knn_top1"] = probabilities["knn"].argmax(1)
    with atomic_write(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
