"""Rule manifest: one row per annotated video of a split."""

from pathlib import Path

from vie.data.layouts import LAYOUTS
from vie.data.manifest import read_classes, write_manifest
from vie.logs import job

with job(snakemake.log[0]):
    read = LAYOUTS[snakemake.params.layout]
    split = snakemake.wildcards.split
    videos = read(Path(snakemake.params.videos), Path(snakemake.input.annotation), split)
    write_manifest(videos, read_classes(Path(snakemake.input.classes)), Path(snakemake.output[0]))
