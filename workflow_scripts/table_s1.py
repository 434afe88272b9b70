"""Rules table_s1 and random_control: a table, its seeds one by one, and its plot."""

from pathlib import Path

from vie.logs import job
from vie.reporting.plots import plot_table
from vie.reporting.tables import probe_table, read_readouts, seed_table, write_csv

with job(snakemake.log[0]):
    readouts = read_readouts(
        snakemake.params.labels, snakemake.input.predictions, snakemake.input.facts
    )
    table = probe_table(readouts, Path(snakemake.input.published))
    write_csv(table, Path(snakemake.output.table))
    write_csv(seed_table(readouts), Path(snakemake.output.seeds))
    plot_table(
        table, snakemake.params.title, [Path(snakemake.output.svg), Path(snakemake.output.png)]
    )
