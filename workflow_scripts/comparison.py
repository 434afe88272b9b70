"""Rule comparison: rows of all experiments' Tables 1 and S1, and their plot."""

from pathlib import Path

from vie.reporting.html_table import write_outputs
from vie.reporting.plots import plot_comparison
from vie.reporting.tables import compare
from vie.runtime.logs import job

with job(snakemake.log[0]):
    rows = compare([Path(path) for path in snakemake.input])
    plots = write_outputs(rows, snakemake.output, "Tables 1 and S1 of all experiments")
    plot_comparison(rows, plots)
