"""Rules table_s1 and random_control: a table, its seeds one by one, and its plot."""

from pathlib import Path

from vie.reporting.plots import plot_bars
from vie.reporting.published import read_published
from vie.reporting.tables import probe_table, read_evaluations, seed_table, write_csv
from vie.runtime.logs import job
from vie.workflow.paths import PUBLISHED

with job(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    evaluations = read_evaluations(
        params.labels, snakemake.input.predictions, snakemake.input.metadata
    )
    theirs = read_published(PUBLISHED, list(params.labels.values()), all_known=True)
    table = probe_table(evaluations, theirs)
    write_csv(table, Path(output.table))
    write_csv(seed_table(evaluations), Path(output.seeds))
    plot_bars(table, params.title, [Path(output.svg), Path(output.png)])
