"""Rule published: every published number beside what the experiment has in its place."""

from vie.reporting.html_table import write_outputs
from vie.reporting.published_table import plot_published, published_table
from vie.runtime.logs import job

with job(snakemake.log[0]):
    rows = snakemake.params.rows
    table = published_table(rows)
    plots = write_outputs(table, snakemake.output, "Published numbers beside ours")
    shown = [{key: row[key] for key in ("group", "short")} for row in rows]
    plot_published(table, shown, plots)
