"""Every published number beside what an experiment has in its place: table and plot."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from vie.clips.sampling import sampling
from vie.config.layouts import TITLES, the
from vie.frames.manifest import read_classes
from vie.reporting.ablation_table import COLUMNS as PREDICTED
from vie.reporting.differences import (
    differences,
    differences_curve,
    differences_finetuned,
    differences_pretext,
)
from vie.reporting.drawing import SMALL, draw_groups, finish, named, new_figure, spans
from vie.reporting.finetune_tables import tests_of
from vie.reporting.runs import read_runs, right, seeds_of
from vie.reporting.statistics import accuracies, percent
from vie.reporting.style import BLUE, GREY, PUBLISHED_COLOUR, styled
from vie.runtime.errors import VieError

Row = dict[str, Any]
NAMED = 3  # at most so many differences are named
COLUMNS = (
    *("model", "quantity", "dataset", "published", "ours_on", "ours", "ours_ci95", "chance"),
    *("difference", "n", "seeds", "comparable", "why_not", "source", "command"),
)


def published_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Published values and ours in percent, one row per published number.

    Columns: `COLUMNS`. `ours_on` is the dataset that ours is of, `chance` what guessing gives on
    it; all of ours is empty where the experiment has nothing in this place. `difference` is given
    only where the two are comparable. `why_not` names the first `NAMED` differences.

    Args:
        rows: of `vie.workflow.published.published_rows`.
    """
    title = {"dataset": lambda table: table["dataset"].map(lambda name: TITLES.get(name, name))}
    table = pd.DataFrame([row | _ours(row) for row in rows]).assign(**title)
    table = table.reindex(columns=list(COLUMNS))
    return table.astype({"n": "Int64"})  # which has room for none


def _ours(row: Row) -> Row:
    """The columns of a row that are ours."""
    if not row["files"]:
        return {"ours_on": None, "comparable": False, "why_not": row["missing"]}
    if row["kind"] == "finetune":
        found, differ = _of_finetuned(row)
    else:
        correct, about, differ = _of_curve(row) if "known" in row else _of_runs(row)
        found = accuracies({"ours": correct}) | {"n": correct.shape[1]} | about
    if differ:
        more = [f"and {len(differ) - NAMED} more"] if len(differ) > NAMED else []
        return found | {"comparable": False, "why_not": "; ".join([*differ[:NAMED], *more])}
    difference = round(found["ours"] - row["published"], 2)
    return found | {"comparable": True, "difference": difference, "why_not": ""}


def _of_runs(row: Row) -> tuple[np.ndarray, Row, list[str]]:
    """Right answers of an evaluation, (S, n) in 0..1; its seeds and chance; its differences."""
    files = [file | {"model": row["model"]} for file in row["files"]]
    runs = read_runs(files, "predictions", same_videos="model")
    about = row["model"], row["dataset"], row["ours_on"]
    known: Row = {"seeds": seeds_of(runs)}
    first = runs["metadata"].iloc[0]
    if row["kind"] == "pretext":
        found = [differences_pretext(one, *about) for one in runs["metadata"]]
        known |= {"chance": percent(first["chance"])}
        return np.stack(runs["right"].tolist()), known, _united(found)
    found = [differences(one, *about) for one in runs["metadata"]]
    known |= {"chance": percent(1 / first["classes"])}
    return right(runs, PREDICTED[row["column"]]), known, _united(found)


def _of_finetuned(row: Row) -> tuple[Row, list[str]]:
    """The columns of a finetuned network, as Tables 2 and 3 have them; its differences."""
    runs = read_runs(row["files"], "predictions", same_videos="split")
    tests, first = tests_of(runs), runs["metadata"].iloc[0]
    found: Row = tests.accuracies("ours") | {"n": len(tests.label), "seeds": seeds_of(runs)}
    found |= {"chance": percent(1 / first["classes"])}
    return found, _united([differences_finetuned(one, row["ours_on"]) for one in runs["metadata"]])


def _of_curve(row: Row) -> tuple[np.ndarray, Row, list[str]]:
    """As `_of_runs`, of a measurement during pretraining, of which only the accuracy is known.

    All seeds are taken to be right on the same videos, which makes the interval wider, not
    narrower.
    """
    known, shares, found = row["known"], [], []
    for file in row["files"]:
        n, n_train = (pq.read_metadata(file[split]).num_rows for split in ("val", "train"))
        point = _point(row["kind"], file["curves"], known["first_drop"])
        shares.append(np.arange(n) < round(point["knn_top1"] / 100 * n))  # (n,)
        metadata = known | {"n_val": n, "n_train": n_train, "step": point["step"]}
        metadata["sampling"] = json.loads(json.dumps(asdict(sampling(known["clip"]))))
        at = row["kind"]
        found.append(differences_curve(metadata, at, row["model"], row["dataset"], row["ours_on"]))
    classes = read_classes(Path(row["files"][0]["classes"]))
    about: Row = {"seeds": " ".join(str(file["seed"]) for file in row["files"])}
    about |= {"chance": percent(1 / len(classes))}
    return np.stack(shares), about, _united(found)


def _point(kind: str, curves: Sequence[str], first_drop: str) -> Row:
    """The measurement at the end of the first stage, or the last one before the rate drops."""
    measured = [list(_measurements(Path(path))) for path in curves]
    if kind == "begin":
        chosen = measured[0]
    else:
        number, _, unit = first_drop.partition(" ")
        key = "epoch" if unit.startswith("epoch") else "step"
        every = [one for stage in measured for one in stage]
        chosen = [one for one in every if not number or one[key] <= float(number)]
    if not chosen:
        raise VieError(f"{curves[0]}: has no nearest-neighbour accuracy that early in training")
    return max(chosen, key=lambda one: float(one["step"]))


def _measurements(path: Path) -> Iterator[Row]:
    with path.open() as lines:
        yield from (row for row in map(json.loads, lines) if "knn_top1" in row)


def _united(found: Sequence[list[str]]) -> list[str]:
    """What some seed differs in, each once."""
    return list(dict.fromkeys(one for differ in found for one in differ))


@styled
def plot_published(table: pd.DataFrame, shown: Sequence[Row], paths: Sequence[Path]) -> None:
    """Published and own value of each row, joined by a line; full where they are comparable.

    Args:
        table: `published_table`.
        shown: of each row, its `group` and its name (`short`).
        paths: to write.
    """
    figure, [[axis]] = new_figure(10, 0.7 + 0.3 * len(table))
    at, full = np.arange(len(table)), table["comparable"].to_numpy(bool)
    draw_groups(axis, [one["group"] for one in shown], written=False)
    joint: dict[str, Any] = {"color": "#bbbbbb", "lw": 1.2, "zorder": 1}
    axis.hlines(at, table["published"], table["ours"].fillna(table["published"]), **joint)
    diamonds = {"marker": "D", "s": 50, "edgecolor": PUBLISHED_COLOUR, "zorder": 3}
    axis.scatter(table["published"], at, facecolor="white", label="published", **diamonds)
    for which, colour, face, words in (
        (full, BLUE, BLUE, "ours, comparable"),
        (~full, GREY, "white", "ours, not comparable"),
    ):
        part = which & table["ours"].notna().to_numpy()
        if part.any():
            own = table[part]
            line = {
                "fmt": "o",
                "ms": 5,
                "zorder": 4,
                "lw": 1.2,
                "color": colour,
                "mfc": face,
                "label": words,
            }
            axis.errorbar(own["ours"], at[part], xerr=own["ours_ci95"], **line)
    axis.scatter(table["chance"], at, marker="|", s=70, color=GREY, label="chance, for ours")
    axis.set_yticks(at, named(one["short"] for one in shown))
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.set_xlim(left=0)
    axis.grid(axis="x")
    axis.set_xlabel("right answers (%)")
    across, reasons = axis.get_yaxis_transform(), _why(table)
    for start, end in spans(reasons):
        words = textwrap.fill(reasons[start], 34)
        style: dict[str, Any] = {"va": "center", "fontsize": SMALL, "color": "#555555"}
        axis.text(1.02, (start + end - 1) / 2, words, transform=across, **style)
        ends: dict[str, Any] = {"color": "#999999", "lw": 1, "clip_on": False, "transform": across}
        axis.plot([1.01, 1.01], [start - 0.35, end - 0.65], **ends)
    number = int(full.sum())
    title = f"Published numbers and ours: {number or 'none'} of {len(table)} may be compared"
    own = table.dropna(subset="ours")
    notes = "Lines through circles: 95 % intervals, videos: "
    notes += ", ".join(
        f"{n:,} of {the(title)}" for title, n in own.groupby("ours_on")["n"].max().items()
    )
    finish(figure, title, notes, _seeds(own), paths)


def _seeds(own: pd.DataFrame) -> str:
    return str(own["seeds"].iloc[0]) if len(own) else ""


def _why(table: pd.DataFrame) -> list[str]:
    """Of each row, whether it is comparable, or the first reason why not, in words."""
    found = []
    for row in table.itertuples():
        first = str(row.why_not).partition(";")[0]
        missing = "not in this experiment" if pd.isna(row.ours) else f"not comparable: {first}"
        found.append("comparable" if row.comparable else missing)
    return found
