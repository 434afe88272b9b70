"""Rule manifest: one row per annotated video of a split."""

from pathlib import Path

from vie.data.layouts import LAYOUTS
from vie.data.layouts.files import compare_with_disk
from vie.data.manifest import read_classes, write_manifest
from vie.logs import job

with job(snakemake.log[0]):
    params, folder = snakemake.params, Path(snakemake.params.videos)
    read = LAYOUTS[params.layout].read
    videos = read(folder, Path(params.annotation), snakemake.wildcards.split)
    if params.missing == "error":
        compare_with_disk(folder, videos)
    write_manifest(videos, read_classes(Path(snakemake.input.classes)), Path(snakemake.output[0]))
