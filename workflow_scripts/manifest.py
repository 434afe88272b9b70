"""Rule manifest: one row per annotated video of a split."""

from pathlib import Path

from vie.datasets.facts import report_split
from vie.datasets.layouts import LAYOUTS
from vie.frames.manifest import read_classes, write_manifest
from vie.runtime.logs import job

with job(snakemake.log[0]):
    params, folder = snakemake.params, Path(snakemake.params.videos)
    split, classes = snakemake.wildcards.split, read_classes(Path(snakemake.input.classes))
    layout = LAYOUTS[params.layout]
    videos = layout.read(folder, Path(params.annotation), split)
    if params.missing == "error":
        layout.compare(folder, videos)
        videos = [video._replace(file_found=True) for video in videos]
    report_split((video.label for video in videos), classes, split)
    write_manifest(videos, classes, Path(snakemake.output[0]))
