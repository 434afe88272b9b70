"""The run that a script of the workflow hands to the library."""

from pathlib import Path
from typing import Any

from vie.engine.run import Run
from vie.runtime.importing import trust
from vie.workflow.fingerprint import code_digest, own_code


def gpus_of(resources: Any, most: int) -> int:
    """GPUs of a job, on each node: those of `gpu`, or of `gres`, which some clusters want instead.

    Args:
        resources: of the job. `gres` is as SLURM has it: gpu, gpu:2, gpu:a100:2.
        most: `gpus` of the config.
    """
    kind, *of = str(resources.get("gres") or "").split(":")
    asked = int(of[-1]) if of and of[-1].isdecimal() else 1
    return int(resources.get("gpu") or (min(asked, most) if kind == "gpu" else 0))


def run_of(snakemake: Any, work: Path, name: str) -> Run:
    """What a job with a seed and GPUs says of itself; `name` is without the seed.

    The networks and objectives that its config names are trusted from then on.
    """
    params, seed = snakemake.params, snakemake.wildcards.seed
    own = own_code(snakemake.config)
    trust(own)
    return Run(
        work,
        seed=int(seed),
        name=f"{name} seed {seed}",
        threads=snakemake.threads,
        gpus=gpus_of(snakemake.resources, snakemake.config["gpus"]),
        nodes=snakemake.config["nodes"],
        precision=params.get("precision", "float32"),
        version=params.version,
        code=code_digest(own=own),
        report_to=tuple(snakemake.config["report_to"]),
        experiment=snakemake.config["experiment"],
    )
