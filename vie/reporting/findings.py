"""The paper's findings as differences between rows of tables, each with its verdict.

    python -m vie.reporting.findings results/evening -o findings.csv

reads the accuracies of every seed, which an experiment's tables have in `*_seeds.csv`.
"""

import argparse
import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vie.config.layouts import the
from vie.config.settings import LAYERS
from vie.reporting.drawing import finish, named, new_figure
from vie.reporting.style import BAD, DARK, GOOD, NEITHER, styled
from vie.reporting.tables import read_csv, write_csv
from vie.runtime.errors import VieError

FINETUNED = ("table_2", "table_3")
SOURCES = ("table_1", *FINETUNED, "ablations")  # with the ending _seeds.csv
ENOUGH = 2  # standard errors from which on a difference counts
BEST = "best"  # in place of a layer: the one that is best in the mean of the seeds
ABLATED = "VIE-Single"  # the full model of the ablations that are compared
# Verdicts, and their colours in the plot.
SHOWN, OPEN, AGAINST, ABSENT = "shown", "not shown", "contradicted", "not tested"
COLOURS = {SHOWN: GOOD, OPEN: NEITHER, AGAINST: BAD}


class Row(NamedTuple):
    """What one side of a comparison is: accuracies of every seed."""

    model: str  # as tables name it
    layer: str = BEST  # a column, or `BEST`

    def __str__(self) -> str:
        return self.model if self.layer == BEST else f"{self.model} {self.layer}"


class Comparison(NamedTuple):
    """A row of a table that the paper finds above another one."""

    higher: Row
    lower: Row
    source: str = SOURCES[0]


class Finding(NamedTuple):
    """What the paper finds; it is shown if all its comparisons are."""

    says: str
    comparisons: tuple[Comparison, ...]


def _above(*models: str, source: str = SOURCES[0]) -> tuple[Comparison, ...]:
    """Each model above the next one."""
    pairs = itertools.pairwise(map(Row, models))
    return tuple(Comparison(high, low, source) for high, low in pairs)


def _deeper(*models: str) -> tuple[Comparison, ...]:
    """Each layer of each model above the one before."""
    pairs = list(itertools.pairwise(LAYERS))
    return tuple(Comparison(Row(m, high), Row(m, low)) for m in models for low, high in pairs)


INPUTS = ("Single", "TRN", "3DResNet", "Slow", "SlowFast")
FINDINGS = (
    Finding(
        "untrained < RotNet, OPN, 3DRotNet < VIE of the same input",
        (
            *_above("VIE-Single", "RotNet", "Random-Single"),
            *_above("VIE-Single", "OPN", "Random-Single"),
            *_above("VIE-3DResNet", "3DRotNet", "Random-3DResNet"),
        ),
    ),
    Finding(
        "Conv3 < Conv4 < Conv5 for Input-Single and 3DResNet, of which it is published",
        _deeper(*(f"{name}-Input-Single" for name in ("TRN", "Slow", "Sf")), "VIE-3DResNet"),
    ),
    Finding(
        "several frames beat one, and the average of frames does not explain it",
        (
            *_above("VIE-TRN", "TRN-Input-Single"),
            *_above("VIE-Slow", "Slow-Input-Single"),
            *_above("VIE-SlowFast", "Sf-Input-Single"),
            *(c for name in INPUTS[1:] for c in _above(f"VIE-{name}", "VIE-Single")),
        ),
    ),
    Finding("Slow < SlowFast < TwoPathway", _above("VIE-TwoPathway", "VIE-SlowFast", "VIE-Slow")),
    Finding(
        "local aggregation adds to instance recognition",
        _above(ABLATED, "instance recognition alone", source="ablations"),
    ),
    Finding(
        "30 % < 70 % < 100 % of the videos",
        _above(ABLATED, "70 % of the videos", "30 % of the videos", source="ablations"),
    ),
    Finding(
        "finetuning from VIE > from 3DRotNet > from scratch",
        tuple(
            one
            for table in ("table_2", "table_3")
            for one in _above("VIE-3DResNet", "3DRotNet", "Scratch-3DResNet", source=table)
        ),
    ),
    Finding(
        "VIE lies between untrained and supervised",
        tuple(
            one
            for name in INPUTS
            for one in _above(f"Supervised-{name}", f"VIE-{name}", f"Random-{name}")
        ),
    ),
    Finding(
        "Conv3 < Conv4 < Conv5 for the other VIE networks",
        _deeper(*(f"VIE-{name}" for name in ("Single", "TRN", "Slow", "SlowFast", "TwoPathway"))),
    ),
)


def read_seeds(folder: Path) -> dict[str, pd.DataFrame]:
    """Accuracies (%) of every seed by source: one row per model and seed, one column per layer.

    Of finetuning the columns are the targets. `n` are the videos that it was tested on. Files that
    are absent are left out.

    Raises:
        VieError: the folder has none.
    """
    found = {}
    for source in SOURCES:
        path = folder / f"{source}_seeds.csv"
        if not path.is_file():
            continue
        table = read_csv(path)
        if "target" in table:
            wide = table.pivot_table("top1", ["model", "seed"], "target", sort=False)
            n_val = table.groupby("target")["n_test"].max().sum()
            table = wide.reset_index().assign(n_val=n_val)
        if "of" in table:
            table = table[table["of"] == ABLATED].drop(columns="of")
        found[source] = table.drop(columns="knn10", errors="ignore").rename(columns={"n_val": "n"})
    if not found:
        wanted = ", ".join(f"{source}_seeds.csv" for source in SOURCES)
        raise VieError(f"{folder}: there is none of {wanted}: make the tables of the experiment")
    return found


def _accuracies(table: pd.DataFrame, row: Row) -> pd.Series | None:
    """(seeds,) of a row, by seed; None where the table lacks it.

    Of `BEST` the mean of finetuning's targets, or the layer that is best in the mean of the seeds:
    chosen once for all seeds, or the best of noise would win.
    """
    own = table[table["model"] == row.model].set_index("seed").drop(columns=["model", "n"])
    if own.empty or (row.layer != BEST and row.layer not in own):
        return None
    if row.layer != BEST:
        return own[row.layer]
    if set(own.columns) <= set(LAYERS):
        return own[own.mean().idxmax()]
    return own.mean(axis=1)


def compare(comparison: Comparison, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """One line of the table of findings: the difference, in points, over seeds, and a verdict.

    With S seeds and the differences d_s of the two networks of a seed, the standard error is that
    of their mean, std(d) / sqrt(S). A difference of `ENOUGH` or more of them is shown, or
    contradicted. One seed has no standard error: nothing is shown by it.
    """
    source = f"{comparison.source}_seeds.csv"
    line: dict[str, Any] = {
        "higher": str(comparison.higher),
        "lower": str(comparison.lower),
        "from": source,
    }
    sides = [
        _accuracies(tables[comparison.source], row) if comparison.source in tables else None
        for row in comparison[:2]
    ]
    high, low = sides
    seeds = [] if high is None or low is None else sorted({*high.index} & {*low.index})
    if high is None or low is None or not seeds:
        return line | {"seeds": "", "verdict": ABSENT}
    differences = (high.loc[seeds] - low.loc[seeds]).to_numpy()
    mean, several = float(differences.mean()), len(seeds) > 1
    error = float(differences.std(ddof=1) / np.sqrt(len(seeds))) if several else float("nan")
    verdict = OPEN
    if several and mean and abs(mean) >= ENOUGH * error:
        verdict = SHOWN if mean > 0 else AGAINST
    return line | {
        "n": tables[comparison.source]["n"].iloc[0],
        "higher_accuracy": round(float(high.loc[seeds].mean()), 2),
        "lower_accuracy": round(float(low.loc[seeds].mean()), 2),
        "difference": round(mean, 2),
        "standard_error": round(error, 2),
        "seeds": " ".join(map(str, seeds)),
        "verdict": verdict,
    }


def find(tables: Mapping[str, pd.DataFrame], command: str) -> pd.DataFrame:
    """The table of findings: one row per comparison, with the verdict on its finding as a whole.

    Args:
        tables: `read_seeds`.
        command: that makes the tables; it stands in each row.
    """
    rows = []
    for number, finding in enumerate(FINDINGS, start=1):
        lines = [compare(one, tables) for one in finding.comparisons]
        whole = overall([line["verdict"] for line in lines])
        about = {"finding": number, "says": finding.says, "finding_verdict": whole}
        rows += [about | line | {"command": command} for line in lines]
    columns = ["higher_accuracy", "lower_accuracy", "difference", "standard_error"]
    order = ["finding", "says", "finding_verdict", "higher", "lower", *columns]
    return pd.DataFrame(rows, columns=[*order, "seeds", "n", "verdict", "from", "command"])


def overall(verdicts: Sequence[str]) -> str:
    """The verdict on a finding: as its comparisons, contradicted if one is."""
    if AGAINST in verdicts:
        return AGAINST
    if set(verdicts) == {SHOWN}:
        return SHOWN
    return ABSENT if ABSENT in verdicts else OPEN


@styled
def plot_findings(found: pd.DataFrame, dataset: str, paths: Sequence[Path]) -> None:
    """Every comparison that was tested: its difference, and two standard errors.

    Args:
        found: of `find`.
        dataset: what the videos are of.
        paths: to write.
    """
    tested = found[found["verdict"] != ABSENT]
    panels = list(tested.groupby("finding"))
    if not panels:
        raise VieError("no finding was tested: the tables have none of the rows that they compare")
    heights = [len(part) + 1.2 for _, part in panels]
    grid = {"nrows": len(panels), "sharex": True, "height_ratios": heights}
    figure, axes = new_figure(8.2, 0.4 + 0.21 * sum(heights), **grid)
    for (number, part), axis in zip(panels, axes[:, 0], strict=True):
        places = np.arange(len(part))
        for verdict, colour in COLOURS.items():
            own = (part["verdict"] == verdict).to_numpy()
            halves = ENOUGH * part["standard_error"].fillna(0)
            style: dict[str, Any] = {"fmt": "o", "ms": 4, "lw": 1.4, "color": colour}
            axis.errorbar(
                part["difference"][own], places[own], xerr=halves[own], label=verdict, **style
            )
        names = [f"{row.higher} - {row.lower}" for row in part.itertuples()]
        axis.set_yticks(places, named(names), fontsize=7)
        axis.set_ylim(len(part) - 0.4, -0.6)
        axis.axvline(0, color=DARK, lw=1)
        axis.grid(axis="x")
        first = part.iloc[0]
        words = f"{number}. {first['says']}: {first['finding_verdict']}"
        axis.set_title(textwrap.fill(words, 78), loc="left")
    axes[-1, 0].set_xlabel("difference of accuracies (points)")
    finetuned = tested["from"].isin([f"{name}_seeds.csv" for name in FINETUNED])
    notes = f"Lines: {ENOUGH} standard errors over seeds"
    for rows, what in (
        (~finetuned, f"validation videos of {the(dataset)}"),
        (finetuned, "test videos of finetuning"),
    ):
        if rows.any():
            notes += f", {tested.loc[rows, 'n'].iloc[0]:,.0f} {what}"
    seeds = tested["seeds"].iloc[0]
    title = "Which of the paper's findings show?"
    finish(figure, title, notes, seeds, paths)


def main() -> None:
    """Make the table of a folder's files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="with the *_seeds.csv of an experiment")
    parser.add_argument("-o", "--output", type=Path, required=True, help="CSV to write")
    asked = parser.parse_args()
    try:
        found = find(read_seeds(asked.folder), f"python -m vie.reporting.findings {asked.folder}")
        write_csv(found, asked.output)
    except VieError as error:
        parser.exit(1, f"error: {error}\n")
    for number, part in found.groupby("finding"):
        first = part.iloc[0]
        print(f"{number}. {first['says']}: {first['finding_verdict']}")


if __name__ == "__main__":
    main()
