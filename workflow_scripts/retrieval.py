"""Rule retrieval: R@k and mAP of every network, its seeds one by one, and its plot."""

from pathlib import Path

from vie.reporting.html_table import write_outputs
from vie.reporting.plots import plot_retrieval
from vie.reporting.retrieval_table import read_rankings, retrieval_seeds, retrieval_table
from vie.reporting.tables import write_csv
from vie.runtime.logs import job

with job(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    splits = {target: Path(path) for target, path in params.splits.items()}
    runs = read_rankings(params.runs, splits, params.layers)
    table = retrieval_table(runs)
    plots = write_outputs(table, output, "How often are the nearest videos of the same class?")
    write_csv(retrieval_seeds(runs), Path(output.seeds))
    plot_retrieval(table, params.titles, plots, params.ceilings)
