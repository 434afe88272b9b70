"""Rule members: which videos a split trains on, validates on and tests on."""

from pathlib import Path

from vie.data.layouts import LAYOUTS
from vie.data.manifest import read_videos
from vie.data.members import write_members
from vie.data.splits import check_counts, check_known, hold_out
from vie.logs import job

with job(snakemake.log[0]):
    params, number = snakemake.params, int(snakemake.wildcards.number)
    videos = read_videos(Path(snakemake.input.manifest))
    members = LAYOUTS[params.layout].members(videos, Path(params.annotation), number)
    check_known(members, videos)
    if params.identity:
        check_counts(members, params.identity, number)
    if params.held_out:
        members = hold_out(members, params.held_out, number)
    write_members(members, Path(snakemake.output[0]))
