"""Rule pretext: a finished pretext network's answers on validation videos."""

from pathlib import Path

from vie.pretext import pretext
from vie.runtime.logs import job
from vie.workflow.run_of import run_of

wildcards, motion = snakemake.wildcards, snakemake.input.get("motion")
answers = Path(snakemake.output.answers)
with job(snakemake.log[0]):
    pretext(
        Path(snakemake.input.checkpoint),
        Path(snakemake.input.val),
        run_of(snakemake, answers.parent, f"{wildcards.recipe} pretext"),
        answers=answers,
        metadata=Path(snakemake.output.metadata),
        motion=Path(motion) if motion else None,
        official_name=snakemake.params.official_name,
    )
