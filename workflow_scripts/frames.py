"""Rule frames: one shard of JPEG frames."""

from pathlib import Path

from vie.frames.extract import extract_shard
from vie.runtime.logs import job
from vie.runtime.threads import available_threads

with job(snakemake.log[0]):
    extract_shard(
        Path(snakemake.input.manifest),
        int(snakemake.wildcards.shard),
        int(snakemake.wildcards.shards),
        Path(snakemake.params.videos),
        Path(snakemake.output.tar),
        Path(snakemake.output.table),
        Path(snakemake.output.rejected),
        processes=available_threads(snakemake.threads),
        **snakemake.params.frames,
    )
