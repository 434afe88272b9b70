"""Rule learning_curves: what the monitor measures while networks train."""

from pathlib import Path

import pyarrow.parquet as pq

from vie.config.layouts import the
from vie.frames.manifest import read_classes
from vie.reporting.html_table import write_outputs
from vie.reporting.learning_curves import plot_curves, read_curves
from vie.runtime.logs import job

with job(snakemake.log[0]):
    params, source = snakemake.params, snakemake.input
    curves = read_curves(params.curves)
    plots = write_outputs(curves, snakemake.output, f"Learning curves on {the(params.dataset)}")
    chance = 100 / len(read_classes(Path(source.classes))) if source.classes else None
    videos = pq.read_metadata(source.val).num_rows
    plot_curves(curves, videos, params.dataset, chance, plots, params.ceiling)
