"""Rule motion_index: the motion of all shards, in the order of the index."""

from pathlib import Path

from vie.frames.motion import join_motion
from vie.runtime.logs import job

with job(snakemake.log[0]):
    source = snakemake.input
    join_motion(
        Path(source.index),
        [Path(path) for path in source.tars],
        [Path(path) for path in source.tables],
        [Path(path) for path in source.motions],
        Path(snakemake.output[0]),
    )
