"""Rules embedded_videos and embedded_actions: write a dataset that stands in for a real one."""

from pathlib import Path

from vie.datasets.synthetic.action_files import WRITERS
from vie.datasets.synthetic.write_videos import write_embedded
from vie.runtime.logs import job
from vie.runtime.threads import available_threads

with job(snakemake.log[0]):
    params, videos = snakemake.params, Path(snakemake.output.videos)
    write = WRITERS[params.layout] if params.get("layout") else write_embedded
    threads = available_threads(snakemake.threads)
    write(params.generator, videos, videos.with_name("annotations"), threads)
