"""Rule findings: which of the paper's findings an experiment's tables show."""

from pathlib import Path

from vie.reporting.findings import find, plot_findings, read_seeds
from vie.reporting.html_table import write_outputs
from vie.runtime.logs import job

with job(snakemake.log[0]):
    folder = Path(snakemake.output.table).parent
    found = find(read_seeds(folder), f"python -m vie.reporting.findings {folder}")
    plots = write_outputs(found, snakemake.output, "Which of the paper's findings show here?")
    plot_findings(found, snakemake.params.dataset, plots)
