"""Rule motion: optical-flow magnitudes of one shard."""

from pathlib import Path

from vie.data.flow import write_shard_motion
from vie.logs import job
from vie.threads import usable

with job(snakemake.log[0]):
    write_shard_motion(
        Path(snakemake.input.tar),
        Path(snakemake.input.table),
        Path(snakemake.output[0]),
        processes=usable(snakemake.threads),
    )
