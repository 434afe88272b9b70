"""Rule classes: class numbers of a dataset, from its training annotation."""

from pathlib import Path

from vie.data.layouts import LAYOUTS
from vie.data.manifest import class_names, write_classes
from vie.logs import job

with job(snakemake.log[0]):
    read = LAYOUTS[snakemake.params.layout]
    videos = read(Path(snakemake.params.videos), Path(snakemake.input[0]), "train")
    write_classes(class_names(videos), Path(snakemake.output[0]))
