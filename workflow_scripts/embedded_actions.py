"""Rule embedded_actions: write a stand-in for an action dataset."""

from pathlib import Path

from vie.datasets.synthetic.action_files import WRITERS
from vie.runtime.logs import job
from vie.runtime.threads import available_threads

with job(snakemake.log[0]):
    WRITERS[snakemake.params.layout](
        snakemake.params.generator,
        Path(snakemake.output.videos),
        Path(snakemake.output.annotations),
        available_threads(snakemake.threads),
    )
