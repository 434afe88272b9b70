"""Renew the measured numbers of a page from an experiment's results:

    uv run snakemake --cores 8 -- results/{table_1,learning_curves}.csv
    uv run python docs/make_measured.py results/demo
    uv run snakemake --cores 8 --configfile experiments/evening.yaml -- \\
        results/evening/{findings,learning_curves}.csv
    uv run python docs/make_measured.py results/evening

`docs/demo/` and `docs/evening/` have the accuracies of every seed, and the findings that are made
of them alone.
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from vie.config.settings import LAYERS
from vie.reporting.findings import ABSENT, SOURCES, find, read_seeds
from vie.reporting.tables import read_csv, write_csv

DOCS = Path(__file__).parent
PAGES = {"demo": DOCS / "embedded-dataset.md", "evening": DOCS / "evening.md"}
PLOTS = ("findings.png", "learning_curves.png", "table_1.png")
BEGIN, END = "<!-- generated -->\n", "<!-- end -->\n"
COLUMNS = [*LAYERS, "knn10"]


def findings_of(folder: Path) -> pd.DataFrame:
    """The findings of the accuracies of every seed in a folder."""
    return find(read_seeds(folder), f"python -m vie.reporting.findings docs/{folder.name}")


def findings_lines(found: pd.DataFrame) -> Iterator[str]:
    """The findings and, of each, the differences that were tested."""
    found = found[found["verdict"] != ABSENT]
    yield from ("| | finding | verdict |", "|---|---|---|")
    for number, part in found.groupby("finding"):
        yield f"| {number} | {part.iloc[0]['says']} | {part.iloc[0]['finding_verdict']} |"
    yield from ("", "| finding | higher | lower | difference | standard error | verdict |")
    yield "|---|---|---|---|---|---|"
    for row in found.itertuples():
        sides = f"{row.higher} {row.higher_accuracy:.1f} | {row.lower} {row.lower_accuracy:.1f}"
        numbers = f"{row.difference:.1f} | {row.standard_error:.1f}"
        yield f"| {row.finding} | {sides} | {numbers} | {row.verdict} |"


def accuracy_lines(accuracies: pd.DataFrame) -> Iterator[str]:
    """Means over seeds and, of the layer that is best in the mean, each seed and the deviation."""
    accuracies = accuracies.sort_values("seed", kind="stable")
    seeds = ", ".join(map(str, accuracies["seed"].unique()))
    videos = accuracies["n_val"].max()
    yield f"Accuracies (%) on {videos} validation videos, means of the seeds {seeds}."
    yield "The columns on the right have the accuracy of each seed at the layer that is best on"
    yield from ("average, and the standard deviation over seeds.", "")
    yield (
        "| network | Conv3 | Conv4 | Conv5 | 10 nearest neighbours | "
        f"best layer, seeds {seeds} | deviation |"
    )
    yield "|---|---|---|---|---|---|---|"
    for model, own in accuracies.groupby("model", sort=False):
        best = own[own[list(LAYERS)].mean().idxmax()]
        means = " | ".join(f"{value:.1f}" for value in own[COLUMNS].mean())
        each = ", ".join(f"{value:.1f}" for value in best)
        yield f"| {model} | {means} | {each} | {best.std():.1f} |"


def generated(folder: Path) -> str:
    """What stands between the marks, of the `*_seeds.csv` of a folder."""
    accuracies = read_csv(folder / "table_1_seeds.csv")
    return "\n".join([*findings_lines(findings_of(folder)), "", *accuracy_lines(accuracies)])


def renewed(page: str, folder: Path) -> str:
    """The page with what is generated made anew.

    Raises:
        ValueError: the page has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    if not begin:
        raise ValueError(f"the page lacks the line {BEGIN.strip()}")
    return f"{before}{BEGIN}\n{generated(folder)}\n\n{END}{rest.partition(END)[2]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Copy the files and renew the page."""
    parser = argparse.ArgumentParser(description="Renew measured numbers in the docs.")
    parser.add_argument("results", type=Path, help="results/demo or results/evening")
    results = parser.parse_args(arguments).results
    page, folder = PAGES[results.name], DOCS / results.name
    folder.mkdir(exist_ok=True)
    for name in (*PLOTS, *(f"{source}_seeds.csv" for source in SOURCES)):
        if (results / name).exists():
            shutil.copy(results / name, folder / name)
        else:  # of an earlier run
            (folder / name).unlink(missing_ok=True)
    write_csv(findings_of(folder), folder / "findings.csv")
    page.write_text(renewed(page.read_text(), folder))


if __name__ == "__main__":
    main()
