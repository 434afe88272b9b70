"""Rule learning_curves: what the monitor measures while networks train."""

from pathlib import Path

from vie.reporting.learning_curves import plot_curves, read_curves
from vie.reporting.tables import write_csv
from vie.runtime.logs import job

with job(snakemake.log[0]):
    curves = read_curves(snakemake.params.curves)
    write_csv(curves, Path(snakemake.output.table))
    plot_curves(curves, [Path(snakemake.output.svg), Path(snakemake.output.png)])
