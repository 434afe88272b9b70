"""Renew the table of published numbers in docs/reproduction.md, and README's line on them:

    uv run snakemake --cores 8 results/published.csv
    uv run python docs/make_reproduction.py results/demo/published.csv

A test compares all but the demo's own numbers with the files of published values.
"""

import argparse
from pathlib import Path

import pandas as pd

PAGE = Path(__file__).parent / "reproduction.md"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- generated -->\n", "<!-- end -->\n"


def generated(table: pd.DataFrame) -> str:
    """What stands between the marks, of `results/<experiment>/published.csv`."""
    lines = ["", "| model | quantity | dataset | published | demo | command makes |"]
    lines.append("|---|---|---|---|---|---|")
    for row in table.itertuples():
        ours = "" if pd.isna(row.ours) else f"{row.ours:.2f} ± {row.ours_ci95:.2f}"
        made = f"`{row.command.rpartition(' ')[2]}`"
        about = row.model, row.quantity, row.dataset, f"{row.published:g}", ours, made
        lines.append(f"| {' | '.join(about)} |")
    commands = dict.fromkeys(table["command"])
    return "\n".join([*lines, "", "The commands:", "", "```bash", *commands, "```", ""])


def status(table: pd.DataFrame) -> str:
    """README's sentence."""
    count = (table["comparable"] & table["ours"].notna()).sum()
    said = f"{count or 'none'} {'was' if count < 2 else 'were'}"
    return (
        f"**Status:** Of {len(table)} published numbers that are known here, {said} reproduced "
        "at the paper's scale."
    )


def renewed(page: str, text: str) -> str:
    """The page with what stands between the marks made anew."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{text}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Renew the pages."""
    parser = argparse.ArgumentParser(description="Renew docs/reproduction.md.")
    parser.add_argument("table", type=Path, help="results/<experiment>/published.csv")
    table = pd.read_csv(parser.parse_args().table)
    for page, text in ((PAGE, generated(table)), (README, status(table))):
        page.write_text(renewed(page.read_text(), text))
        print(page)


if __name__ == "__main__":
    main()
