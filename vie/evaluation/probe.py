"""A linear probe from its network to its predictions: what the workflow's rule `probe` does."""

import json
from pathlib import Path

import numpy as np

from vie.data.clips import View
from vie.data.index import load_index
from vie.data.manifest import read_classes
from vie.evaluation.accuracy import top_k
from vie.evaluation.prediction import predict
from vie.files import whole
from vie.threads import use_threads
from vie.training import checkpoints
from vie.training.probing import LAYERS, train_probe


def probe(
    checkpoint: Path,
    view: View,
    settings: dict,
    *,
    train_index: Path,
    val_index: Path,
    classes: Path,
    seed: int,
    name: str,
    identity: str | None,
    predictions: Path,
    facts: Path,
    metrics: Path,
    code: str,
    threads: int,
) -> None:
    """Train the classifiers, test them, write what tables are made of.

    Args:
        checkpoint: the network that is read out.
        view: the readout's clips.
        settings: `probe` of the config.
        train_index, val_index: index.parquet of either split.
        classes: classes.csv.
        seed: of the readout.
        name: shown with the progress.
        identity: name under which published values know the dataset, if they do.
        predictions: Parquet to write: video, label, and for each layer `<layer>_top1` (class) and
            `<layer>_top5` (whether the label is among the five most probable classes).
        facts: JSON to write: everything that decides whether published values are comparable.
        metrics: JSON lines to write.
        code: fingerprint of the code.
        threads: that may be used.
    """
    workers = use_threads(threads)
    label = f"probe {name} seed {seed}"
    work = predictions.parent / "in_progress"
    labels = read_classes(classes)
    classifiers = train_probe(
        checkpoint,
        settings,
        view,
        train_index,
        classes=len(labels),
        seed=seed,
        label=label,
        metrics=metrics,
        tensorboard=predictions.parent / "tensorboard",
        work=work,
        code=code,
        workers=workers,
    )
    probabilities = predict(
        classifiers,
        val_index,
        view,
        clips=settings["clips"],
        device=next(classifiers.parameters()).device,
        workers=workers,
        label=f"{label} test",
    )
    val = load_index(val_index)
    _write_predictions(val.videos, val.labels, probabilities, predictions)
    content = checkpoints.load(checkpoint)
    _write_json(
        {
            "seed": seed,
            "dataset_identity": identity,
            "n_train": len(load_index(train_index)),
            "n_val": len(val),
            "classes": len(labels),
            "network_steps": content["step"],
            "encoder": content["recipe"]["encoder"],
            "size": view.geometry.size,
            "clips": settings["clips"],
        },
        facts,
    )


def _write_predictions(videos, labels: np.ndarray, probabilities: dict, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"video": videos, "label": labels}
    for layer in LAYERS:
        columns[f"{layer}_top1"] = probabilities[layer].argmax(1)
        columns[f"{layer}_top5"] = top_k(probabilities[layer], labels, 5)
    with whole(path) as temporary:
        pq.write_table(pa.table(columns), temporary)


def _write_json(content: dict, path: Path) -> None:
    with whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")
