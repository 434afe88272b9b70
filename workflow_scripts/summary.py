"""Rule summary: what a dataset holds and what was rejected."""

from pathlib import Path

from vie.datasets.facts import expected_videos
from vie.reporting.summary import write_summary
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
