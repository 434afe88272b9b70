"""Rule classes: class numbers of a dataset, from its training annotation or all of its videos."""

from pathlib import Path

from vie.data.layouts import LAYOUTS
from vie.data.manifest import class_names, write_classes
from vie.logs import job

with job(snakemake.log[0]):
    params = snakemake.params
    read = LAYOUTS[params.layout].read
    videos = read(Path(params.videos), Path(params.annotation), params.split)
    write_classes(class_names(videos), Path(snakemake.output[0]))
