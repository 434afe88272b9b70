"""Rule ablations: the table of ablations, its seeds one by one, and its plot."""

from pathlib import Path

import pandas as pd

from vie.reporting.ablation_plot import plot_ablations
from vie.reporting.ablation_table import ablation_table
from vie.reporting.html_table import write_outputs
from vie.reporting.runs import read_runs
from vie.reporting.tables import seed_table, write_csv
from vie.runtime.logs import job

with job(snakemake.log[0]):
    output = snakemake.output
    runs = read_runs(snakemake.params.runs, "predictions", same_videos="dataset")
    table = ablation_table(runs)
    plots = write_outputs(table, output, "What does one changed setting change? (ablations)")
    write_csv(pd.concat([runs["of"], seed_table(runs)], axis=1), Path(output.seeds))
    plot_ablations(table, plots)
