"""Rule frames: one shard of JPEG frames."""

from pathlib import Path

from vie.frames.extract import Shard, extract_shard
from vie.frames.ffmpeg import FrameSettings
from vie.frames.images import ImageSettings
from vie.runtime.logs import job
from vie.runtime.threads import available_threads

with job(snakemake.log[0]):
    frames = snakemake.params.frames
    images = "fps" not in frames  # images have shorter_side alone
    extract_shard(
        Shard(
            Path(snakemake.input.manifest),
            int(snakemake.wildcards.shard),
            int(snakemake.wildcards.shards),
            Path(snakemake.output.tar),
            Path(snakemake.output.table),
            Path(snakemake.output.rejected),
        ),
        Path(snakemake.params.videos),
        ImageSettings(**frames) if images else FrameSettings(**frames),
        processes=available_threads(snakemake.threads),
    )
