"""Rule finetune: one network, one preprocessing pipeline, one split of an action dataset."""

from pathlib import Path

from vie.evaluation.finetuning import finetune
from vie.logs import job
from vie.training.finetuning import PIPELINES

with job(snakemake.log[0]):
    params, source, output = snakemake.params, snakemake.input, snakemake.output
    wildcards = snakemake.wildcards
    how = {"trained": "finetune", "untrained": "from scratch"}[wildcards.weights]
    what = f"{how} {wildcards.readout} {wildcards.target} {wildcards.pipeline}"
    finetune(
        Path(source.networks[0]),
        PIPELINES[wildcards.pipeline](params.view, params.clip, params.scale_crop),
        params.optimiser,
        params.settings,
        index=Path(source.index),
        members=Path(source.members),
        classes=Path(source.classes),
        seed=int(wildcards.seed),
        name=f"{what} seed {wildcards.seed}",
        known=params.known,
        best=Path(output.best),
        predictions=Path(output.predictions),
        facts=Path(output.facts),
        metrics=Path(output.metrics),
        code=params.code,
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
        precision=snakemake.params.precision,
    )
