"""Rule classes: class numbers of a dataset, from its training annotation or all of its videos."""

import logging
from pathlib import Path

from vie.datasets.facts import report_classes
from vie.datasets.layouts import LAYOUTS
from vie.frames.manifest import class_names, write_classes
from vie.runtime.logs import job

with job(snakemake.log[0]):
    params = snakemake.params
    read = LAYOUTS[params.layout].read
    logging.getLogger("vie.datasets.layouts").setLevel(logging.ERROR)  # manifests say it again
    videos = read(Path(params.videos), Path(params.annotation), params.split)
    labels = class_names(videos)
    # Only for the log. As a param, a new name would run all later rules again.
    official_name = snakemake.config["datasets"][snakemake.wildcards.dataset].get("official_name")
    report_classes(labels, official_name)
    write_classes(labels, Path(snakemake.output[0]))
