"""Rule import_weights: a network whose weights come from a file."""

from pathlib import Path

from vie.models.imported import import_weights
from vie.runtime.importing import trust
from vie.runtime.logs import job
from vie.workflow.fingerprint import code_digest, own_code

source, params = snakemake.input, snakemake.params
trust(snakemake.config.get("networks", {}).values())
with job(snakemake.log[0]):
    import_weights(
        Path(source.weights[0]),
        params.recipe,
        Path(snakemake.output[0]),
        index=Path(source.index) if source.get("index") else None,
        fps=params.fps,
        version=params.version,
        code=code_digest(own=own_code(snakemake.config)),
    )
