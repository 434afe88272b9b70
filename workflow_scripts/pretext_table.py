"""Rule pretext_table: accuracies of pretext tasks, their seeds one by one, and their plot."""

from pathlib import Path

from vie.reporting.html_table import write_outputs
from vie.reporting.plots import plot_pretext
from vie.reporting.pretext_table import pretext_seeds, pretext_table
from vie.reporting.published import read_published_pretext
from vie.reporting.runs import read_runs
from vie.reporting.tables import write_csv
from vie.runtime.logs import job
from vie.workflow.paths import PUBLISHED

with job(snakemake.log[0]):
    output = snakemake.output
    answers = read_runs(snakemake.params.rows, "answers", same_videos="model")
    labels = list(dict.fromkeys(answers["model"]))
    theirs = read_published_pretext(PUBLISHED, labels)
    table = pretext_table(answers, theirs, snakemake.params.dataset)
    plots = write_outputs(table, output, "How well do pretext networks solve their own tasks?")
    write_csv(pretext_seeds(answers), Path(output.seeds))
    plot_pretext(table, plots)
