"""Rule probe: linear classifiers on one network and one clip sampling."""

from pathlib import Path

from vie.data.clips import View
from vie.evaluation.probe import probe
from vie.interruption import resumable
from vie.logs import job

wildcards, predictions = snakemake.wildcards, Path(snakemake.output.predictions)
with job(snakemake.log[0]), resumable(predictions.with_name("in_progress")) as work:
    probe(
        [Path(network) for network in snakemake.input.networks],
        View.of(snakemake.params.view, snakemake.params.clip),
        snakemake.params.probe,
        train_index=Path(snakemake.input.train),
        val_index=Path(snakemake.input.val),
        classes=Path(snakemake.input.classes),
        seed=int(wildcards.seed),
        name=f"{wildcards.readout} {wildcards.weights}",
        identity=snakemake.params.identity,
        predictions=predictions,
        facts=Path(snakemake.output.facts),
        metrics=Path(snakemake.output.metrics),
        work=work,
        code=snakemake.params.code,
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
        precision=snakemake.params.precision,
    )
