"""Rule pretext: a finished pretext network's answers on validation videos."""

from pathlib import Path

from vie.pretext import pretext
from vie.runtime.logs import job

with job(snakemake.log[0]):
    pretext(
        Path(snakemake.input.checkpoint),
        Path(snakemake.input.val),
        motion=snakemake.input.get("motion"),
        official_name=snakemake.params.official_name,
        name=snakemake.wildcards.recipe,
        answers=Path(snakemake.output.answers),
        facts=Path(snakemake.output.facts),
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
    )
