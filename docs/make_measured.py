"""Renew the measured numbers and plots of the docs from an experiment's results:

    uv run snakemake --cores 8 -- all results/demo/{map,neighbours}_vie_slow.png
    uv run python docs/make_measured.py results/demo
    uv run snakemake --cores 8 --configfile experiments/evening.yaml -- \\
        results/evening/{findings,learning_curves}.csv
    uv run python docs/make_measured.py results/evening

Pages name what they show: a block between `<!-- generated NAME -->` and `<!-- end -->` is the table
NAME.csv, or what `MADE` makes. `docs/demo/` and `docs/evening/` have the files that they are made
of. Files that the results lack stay as they are.
`docs/demo/machines/` has table_s1_seeds.csv of other runs (plain_kernels.csv more rows), and
`five_seeds.csv` is table_1_seeds.csv of five seeds; embedded-dataset.md has their commands.
"""

import argparse
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from vie.config.settings import LAYERS
from vie.reporting.findings import ABSENT, FINETUNED, SOURCES, find, read_seeds
from vie.reporting.html_table import CI
from vie.reporting.tables import read_csv, write_csv
from vie.workflow.targets import outcome

DOCS = Path(__file__).parent
PAGES = {
    "demo": (
        "../README.md",
        "embedded-dataset.md",
        "finetuning.md",
        "ablations.md",
        "reproduction.md",
    ),
    "evening": ("evening.md",),
}
BLOCK = re.compile(r"<!-- generated (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)
COLUMNS = [*LAYERS, "knn10"]
INPUTS = {"OPN": "Single", "RotNet": "Single", "3DRotNet": "3DResNet"}  # networks of baselines
SEEDS = (0, 1, 2)  # of both experiments; pages speak of them


def findings_of(folder: Path) -> pd.DataFrame:
    """The findings of the accuracies of every seed in a folder."""
    return find(read_seeds(folder), f"python -m vie.reporting.findings docs/{folder.name}")


def findings_lines(folder: Path) -> Iterator[str]:
    """The findings and, of each, the differences that were tested."""
    found = findings_of(folder)
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


def accuracy_lines(folder: Path, file: str = "table_1_seeds.csv") -> Iterator[str]:
    """Means over seeds and, of the layer that is best in the mean, each seed and the deviation."""
    accuracies = read_csv(folder / file).sort_values("seed", kind="stable")
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


def in_intervals(accuracies: pd.DataFrame, table: pd.DataFrame) -> str:
    """How many accuracies, in rows that are named as the table's, lie in its 95 % intervals."""
    expected, names = table.loc[accuracies.index], list(accuracies)
    off = abs(accuracies - expected[names]).round(2).to_numpy()
    inside = off <= expected[[f"{name}{CI}" for name in names]].to_numpy()
    return f"{inside.sum()} of {inside.size}"


def more_seeds_lines(folder: Path) -> Iterator[str]:
    """As `accuracy_lines`, of more seeds than Table 1 has; how many its intervals hold."""
    yield from accuracy_lines(folder, "five_seeds.csv")
    table = read_csv(folder / "table_1.csv").set_index("model")
    rows = read_csv(folder / "five_seeds.csv").query("seed not in @SEEDS").set_index("model")
    seeds = " and ".join(map(str, sorted(rows["seed"].unique())))
    lie = in_intervals(rows[COLUMNS], table)
    yield from (
        "",
        f"Of the accuracies of seeds {seeds}, {lie} lie in the 95 % intervals of Table 1.",
    )


def machine_lines(folder: Path) -> Iterator[str]:
    """Conv5 of Table S1 in its own run and those of `machines/`; how many means, of three rows and
    layers, lie in its intervals; the deviation over runs whose numbers differ, with seed 0."""
    table, layers = read_csv(folder / "table_s1.csv").set_index("model"), list(LAYERS)
    yield f"| run | seeds | {' | '.join(table.index)} | in the intervals |"
    yield "|---|---|---|---|---|---|"
    first, means = [], []
    for path in (folder / "table_s1_seeds.csv", *sorted((folder / "machines").glob("*.csv"))):
        rows = read_csv(path).query("model in @table.index").sort_values("seed", kind="stable")
        conv5 = rows.pivot(index="seed", columns="model", values=layers[-1])[table.index]
        first.append(conv5.loc[0])
        means.append(rows.groupby("model")[layers].mean())
        name = "the table's" if path.parent == folder else path.stem.replace("_", " ")
        cells = [", ".join(f"{one:.1f}" for one in conv5[model]) for model in conv5]
        about = name, ", ".join(map(str, conv5.index)), *cells
        yield f"| {' | '.join(about)} | {in_intervals(means[-1], table)} |"
    deviations = pd.DataFrame(first).drop_duplicates().std()
    cells = [f"{one:.1f}" for one in deviations]
    others = pd.concat([one for one in means[1:] if not one.equals(means[0])])
    about = "deviation over runs that differ", "0", *cells
    yield f"| {' | '.join(about)} | {in_intervals(others, table)} |"


def kernel_lines(folder: Path) -> Iterator[str]:
    """Networks that were trained with other instructions of the same processor, and as usual."""
    usual = read_csv(folder / "table_1_seeds.csv").set_index(["model", "seed"])[COLUMNS]
    plain = read_csv(folder / "machines/plain_kernels.csv").set_index(["model", "seed"])[COLUMNS]
    yield "| network | Conv3 | Conv4 | Conv5 | 10 nearest neighbours |"
    yield "|---|---|---|---|---|"
    for key, row in plain.iterrows():
        pairs = zip(usual.loc[key], row, strict=True)
        yield f"| {key[0]} | {' | '.join(f'{one:.1f}, {other:.1f}' for one, other in pairs)} |"


def gain_lines(folder: Path) -> Iterator[str]:
    """Accuracy of finetuned networks above the same network from scratch, of each seed: means over
    datasets and tables."""
    seeds = pd.concat([read_csv(folder / f"{one}_seeds.csv") for one in FINETUNED])
    means = seeds.pivot_table(index="seed", columns="model", values="top1", sort=False)
    each = ", ".join(map(str, means.index))
    yield f"| network | above | difference, seeds {each} | mean | standard error |"
    yield "|---|---|---|---|---|"
    for model in means:
        scratch = f"Scratch-{INPUTS.get(model, model.partition('-')[2])}"
        if scratch in means and scratch != model:
            gains = means[model] - means[scratch]
            cells = model, scratch, ", ".join(f"{one:+.1f}" for one in gains)
            yield f"| {' | '.join(cells)} | {gains.mean():+.1f} | {gains.sem():.1f} |"


def ablation_lines(folder: Path) -> Iterator[str]:
    """Accuracies and paired differences from the full model above."""
    yield "| | Conv5, % | difference, points | difference of nearest neighbours |"
    yield "|---|---|---|---|"
    for row in read_csv(folder / "ablations.csv").to_dict("records"):
        cells = [f"{row['conv5']:.1f} ± {row[f'conv5{CI}']:.1f}"]
        for name in ("conv5_difference", "knn10_difference"):
            full = pd.isna(row[name])
            cells.append("" if full else f"{row[name]:+.1f} ± {row[f'{name}{CI}']:.1f}")
        yield f"| {row['model']} | {' | '.join(cells)} |"


def published_lines(folder: Path) -> Iterator[str]:
    """Published numbers beside those of the demo, and the commands that make them."""
    table = read_csv(folder / "published.csv")
    yield "| model | quantity | dataset | published | demo | command makes |"
    yield "|---|---|---|---|---|---|"
    for row in table.itertuples():
        ours = "" if pd.isna(row.ours) else f"{row.ours:.2f} ± {row.ours_ci95:.2f}"
        made = f"`{row.command.rpartition(' ')[2]}`"
        about = row.model, row.quantity, row.dataset, f"{row.published:g}", ours, made
        yield f"| {' | '.join(about)} |"
    yield from ("", "The commands:", "", "```bash", *dict.fromkeys(table["command"]), "```")


def printed_lines(folder: Path) -> Iterator[str]:
    """What a run prints of Table S1 when it is done."""
    text = outcome([str(folder / "table_s1.csv")]).partition("\n\n")[0]
    yield from ("```", text.replace(str(folder), "results"), "```")


def status_lines(folder: Path) -> Iterator[str]:
    """README's sentence on published numbers."""
    table = read_csv(folder / "published.csv")
    count = (table["comparable"] & table["ours"].notna()).sum()
    said = f"{count or 'none'} {'was' if count < 2 else 'were'}"
    yield (
        f"**Status:** Of {len(table)} published numbers that are known here, {said} reproduced "
        "at the paper's scale."
    )


# What blocks of this name show, and the files that it is made of.
MADE = {
    "findings": (findings_lines, [f"{source}_seeds.csv" for source in SOURCES]),
    "accuracies": (accuracy_lines, ["table_1_seeds.csv"]),
    "more_seeds": (more_seeds_lines, ["table_1.csv"]),
    "ablations": (ablation_lines, ["ablations.csv"]),
    "gains": (gain_lines, [f"{one}_seeds.csv" for one in FINETUNED]),
    "kernels": (kernel_lines, ["table_1_seeds.csv"]),
    "machines": (machine_lines, ["table_s1.csv", "table_s1_seeds.csv"]),
    "printed": (printed_lines, ["table_s1.csv"]),
    "published": (published_lines, ["published.csv"]),
    "status": (status_lines, ["published.csv"]),
}


def table_lines(path: Path) -> Iterator[str]:
    """A table of results: what rows are of, and values with the half-widths of their intervals."""
    table = read_csv(path)
    values = [name for name in table if f"{name}{CI}" in table]
    labels = list(table.columns[: table.columns.get_loc(values[0])])
    yield f"| {' | '.join([*labels, *values])} |"
    yield f"|{'---|' * len([*labels, *values])}"
    for row in table.to_dict("records"):
        cells = [str(row[name]) for name in labels]
        cells += [f"{row[name]:.1f} ± {row[f'{name}{CI}']:.1f}" for name in values]
        yield f"| {' | '.join(cells)} |"


def renewed(page: str, folder: Path) -> str:
    """The page with its blocks made anew."""

    def block(found: re.Match[str]) -> str:
        name = found[1]
        lines = MADE[name][0](folder) if name in MADE else table_lines(folder / f"{name}.csv")
        return "\n".join((f"<!-- generated {name} -->\n", *lines, "\n<!-- end -->\n"))

    return BLOCK.sub(block, page)


def shown(experiment: str) -> set[str]:
    """Files of docs/demo or docs/evening that pages are made of or show."""
    text = "".join((DOCS / page).read_text() for page in PAGES[experiment])
    files = (MADE[name][1] if name in MADE else [f"{name}.csv"] for name in BLOCK.findall(text))
    return set(re.findall(rf"\]\((?:docs/)?{experiment}/(\w+\.png)\)", text)).union(*files)


def main(arguments: Sequence[str] | None = None) -> None:
    """Copy the files and renew the pages."""
    parser = argparse.ArgumentParser(description="Renew measured numbers in the docs.")
    parser.add_argument("results", type=Path, help="results/demo or results/evening")
    results = parser.parse_args(arguments).results
    if results.name not in PAGES or not results.is_dir():
        parser.error(f"{results}: no folder, or none of the experiments {', '.join(PAGES)}")
    for path in results.glob("table_*1_seeds.csv"):
        if (seeds := tuple(sorted(set(read_csv(path)["seed"])))) != SEEDS:
            parser.error(f"{path}: seeds are {seeds}, and the pages are of {SEEDS}")
    folder = DOCS / results.name
    folder.mkdir(exist_ok=True)
    for name in sorted(shown(results.name)):
        if (results / name).exists():
            shutil.copy(results / name, folder / name)
    write_csv(findings_of(folder), folder / "findings.csv")
    for page in (DOCS / name for name in PAGES[results.name]):
        page.write_text(renewed(page.read_text(), folder))


if __name__ == "__main__":
    main()
