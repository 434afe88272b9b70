"""Rule comparison: rows of all experiments' Tables 1 and S1, and their plot."""

from pathlib import Path

from vie.reporting.html_table import write_page
from vie.reporting.plots import plot_comparison
from vie.reporting.tables import compare, write_csv
from vie.runtime.logs import job

with job(snakemake.log[0]):
    rows, output = compare([Path(path) for path in snakemake.input]), snakemake.output
    write_csv(rows, Path(output.table))
    write_page(rows, Path(output.page), "Tables 1 and S1 of all experiments")
    plot_comparison(rows, [Path(output.svg), Path(output.png)])
