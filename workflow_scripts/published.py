"""Rule published: every published number beside what the experiment has in its place."""

from pathlib import Path

from vie.reporting.html_table import write_page
from vie.reporting.published_table import plot_published, published_table
from vie.reporting.tables import write_csv
from vie.runtime.logs import job

with job(snakemake.log[0]):
    rows, output = snakemake.params.rows, snakemake.output
    table = published_table(rows)
    write_csv(table, Path(output.table))
    write_page(table, Path(output.page), "Published numbers beside ours")
    shown = [{key: row[key] for key in ("group", "short")} for row in rows]
    plot_published(table, shown, [Path(output.svg), Path(output.png)])
