"""Rule learning_curves: what the monitor measures while networks train."""

from pathlib import Path

import pyarrow.parquet as pq

from vie.config.layouts import the
from vie.frames.manifest import read_classes
from vie.reporting.html_table import write_page
from vie.reporting.learning_curves import plot_curves, read_curves
from vie.reporting.tables import write_csv
from vie.runtime.logs import job

with job(snakemake.log[0]):
    params, source, output = snakemake.params, snakemake.input, snakemake.output
    curves = read_curves(params.curves)
    write_csv(curves, Path(output.table))
    write_page(curves, Path(output.page), f"Learning curves on {the(params.dataset)}")
    chance = 100 / len(read_classes(Path(source.classes))) if source.classes else None
    videos, plots = pq.read_metadata(source.val).num_rows, [Path(output.svg), Path(output.png)]
    plot_curves(curves, videos, params.dataset, chance, plots, params.ceiling)
