"""Rule index: join the shards of a split."""

from pathlib import Path

from vie.datasets.facts import report_usable
from vie.frames.index import build_index, load_index
from vie.runtime.logs import job

with job(snakemake.log[0]):
    build_index(
        Path(snakemake.input.manifest),
        [Path(path) for path in snakemake.input.tars],
        [Path(path) for path in snakemake.input.tables],
        [Path(path) for path in snakemake.input.rejected],
        Path(snakemake.output.index),
        Path(snakemake.output.sizes),
        Path(snakemake.output.rejected),
        min_frames=snakemake.params.min_frames,
    )
    usable = len(load_index(Path(snakemake.output.index)))
    # Only for the log. As a param, a new name would run all later rules again.
    official_name = snakemake.config["datasets"][snakemake.wildcards.dataset].get("official_name")
    report_usable(usable, snakemake.wildcards.split, official_name)
