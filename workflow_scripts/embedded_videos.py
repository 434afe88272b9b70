"""Rule embedded_videos: write the embedded dataset."""

from pathlib import Path

from vie.data.embedded.write import write_embedded
from vie.logs import job
from vie.threads import usable

with job(snakemake.log[0]):
    write_embedded(
        snakemake.params.generator,
        Path(snakemake.output.videos),
        Path(snakemake.output.train).parent,
        usable(snakemake.threads),
    )
