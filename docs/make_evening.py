"""Renew docs/evening.md and docs/evening/ from an experiment's results:

    uv run snakemake --cores 8 --configfile experiments/evening.yaml -- \\
        results/evening/{findings,learning_curves}.csv
    uv run python docs/make_evening.py results/evening

`docs/evening/` has the accuracies of every seed, and the findings that are made of them alone.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vie.reporting.findings import ABSENT, SOURCES, find, read_seeds
from vie.reporting.tables import read_csv, write_csv

PAGE = Path(__file__).parent / "evening.md"
FOLDER = Path(__file__).parent / "evening"
PLOTS = ("findings.png", "learning_curves.png", "table_1.png")
COMMAND = "python -m vie.reporting.findings docs/evening"
BEGIN, END = "<!-- generated -->\n", "<!-- end -->\n"


def findings_of(folder: Path) -> pd.DataFrame:
    """The findings of the accuracies of every seed in a folder."""
    return find(read_seeds(folder), COMMAND)


def generated(folder: Path) -> str:
    """What stands between the marks, of the `*_seeds.csv` of a folder."""
    found, accuracies = findings_of(folder), read_csv(folder / "table_1_seeds.csv")
    seeds = ", ".join(map(str, sorted(accuracies["seed"].unique())))
    lines = ["| | finding | verdict |", "|---|---|---|"]
    for number, part in found.groupby("finding"):
        lines.append(f"| {number} | {part.iloc[0]['says']} | {part.iloc[0]['finding_verdict']} |")
    lines += ["", "| finding | higher | lower | difference | standard error | verdict |"]
    lines.append("|---|---|---|---|---|---|")
    for row in found[found["verdict"] != ABSENT].itertuples():
        sides = f"{row.higher} {row.higher_accuracy:.1f} | {row.lower} {row.lower_accuracy:.1f}"
        numbers = f"{row.difference:.1f} | {row.standard_error:.1f}"
        lines.append(f"| {row.finding} | {sides} | {numbers} | {row.verdict} |")
    lines += ["", f"Accuracies (%) on {accuracies['n_val'].max()} validation videos, means of the"]
    lines += [f"seeds {seeds}:", "", "| network | Conv3 | Conv4 | Conv5 | 10 nearest neighbours |"]
    lines.append("|---|---|---|---|---|")
    means = accuracies.groupby("model", sort=False)[["conv3", "conv4", "conv5", "knn10"]].mean()
    for model, row in means.iterrows():
        lines.append(f"| {model} | {' | '.join(f'{value:.1f}' for value in row)} |")
    return "\n".join(lines)


def renewed(page: str, folder: Path) -> str:
    """The page with what is generated made anew."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{generated(folder)}\n\n{END}{rest.partition(END)[2]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Copy the files and renew the page."""
    parser = argparse.ArgumentParser(description="Renew docs/evening.md.")
    parser.add_argument("results", type=Path, help="results/<experiment>")
    results = parser.parse_args(arguments).results
    FOLDER.mkdir(exist_ok=True)
    for name in (*PLOTS, *(f"{source}_seeds.csv" for source in SOURCES)):
        shutil.copy(results / name, FOLDER / name)
    write_csv(findings_of(FOLDER), FOLDER / "findings.csv")
    PAGE.write_text(renewed(PAGE.read_text(), FOLDER))


if __name__ == "__main__":
    main()
