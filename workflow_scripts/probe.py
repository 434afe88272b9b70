"""Rules probe and image_probe: linear classifiers on one network and one clip sampling."""

from pathlib import Path

from vie.clips.transform import ClipTransform
from vie.engine.run import Data
from vie.probe import ProbeOutputs, probe
from vie.runtime.logs import job
from vie.runtime.signals import resumable
from vie.workflow.run_of import run_of

source, params, output = snakemake.input, snakemake.params, snakemake.output
kind = snakemake.rule.replace("_", " ")
wildcards, predictions = snakemake.wildcards, Path(output.predictions)
with job(snakemake.log[0]), resumable(predictions.with_name("state")) as work:
    probe(
        [Path(network) for network in source.networks],
        ClipTransform.of(params.transform, params.clip),
        params.probe,
        Data(Path(source.train), Path(source.val), Path(source.classes)),
        run_of(snakemake, work, f"{kind} {wildcards.evaluation} {wildcards.weights}"),
        ProbeOutputs(predictions, Path(output.metadata), Path(output.metrics)),
        official_name=params.official_name,
        pretrained_on=params.get("pretrained_on"),
    )
