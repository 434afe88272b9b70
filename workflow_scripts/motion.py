"""Rule motion: optical-flow magnitudes of one shard."""

from pathlib import Path

from vie.frames.flow import write_shard_motion
from vie.runtime.logs import job
from vie.runtime.threads import available_threads

with job(snakemake.log[0]):
    write_shard_motion(
        Path(snakemake.input.tar),
        Path(snakemake.input.table),
        Path(snakemake.output[0]),
        processes=available_threads(snakemake.threads),
    )
