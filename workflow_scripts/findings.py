"""Rule findings: which of the paper's findings an experiment's tables show."""

from pathlib import Path

from vie.reporting.findings import find, plot_findings, read_seeds
from vie.reporting.html_table import write_page
from vie.reporting.tables import write_csv
from vie.runtime.logs import job

with job(snakemake.log[0]):
    output, folder = snakemake.output, Path(snakemake.output.table).parent
    found = find(read_seeds(folder), f"python -m vie.reporting.findings {folder}")
    write_csv(found, Path(output.table))
    write_page(found, Path(output.page), "Which of the paper's findings show here?")
    plot_findings(found, snakemake.params.dataset, [Path(output.svg), Path(output.png)])
