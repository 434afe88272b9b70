"""Rule untrained: the network of a recipe before its first step."""

from pathlib import Path

from vie.models.untrained import write_untrained
from vie.runtime.logs import job
from vie.workflow.fingerprint import code_digest, own_code

with job(snakemake.log[0]):
    write_untrained(
        snakemake.params.recipe,
        int(snakemake.wildcards.seed),
        Path(snakemake.output[0]),
        fps=snakemake.params.fps,
        version=snakemake.params.version,
        code=code_digest(own=own_code(snakemake.config)),
    )
