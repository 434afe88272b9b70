"""Rule instances: an index of parts of the training videos."""

import logging
from pathlib import Path

from vie.frames.index import load_index
from vie.frames.instances import write_instances
from vie.runtime.logs import job

with job(snakemake.log[0]):
    source, out = Path(snakemake.input.index), Path(snakemake.output[0])
    write_instances(source, out, snakemake.params.settings)
    counts = len(load_index(out)), len(load_index(source))
    logging.info("%d instances of %d videos (%s)", *counts, snakemake.params.settings)
