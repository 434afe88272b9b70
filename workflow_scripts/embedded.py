"""Rules embedded_*: write a dataset that stands in for a real one."""

from pathlib import Path

from vie.datasets.synthetic.action_files import WRITERS
from vie.datasets.synthetic.images import write_images
from vie.datasets.synthetic.write_videos import write_embedded
from vie.runtime.logs import job
from vie.runtime.threads import available_threads

with job(snakemake.log[0]):
    params, videos = snakemake.params, Path(snakemake.output.videos)
    writers = WRITERS | {"imagefolder": write_images, None: write_embedded}
    write = writers[params.get("layout")]
    threads = available_threads(snakemake.threads)
    write(params.generator, videos, videos.with_name("annotations"), threads)
