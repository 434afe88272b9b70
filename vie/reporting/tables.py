"""Tables of evaluations (Tables 1 and S1)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vie.config.settings import LAYERS
from vie.reporting.published import comparable
from vie.reporting.statistics import interval
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write


@dataclass(frozen=True)
class Evaluation:
    """One row of a table.

    Attributes:
        label: name of the model.
        seeds: S of them.
        correct: {layer: (S, n) bool}, seeds x the same validation videos: top-1.
        among_five: the same for top-5.
        neighbours: (S, n) bool, of the nearest-neighbour classifier.
        metadata: of each seed's probe.
    """

    label: str
    seeds: list[int]
    correct: dict[str, np.ndarray]
    among_five: dict[str, np.ndarray]
    neighbours: np.ndarray
    metadata: list[dict[str, Any]]


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Content of the metadata.json of a result."""
    content: dict[str, Any] = json.loads(Path(path).read_text())
    return content


def read_evaluations(
    labels: dict[str, str], predictions: Sequence[str], metadata: Sequence[str]
) -> list[Evaluation]:
    """Read the probes of a table.

    Args:
        labels: {evaluation: label}, in the order of the rows.
        predictions, metadata: files of the probes, evaluation by evaluation, the same seeds for
            each.

    Raises:
        VieError: the seeds of an evaluation were tested on different videos, or some are missing.
    """
    seeds, rest = divmod(len(predictions), len(labels))
    if rest or len(metadata) != len(predictions):
        raise VieError(
            f"{len(predictions)} predictions and {len(metadata)} metadata files of {len(labels)} "
            "evaluations: every evaluation needs the same number of seeds"
        )
    evaluations = []
    for row, (name, label) in enumerate(labels.items()):
        here = slice(row * seeds, (row + 1) * seeds)
        tables = [pd.read_parquet(path) for path in predictions[here]]
        if any(not table["video"].equals(tables[0]["video"]) for table in tables):
            raise VieError(
                f"the seeds of {name} were tested on different videos: "
                f"{', '.join(predictions[here])}; delete them to have them made again"
            )
        correct = {
            name: np.stack([(table[f"{name}_top1"] == table["label"]) for table in tables])
            for name in (*LAYERS, "knn")
        }
        five = {layer: np.stack([table[f"{layer}_top5"] for table in tables]) for layer in LAYERS}
        neighbours, of_seeds = correct.pop("knn"), [read_metadata(path) for path in metadata[here]]
        seeds_here = [one["seed"] for one in of_seeds]
        evaluations.append(Evaluation(label, seeds_here, correct, five, neighbours, of_seeds))
    return evaluations


def probe_table(evaluations: list[Evaluation], published: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent with the half-width of their 95 % interval, and published values.

    The interval is `vie.reporting.statistics.interval`'s. The column `comparable` says whether
    dataset and scale are those of the published values.

    Args:
        evaluations: rows.
        published: `read_published` of their labels.
    """
    rows = []
    for evaluation in evaluations:
        row: dict[str, object] = {"model": evaluation.label}
        bounds = {layer: interval(evaluation.correct[layer]) for layer in LAYERS}
        row |= {layer: round(100 * bounds[layer][0], 2) for layer in LAYERS}
        row |= {f"{layer}_ci95": round(100 * bounds[layer][1], 2) for layer in LAYERS}
        row["n_val"] = evaluation.correct["conv5"].shape[1]
        row["seeds"] = " ".join(map(str, evaluation.seeds))
        row |= {f"{layer}_published": published.loc[evaluation.label, layer] for layer in LAYERS}
        dataset = published.loc[evaluation.label, "dataset"]
        row["comparable"] = all(
            comparable(metadata, evaluation.label, dataset) for metadata in evaluation.metadata
        )
        rows.append(row)
    return pd.DataFrame(rows)


def with_neighbours(
    table: pd.DataFrame, evaluations: list[Evaluation], published: pd.DataFrame
) -> pd.DataFrame:
    """`probe_table` with the further columns of Table 1.

    `best` is the layer with the highest top-1 accuracy, `top5` the top-5 accuracy of this layer,
    `knn10` the top-1 accuracy of the nearest neighbours of the embedding. Both have 95 % intervals.
    """
    rows = []
    for evaluation in evaluations:
        best = max(LAYERS, key=lambda layer: evaluation.correct[layer].mean())
        row: dict[str, object] = {"best": best}
        for name, correct in (
            ("top5", evaluation.among_five[best]),
            ("knn10", evaluation.neighbours),
        ):
            mean, half = interval(correct)
            row |= {name: round(100 * mean, 2), f"{name}_ci95": round(100 * half, 2)}
        row["knn10_published"] = published.loc[evaluation.label, "knn10"]
        rows.append(row)
    return pd.concat([table, pd.DataFrame(rows)], axis=1)


def seed_table(evaluations: list[Evaluation]) -> pd.DataFrame:
    """Accuracies in percent, one row per model and seed."""
    return pd.DataFrame(
        [
            {
                "model": evaluation.label,
                "seed": seed,
                **{
                    layer: round(100 * float(evaluation.correct[layer][s].mean()), 2)
                    for layer in LAYERS
                },
                "knn10": round(100 * float(evaluation.neighbours[s].mean()), 2),
                "n_val": evaluation.correct["conv5"].shape[1],
            }
            for evaluation in evaluations
            for s, seed in enumerate(evaluation.seeds)
        ]
    )


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; booleans become true and false."""
    shown = table.copy()
    for column in shown.select_dtypes("bool"):
        shown[column] = shown[column].map({True: "true", False: "false"})
    with atomic_write(path) as temporary:
        shown.to_csv(temporary, index=False, lineterminator="\n")
