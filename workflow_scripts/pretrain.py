"""Rule pretrain: one stage of pretraining."""

from pathlib import Path

from vie.engine.run import Data
from vie.frames.index import load_index
from vie.pretrain import PretrainOutputs, pretrain
from vie.runtime.logs import job
from vie.runtime.signals import resumable
from vie.runtime.torch_files import STATE
from vie.workflow.run_of import run_of
from vie.workflow.sizes import check_index

source, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
checkpoint, motion = Path(snakemake.output.checkpoint), source.get("motion")
data = Data(
    Path(source.train),
    Path(source.val),
    Path(source.classes),
    motion=Path(motion) if motion else None,
)
whole = snakemake.config["recipes"][wildcards.recipe]
with job(snakemake.log[0]), resumable(checkpoint.with_suffix(STATE)) as work:
    here = snakemake.config["dataset"], "train", load_index(data.train).n_frames
    check_index(snakemake.config, *here, wildcards.recipe)
    pretrain(
        # The monitor trains nothing: it is no param, as another one makes no other network.
        params.recipe | {"monitor": whole["monitor"]},
        wildcards.stage,
        data,
        run_of(snakemake, work, f"{wildcards.recipe} {wildcards.stage.replace('_', ' ')}"),
        PretrainOutputs(checkpoint, Path(snakemake.output.metrics)),
        start_from=Path(source.start_from) if source.get("start_from") else None,
    )
