"""Rule finetuning_table: Table 2 or 3, its seeds one by one, and its plot."""

from pathlib import Path

from vie.reporting.finetune_tables import finetuning_seeds, finetuning_table
from vie.reporting.html_table import write_outputs
from vie.reporting.plots import SPELT, Target, plot_finetuned
from vie.reporting.published import read_published_finetuned
from vie.reporting.runs import read_runs
from vie.reporting.tables import write_csv
from vie.runtime.logs import job
from vie.workflow.paths import PUBLISHED

with job(snakemake.log[0]):
    output, pipeline = snakemake.output, snakemake.params.pipeline
    found = read_runs(snakemake.params.runs, "predictions", same_videos="split")
    models, targets = (list(dict.fromkeys(found[key])) for key in ("model", "target"))
    theirs = read_published_finetuned(PUBLISHED, models, targets, pipeline)
    table = finetuning_table(found, theirs)
    write_csv(finetuning_seeds(found), Path(output.seeds))
    number = snakemake.wildcards.table.removeprefix("table_")
    title = "Does pretraining help when all layers are trained with labels? "
    title += f"(Table {number}, {SPELT[pipeline]} preprocessing)"
    plots = write_outputs(table, output, title)
    classes = {run.target: run.metadata["classes"] for run in found.itertuples()}
    titles, ceilings = snakemake.params.titles, snakemake.params.ceilings
    shown = {name: Target(titles[name], 100 / classes[name], ceilings[name]) for name in targets}
    groups = [snakemake.params.groups[model] for model in models]
    plot_finetuned(table, shown, groups, title, plots)
