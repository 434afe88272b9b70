"""The run that a script of the workflow hands to the library."""

from pathlib import Path
from typing import Any

from vie.engine.run import Run
from vie.workflow.fingerprint import code_digest


def run_of(snakemake: Any, work: Path, name: str) -> Run:
    """What a job with a seed and GPUs says of itself; `name` is without the seed."""
    params, seed = snakemake.params, snakemake.wildcards.seed
    return Run(
        work,
        seed=int(seed),
        name=f"{name} seed {seed}",
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
        precision=params.get("precision", "float32"),
        version=params.version,
        code=code_digest(),
    )
