"""Rule summary: what a dataset holds and what was rejected."""

from pathlib import Path

import pandas as pd

from vie.config.layouts import the
from vie.datasets.facts import expected_videos
from vie.frames.extract import REJECTED_COLUMNS, read_rejected
from vie.reporting.html_table import write_page
from vie.reporting.summary import write_summary
from vie.reporting.tables import read_csv
from vie.runtime.logs import job

with job(snakemake.log[0]):
    files, splits = snakemake.input, snakemake.params.splits
    write_summary(
        dict(zip(splits, map(Path, files.indexes), strict=True)),
        dict(zip(splits, map(Path, files.rejected), strict=True)),
        Path(files.classes),
        Path(snakemake.output.table),
        [Path(snakemake.output.svg), Path(snakemake.output.png)],
        expected_videos(snakemake.params.official_name),
        snakemake.params.title,
    )
    output, title = snakemake.output, snakemake.params.title
    write_page(read_csv(output.table), Path(output.page), f"Files of {the(title)}")
    rejected = [
        {"split": split} | row
        for split, path in zip(splits, files.rejected, strict=True)
        for row in read_rejected(Path(path))
    ]
    table = pd.DataFrame(rejected, columns=["split", *REJECTED_COLUMNS])
    write_page(table, Path(output.rejected), f"Rejected files of {the(title)}")
