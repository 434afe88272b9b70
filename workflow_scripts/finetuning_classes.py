"""Rule finetuning_classes: the best network of a table and target, class by class."""

from pathlib import Path

from vie.frames.manifest import read_classes
from vie.reporting.finetune_tables import best_recipe, class_table, confusion_table
from vie.reporting.html_table import write_outputs
from vie.reporting.plots import SPELT, Target, plot_classes
from vie.reporting.runs import read_runs
from vie.reporting.tables import write_csv
from vie.runtime.logs import job

with job(snakemake.log[0]):
    output, target = snakemake.output, snakemake.wildcards.target
    labels = read_classes(Path(snakemake.input.classes))
    runs = read_runs(snakemake.params.runs, "predictions", same_videos="split")
    best = best_recipe(runs, target)
    classes, confusion = class_table(best, labels), confusion_table(best, labels)
    write_csv(confusion, Path(output.confusion))
    pipeline = SPELT[snakemake.params.pipeline]
    number = snakemake.wildcards.table.removeprefix("table_")
    title = f"Which actions does {best['model'].iloc[0]}, the best finetuned network, recognise? "
    title += f"(Table {number}, {pipeline} preprocessing)"
    plots = write_outputs(classes, output, title)
    shown = Target(snakemake.params.title, 100 / len(labels), snakemake.params.ceiling)
    plot_classes(classes, confusion, shown, title, plots)
