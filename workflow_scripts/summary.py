"""Rule summary: what a dataset holds and what was rejected."""

from pathlib import Path

from vie.data.summary import write_summary
from vie.logs import job

with job(snakemake.log[0]):
    files = snakemake.input
    write_summary(
        {"train": Path(files.train), "val": Path(files.val)},
        {"train": Path(files.train_rejected), "val": Path(files.val_rejected)},
        Path(files.classes),
        Path(snakemake.output.table),
        [Path(snakemake.output.svg), Path(snakemake.output.png)],
    )
