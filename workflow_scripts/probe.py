"""Rule probe: linear classifiers on one network and one clip sampling."""

from pathlib import Path

from vie.clips.transform import ClipTransform
from vie.probe import probe
from vie.runtime.logs import job
from vie.runtime.signals import resumable

wildcards, predictions = snakemake.wildcards, Path(snakemake.output.predictions)
with job(snakemake.log[0]), resumable(predictions.with_name("in_progress")) as work:
    probe(
        [Path(network) for network in snakemake.input.networks],
        ClipTransform.of(snakemake.params.transform, snakemake.params.clip),
        snakemake.params.probe,
        train_index=Path(snakemake.input.train),
        val_index=Path(snakemake.input.val),
        classes=Path(snakemake.input.classes),
        seed=int(wildcards.seed),
        name=f"{wildcards.evaluation} {wildcards.weights}",
        official_name=snakemake.params.official_name,
        predictions=predictions,
        facts=Path(snakemake.output.facts),
        metrics=Path(snakemake.output.metrics),
        work=work,
        code=snakemake.params.version,
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
        precision=snakemake.params.precision,
    )
