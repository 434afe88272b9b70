"""Tables of linear probes (Table S1)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vie.errors import VieError
from vie.evaluation.accuracy import interval
from vie.files import whole
from vie.reporting.published import comparable, read_published

LAYERS = ("conv3", "conv4", "conv5")


@dataclass(frozen=True)
class Readout:
    """One row of a table.

    Attributes:
        label: name of the model.
        seeds: S of them.
        correct: {layer: (S, n) bool}, seeds x the same validation videos.
        facts: of each seed's probe.
    """

    label: str
    seeds: list[int]
    correct: dict[str, np.ndarray]
    facts: list[dict]


def read_readouts(
    labels: dict[str, str], predictions: Sequence[str], facts: Sequence[str]
) -> list[Readout]:
    """Read the probes of a table.

    Args:
        labels: {readout: label}, in the order of the rows.
        predictions, facts: files of the probes, readout by readout, the same seeds for each.

    Raises:
        VieError: the seeds of a readout were not tested on the same videos.
    """
    seeds = len(predictions) // len(labels)
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
            layer: np.stack([(table[f"{layer}_top1"] == table["label"]) for table in tables])
            for layer in LAYERS
        }
        readouts.append(Readout(label, [one["seed"] for one in known], correct, known))
    return readouts


def probe_table(readouts: list[Readout], published: Path) -> pd.DataFrame:
    """Accuracies in percent with the half-width of their 95 % interval, and published values.

    The interval is `vie.evaluation.accuracy.interval`'s. `comparable` says whether dataset and
    scale are those of the published values.
    """
    theirs = read_published(published, [readout.label for readout in readouts], list(LAYERS))
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
        row["comparable"] = all(comparable(facts, dataset) for facts in readout.facts)
        rows.append(row)
    return pd.DataFrame(rows)


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
