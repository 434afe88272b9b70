"""Rule pretrain: one stage of pretraining."""

from pathlib import Path

from vie.pretrain_monitored import pretrain_monitored
from vie.runtime.logs import job
from vie.runtime.signals import resumable

checkpoint = Path(snakemake.output.checkpoint)
# Not a param: what it measures trains nothing.
monitor = snakemake.config["recipes"][snakemake.wildcards.recipe]["monitor"]
with job(snakemake.log[0]), resumable(checkpoint.with_suffix(".in_progress")) as work:
    pretrain_monitored(
        {**snakemake.params.recipe, "monitor": monitor},
        snakemake.wildcards.stage,
        Path(snakemake.input.train),
        Path(snakemake.input.val),
        Path(snakemake.input.classes),
        seed=int(snakemake.wildcards.seed),
        name=snakemake.wildcards.recipe,
        checkpoint=checkpoint,
        metrics=Path(snakemake.output.metrics),
        work=work,
        start_from=snakemake.input.get("start_from"),
        motion=snakemake.input.get("motion"),
        code=snakemake.params.version,
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
        precision=snakemake.params.precision,
    )
