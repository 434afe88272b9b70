"""Rules table_s1, random_control, table_1(_imagenet): a table, its seeds, and its plot."""

from pathlib import Path

from vie.reporting.differences import DATASET, IMAGENET
from vie.reporting.html_table import write_outputs
from vie.reporting.plots import plot_bars, plot_points
from vie.reporting.published import read_published
from vie.reporting.tables import (
    probe_table,
    read_csv,
    read_evaluations,
    seed_table,
    with_neighbours,
    write_csv,
)
from vie.runtime.logs import job
from vie.workflow.paths import IMAGES_TABLE, PUBLISHED

with job(snakemake.log[0]):
    params, source, output = snakemake.params, snakemake.input, snakemake.output
    name, labels = Path(output.table).stem, list(params.labels.values())
    plots = [Path(output.svg), Path(output.png)]
    evaluations = read_evaluations(params.labels, source.predictions, source.metadata)
    theirs = None
    if name != "random_control":  # nothing is published of networks that were never trained
        source_of = IMAGENET if name == IMAGES_TABLE else DATASET
        theirs = read_published(PUBLISHED, labels, source_of, all_known=name == "table_s1")
    table = probe_table(evaluations, theirs, params.dataset)
    if name in ("table_1", IMAGES_TABLE):
        table = with_neighbours(table, evaluations, theirs, params.groups)
        of = "images" if name == IMAGES_TABLE else "videos"
        plot_points(table, params.title, plots, of, params.ceiling)
    else:
        control = read_csv(source.control) if name == "table_s1" else None
        plot_bars(table, control, params.title, plots, params.ceiling)
    write_outputs(table, output, params.title)
    write_csv(seed_table(evaluations), Path(output.seeds))
