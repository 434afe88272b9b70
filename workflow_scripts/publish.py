"""Rule publish: copy a table and its plots from the folder of an experiment to results/."""

import logging
import shutil

from vie.runtime.files import atomic_write
from vie.runtime.logs import job

with job(snakemake.log[0]):
    for source, target in zip(snakemake.input, snakemake.output, strict=True):
        with atomic_write(target) as temporary:
            shutil.copyfile(source, temporary)
        logging.info("%s is that of experiment %s", target, snakemake.params.experiment)
