"""Rule pretext: a finished pretext network's answers on validation videos."""

from pathlib import Path

from vie.engine.run import Run
from vie.pretext import pretext
from vie.runtime.importing import trust
from vie.runtime.logs import job
from vie.workflow.fingerprint import code_digest

wildcards, motion = snakemake.wildcards, snakemake.input.get("motion")
answers = Path(snakemake.output.answers)
trust((snakemake.config.get("networks", {}) | snakemake.config.get("objectives", {})).values())
with job(snakemake.log[0]):
    pretext(
        Path(snakemake.input.checkpoint),
        Path(snakemake.input.val),
        Run(
            answers.parent,
            seed=int(wildcards.seed),
            name=f"{wildcards.recipe} pretext seed {wildcards.seed}",
            threads=snakemake.threads,
            gpus=snakemake.resources.gpu,
            version=snakemake.params.version,
            code=code_digest(),
        ),
        answers=answers,
        metadata=Path(snakemake.output.metadata),
        motion=Path(motion) if motion else None,
        official_name=snakemake.params.official_name,
    )
