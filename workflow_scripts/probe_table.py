"""Rules table_s1, random_control, table_1(_imagenet): a table, its seeds, and its plot."""

from pathlib import Path

from vie.reporting.plots import plot_bars, plot_points
from vie.reporting.published import DATASET, IMAGENET, read_published
from vie.reporting.tables import (
    probe_table,
    read_evaluations,
    seed_table,
    with_neighbours,
    write_csv,
)
from vie.runtime.logs import job
from vie.workflow.paths import IMAGES_TABLE, PUBLISHED

with job(snakemake.log[0]):
    params, source, output = snakemake.params, snakemake.input, snakemake.output
    evaluations = read_evaluations(params.labels, source.predictions, source.metadata)
    is_table_1 = Path(output.table).stem in ("table_1", IMAGES_TABLE)
    dataset = IMAGENET if Path(output.table).stem == IMAGES_TABLE else DATASET
    labels = list(params.labels.values())
    theirs = read_published(PUBLISHED, labels, dataset, all_known=not is_table_1)
    table, plot = probe_table(evaluations, theirs), plot_bars
    if is_table_1:
        table, plot = with_neighbours(table, evaluations, theirs), plot_points
    write_csv(table, Path(output.table))
    write_csv(seed_table(evaluations), Path(output.seeds))
    plot(table, params.title, [Path(output.svg), Path(output.png)])
