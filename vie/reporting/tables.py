"""Tables of readouts (Tables 1 and S1)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vie.errors import VieError
from vie.evaluation.accuracy import interval
from vie.files import whole
from vie.reporting.published import comparable
from vie.settings import LAYERS


@dataclass(frozen=True)
class Readout:
    """One row of a table.

    Attributes:
        label: name of the model.
        seeds: S of them.
        correct: {layer: (S, n) bool}, seeds x the same validation videos: top-1.
        among_five: the same for top-5.
        neighbours: (S, n) bool, of the nearest-neighbour classifier.
        facts: of each seed's probe.
    """

    label: str
    seeds: list[int]
    correct: dict[str, np.ndarray]
    among_five: dict[str, np.ndarray]
    neighbours: np.ndarray
    facts: list[dict]


def read_readouts(
    labels: dict[str, str], predictions: Sequence[str], facts: Sequence[str]
) -> list[Readout]:
    """Read the probes of a table.

    Args:
        labels: {readout: label}, in the order of the rows.
        predictions, facts: files of the probes, readout by readout, the same seeds for each.

    Raises:
        VieError: the seeds of a readout were not tested on the same videos, or some are missing.
    """
    seeds, rest = divmod(len(predictions), len(labels))
    if rest or len(facts) != len(predictions):
        raise VieError(
            f"{len(predictions)} predictions and {len(facts)} facts of {len(labels)} readouts: "
            "every readout needs the same number of seeds"
        )
    readouts = []
    for row, (name, label) in enumerate(labels.items()):
        here = slice(row * seeds, (row + 1) * seeds)
        tables = [pd.read_parquet(path) for path in predictions[here]]
        if any(not table["video"].equals(tables[0]["video"]) for table in tables):
            raise VieError(
                f"the seeds of {name} were tested on different videos: "
                f"{', '.join(predictions[here])}; delete them to have them made again"
            )
        known = [json.loads(Path(path).read_text()) for path in facts[here]]
        correct = {
            name: np.stack([(table[f"{name}_top1"] == table["label"]) for table in tables])
            for name in (*LAYERS, "knn")
        }
        five = {layer: np.stack([table[f"{layer}_top5"] for table in tables]) for layer in LAYERS}
        neighbours = correct.pop("knn")
        seeds_here = [one["seed"] for one in known]
        readouts.append(Readout(label, seeds_here, correct, five, neighbours, known))
    return readouts


def probe_table(readouts: list[Readout], theirs: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent with the half-width of their 95 % interval, and published values.

    The interval is `vie.evaluation.accuracy.interval`'s. `comparable` says whether dataset and
    scale are those of the published values.

    Args:
        readouts: rows.
        theirs: `read_published` of their labels.
    """
    rows = []
    for readout in readouts:
        row: dict[str, object] = {"model": readout.label}
        bounds = {layer: interval(readout.correct[layer]) for layer in LAYERS}
        row |= {layer: round(100 * bounds[layer][0], 2) for layer in LAYERS}
        row |= {f"{layer}_ci95": round(100 * bounds[layer][1], 2) for layer in LAYERS}
        row["n_val"] = readout.correct["conv5"].shape[1]
        row["seeds"] = " ".join(map(str, readout.seeds))
        row |= {f"{layer}_published": theirs.loc[readout.label, layer] for layer in LAYERS}
        dataset = theirs.loc[readout.label, "dataset"]
        row["comparable"] = all(
            comparable(facts, readout.label, dataset) for facts in readout.facts
        )
        rows.append(row)
    return pd.DataFrame(rows)


def with_neighbours(
    table: pd.DataFrame, readouts: list[Readout], theirs: pd.DataFrame
) -> pd.DataFrame:
    """`probe_table` and what Table 1 has on top.

    `best` is the layer with the highest top-1 accuracy, `top5` the top-5 accuracy there, `knn10`
    the top-1 accuracy of the nearest neighbours of the embedding; both with their 95 % interval.
    """
    rows = []
    for readout in readouts:
        best = max(LAYERS, key=lambda layer: readout.correct[layer].mean())
        row: dict[str, object] = {"best": best}
        for name, correct in (("top5", readout.among_five[best]), ("knn10", readout.neighbours)):
            mean, half = interval(correct)
            row |= {name: round(100 * mean, 2), f"{name}_ci95": round(100 * half, 2)}
        row["knn10_published"] = theirs.loc[readout.label, "knn10"]
        rows.append(row)
    return pd.concat([table, pd.DataFrame(rows)], axis=1)


def seed_table(readouts: list[Readout]) -> pd.DataFrame:
    """Accuracies in percent, one row per model and seed."""
    return pd.DataFrame(
        [
            {
                "model": readout.label,
                "seed": seed,
                **{
                    layer: round(100 * float(readout.correct[layer][s].mean()), 2)
                    for layer in LAYERS
                },
                "knn10": round(100 * float(readout.neighbours[s].mean()), 2),
                "n_val": readout.correct["conv5"].shape[1],
            }
            for readout in readouts
            for s, seed in enumerate(readout.seeds)
        ]
    )


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table, whole; truth values as true and false."""
    shown = table.copy()
    for column in shown.select_dtypes("bool"):
        shown[column] = shown[column].map({True: "true", False: "false"})
    with whole(path) as temporary:
        shown.to_csv(temporary, index=False, lineterminator="\n")
