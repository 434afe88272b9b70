"""Rule split_assignment: which videos a split trains on, validates on and tests on."""

from pathlib import Path

from vie.datasets.holdout import check_counts, check_known, hold_out
from vie.datasets.layouts import LAYOUTS
from vie.datasets.split_assignment import TRAIN, write_split_assignment
from vie.frames.manifest import read_videos
from vie.runtime.logs import job
from vie.workflow.sizes import check_target

with job(snakemake.log[0]):
    params, number = snakemake.params, int(snakemake.wildcards.number)
    manifest = Path(snakemake.input.manifest)
    videos = read_videos(manifest)
    rows = LAYOUTS[params.layout].assign(videos, Path(params.annotation), number)
    check_known(rows, videos, manifest)
    if params.official_name:
        check_counts(rows, params.official_name, number)
    if params.held_out:
        rows = hold_out(rows, params.held_out, number)
    train = sum(row.subset == TRAIN for row in rows)
    check_target(snakemake.config, snakemake.wildcards.dataset, number, train)
    write_split_assignment(rows, Path(snakemake.output[0]))
