"""Rule pretrain: one stage of pretraining."""

from pathlib import Path

from vie.evaluation.monitor import pretrain_monitored
from vie.logs import job

with job(snakemake.log[0]):
    pretrain_monitored(
        snakemake.params.recipe,
        snakemake.wildcards.stage,
        Path(snakemake.input.train),
        Path(snakemake.input.val),
        Path(snakemake.input.classes),
        seed=int(snakemake.wildcards.seed),
        name=snakemake.wildcards.recipe,
        checkpoint=Path(snakemake.output.checkpoint),
        metrics=Path(snakemake.output.metrics),
        start_from=snakemake.input.get("start_from"),
        motion=snakemake.input.get("motion"),
        code=snakemake.params.code,
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
        precision=snakemake.params.precision,
    )
