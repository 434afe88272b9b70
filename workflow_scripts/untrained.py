"""Rule untrained: the network of a recipe before its first step."""

from pathlib import Path

from vie.runtime.logs import job
from vie.untrained import write_untrained

with job(snakemake.log[0]):
    write_untrained(
        snakemake.params.recipe, int(snakemake.wildcards.seed), Path(snakemake.output[0])
    )
