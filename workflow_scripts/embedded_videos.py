"""Rule embedded_videos: write the embedded dataset."""

from pathlib import Path

from vie.datasets.synthetic.write_videos import write_embedded
from vie.runtime.logs import job
from vie.runtime.threads import available_threads

with job(snakemake.log[0]):
    write_embedded(
        snakemake.params.generator,
        Path(snakemake.output.videos),
        Path(snakemake.output.train).parent,
        available_threads(snakemake.threads),
    )
