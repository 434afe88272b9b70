"""Rule finetune: one network, one preprocessing pipeline, one split of an action dataset."""

from pathlib import Path

from vie.finetune import finetune
from vie.finetune_training import PIPELINES
from vie.runtime.logs import job
from vie.runtime.signals import resumable

params, source, output = snakemake.params, snakemake.input, snakemake.output
wildcards, predictions = snakemake.wildcards, Path(snakemake.output.predictions)
with job(snakemake.log[0]), resumable(predictions.with_name("in_progress")) as work:
    how = {"trained": "finetune", "untrained": "from scratch"}[wildcards.weights]
    what = f"{how} {wildcards.evaluation} {wildcards.target} {wildcards.pipeline}"
    finetune(
        Path(source.networks[0]),
        PIPELINES[wildcards.pipeline](params.transform, params.clip, params.scale_crop),
        params.optimiser,
        params.settings,
        index=Path(source.index),
        members=Path(source.members),
        classes=Path(source.classes),
        seed=int(wildcards.seed),
        name=f"{what} seed {wildcards.seed}",
        known=params.known,
        best=Path(output.best),
        predictions=predictions,
        facts=Path(output.facts),
        metrics=Path(output.metrics),
        work=work,
        code=params.version,
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
        precision=snakemake.params.precision,
    )
