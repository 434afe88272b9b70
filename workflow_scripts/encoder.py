"""Rule encoder: a finished network as a file of its own, without what training goes on from."""

from pathlib import Path

from vie.frames.index import load_index
from vie.models.encoder_file import write_encoder
from vie.runtime.logs import job

params, source = snakemake.params, snakemake.input
with job(snakemake.log[0]):
    index = load_index(Path(source.train))
    frames = {key: getattr(index, key) for key in ("fps", "shorter_side", "quality")}
    write_encoder(
        Path(source.checkpoint),
        Path(snakemake.output[0]),
        frames,
        recipe=params.recipe,
        provenance=params.provenance,
        licence=params.licence,
    )
