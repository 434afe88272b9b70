"""Table of retrieval: how often the nearest training videos of a test video are of its class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vie.datasets.split_assignment import TEST, read_split_assignment
from vie.engine.feature_table import FeatureTable, read_features
from vie.metrics.retrieval import KS, Ranking, rank
from vie.reporting.runs import seeds_of
from vie.reporting.statistics import accuracies, percent
from vie.runtime.errors import VieError, made_anew


def read_rankings(
    files: Sequence[Mapping[str, Any]], assignments: Mapping[str, Path], layers: Sequence[str]
) -> pd.DataFrame:
    """Rank the training videos of each dataset for each of its test videos.

    Args:
        files: of each run, dataset, model, seed, and `features`, the path of a table.
        assignments: {dataset: CSV of a split, `vie.datasets.split_assignment`}. The test videos are
            looked for among all others, those that were held out included. For a dataset that is
            not here the videos of its split val are looked for among those of train.
        layers: columns of the tables.

    Returns:
        A row per run and layer: dataset, model, layer, seed, videos (Q,), groups (Q,) or None,
        n_gallery, and ranking (`vie.metrics.retrieval.Ranking`).

    Raises:
        VieError: a table lacks a layer or labels, or runs are of different videos.
    """
    rows = []
    for file in files:
        dataset, path = file["dataset"], Path(file["features"])
        table = read_features(path)
        if missing := [layer for layer in layers if layer not in table.vectors]:
            raise VieError(
                f"{path}: has no {', '.join(missing)}; {made_anew(path)} with the config's "
                "features.layers"
            )
        tested, gallery, groups = _parts(table, assignments.get(dataset), path)
        labels = np.array(table.labels)
        if (labels == "").any():
            raise VieError(f"{path}: retrieval needs labels, and some of its videos have none")
        known = {"dataset": dataset, "model": file["model"], "seed": int(file["seed"])}
        known |= {
            "videos": np.array(table.ids)[tested],
            "groups": groups,
            "n_gallery": len(gallery),
        }
        for layer in layers:
            vectors = table.vectors[layer]
            ranking = rank(vectors[tested], labels[tested], vectors[gallery], labels[gallery])
            if not ranking.first.any():
                raise VieError(f"{path}: no test video has a training video of its class")
            rows.append(known | {"layer": layer, "ranking": ranking})
    runs = pd.DataFrame(rows)
    for name, here in runs.groupby("dataset", sort=False):
        first = here.iloc[0]
        for _, run in here.iterrows():
            same = np.array_equal(run["videos"], first["videos"])
            if not same or run["n_gallery"] != first["n_gallery"]:
                raise VieError(
                    f"the features of {name} are of different videos: of {first['model']} and of "
                    f"{run['model']}, seed {run['seed']}; run Snakemake again with --forcerun "
                    "features"
                )
    return runs


def _parts(
    table: FeatureTable, assignment: Path | None, path: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rows of a table that are looked for, rows among which, and the groups of the former."""
    groups = None
    if assignment is None:
        splits = np.array(table.splits)
        tested, gallery = np.flatnonzero(splits == "val"), np.flatnonzero(splits == "train")
    else:
        listed = {row.video: row for row in read_split_assignment(assignment)}
        subsets = np.array([listed[one].subset if one in listed else "" for one in table.ids])
        tested = np.flatnonzero(subsets == TEST)
        gallery = np.flatnonzero((subsets != TEST) & (subsets != ""))
        groups = np.array([listed[table.ids[row]].group for row in tested])
    if not len(tested) or not len(gallery):
        raise VieError(
            f"{path}: {len(tested)} videos to look for among {len(gallery)}: retrieval needs some "
            f"of both; {made_anew(path)}"
        )
    return tested, gallery, groups


def retrieval_table(runs: pd.DataFrame) -> pd.DataFrame:
    """R@k and mAP in percent with the half-width of their 95 % interval.

    A row per dataset, model and layer. R@k counts the test videos of which one of the k nearest
    training videos is of the same class; `chance_r1` is R@1 if the order were random. mAP averages
    over test videos whose class has training videos.

    Args:
        runs: `read_rankings`.
    """
    rows = []
    for (dataset, model, layer), seeds in _each(runs):
        rankings: list[Ranking] = seeds["ranking"].tolist()
        groups = seeds["groups"].iloc[0]
        some = rankings[0].first > 0  # (Q,), the same for all seeds
        values = {f"r{k}": np.stack([one.hits(k) for one in rankings]) for k in KS}
        values["map"] = np.stack([one.precision[some] for one in rankings])
        by_name = None
        if groups is not None:
            by_name = dict.fromkeys(values, groups) | {"map": groups[some]}
        rows.append(
            {"dataset": dataset, "model": model, "layer": layer}
            | accuracies(values, by_name)
            | {
                "chance_r1": percent(rankings[0].chance),
                "n_queries": len(some),
                "n_gallery": seeds["n_gallery"].iloc[0],
                "seeds": seeds_of(seeds),
            }
        )
    return pd.DataFrame(rows)


def retrieval_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """R@k and mAP in percent, a row per dataset, model, layer and seed."""
    rows = []
    for (dataset, model, layer), seeds in _each(runs):
        for run in seeds.itertuples():
            known = {"dataset": dataset, "model": model, "layer": layer, "seed": run.seed}
            known |= {f"r{k}": percent(run.ranking.hits(k)) for k in KS}
            known |= {"map": percent(np.nanmean(run.ranking.precision))}
            rows.append(known | {"n_queries": len(run.videos), "n_gallery": run.n_gallery})
    return pd.DataFrame(rows)


def _each(runs: pd.DataFrame) -> Any:
    return runs.groupby(["dataset", "model", "layer"], sort=False)
