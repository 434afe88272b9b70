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
    report_classes(labels, params.identity)
    write_classes(labels, Path(snakemake.output[0]))
