"""Rule classes: class numbers of a dataset, from its training annotation or all of its videos."""

from pathlib import Path

from vie.data.expected import report_classes
from vie.data.layouts import LAYOUTS
from vie.data.manifest import class_names, write_classes
from vie.logs import job

with job(snakemake.log[0]):
    params = snakemake.params
    read = LAYOUTS[params.layout].read
    videos = read(Path(params.videos), Path(params.annotation), params.split)
    labels = class_names(videos)
    # Only for the log: as a param, naming the dataset would repeat all that follows.
    identity = snakemake.config["datasets"][snakemake.wildcards.dataset].get("identity")
    report_classes(labels, identity)
    write_classes(labels, Path(snakemake.output[0]))
