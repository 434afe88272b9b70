"""Rule finetune: networks that train together (mostly one), one pipeline, one split."""

from pathlib import Path

from vie.finetune import PIPELINES, FinetuneOutputs, SplitData, finetune
from vie.runtime.logs import job
from vie.runtime.signals import resumable
from vie.workflow.run_of import run_of

params, source, output = snakemake.params, snakemake.input, snakemake.output
wildcards, predictions = snakemake.wildcards, Path(output.predictions)
how = {"trained": "finetune", "untrained": "from scratch"}[wildcards.weights]
what = f"{how} {wildcards.evaluation} {wildcards.target} {wildcards.pipeline}"
with job(snakemake.log[0]), resumable(predictions.with_name("state")) as work:
    finetune(
        [Path(path) for path in source.networks],
        PIPELINES[wildcards.pipeline](params.transform, params.clip, params.scale_crop),
        params.optimiser,
        params.settings,
        SplitData(Path(source.index), Path(source.split_assignment), Path(source.classes)),
        run_of(snakemake, work, what),
        FinetuneOutputs(
            Path(output.best), predictions, Path(output.metadata), Path(output.metrics)
        ),
        params.known,
    )
