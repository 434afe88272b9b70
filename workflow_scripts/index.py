"""Rule index: join the shards of a split."""

import logging
from pathlib import Path

from vie.datasets.facts import report_usable
from vie.frames.extract import kinds_of_reasons, read_rejected
from vie.frames.index import build_index, load_index
from vie.runtime.logs import job
from vie.workflow.sizes import check_index

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
    n_frames = load_index(Path(snakemake.output.index)).n_frames
    dataset, split = snakemake.wildcards.dataset, snakemake.wildcards.split
    # Only for the log. As a param, a new name would run all later rules again.
    about = snakemake.config["datasets"][dataset]
    rejected = read_rejected(Path(snakemake.output.rejected))
    if kinds := kinds_of_reasons(rejected):
        text = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        level = logging.INFO if "generator" in about else logging.WARNING  # made on purpose
        what = "%s: %d videos are left out (%s)"
        logging.getLogger(__name__).log(level, what, snakemake.output.rejected, len(rejected), text)
    report_usable(len(n_frames), split, about.get("official_name"))
    check_index(snakemake.config, dataset, split, n_frames)
