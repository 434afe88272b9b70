"""Rule classes: class numbers of a dataset, from its training annotation or all of its videos."""

from pathlib import Path

from vie.datasets.facts import report_classes
from vie.datasets.layouts import LAYOUTS
from vie.frames.manifest import class_names, write_classes
from vie.runtime.logs import job

with job(snakemake.log[0]):
    params = snakemake.params
    read = LAYOUTS[params.layout].read
    videos = read(Path(params.videos), Path(params.annotation), params.split)
    labels = class_names(videos)
    # Only for the log: as a param, naming the dataset would repeat all that follows.
    identity = snakemake.config["datasets"][snakemake.wildcards.dataset].get("official_name")
    report_classes(labels, identity)
    write_classes(labels, Path(snakemake.output[0]))
