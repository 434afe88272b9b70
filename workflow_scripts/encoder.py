"""Rule encoder: a finished network as a file of its own, without what training goes on from."""

from pathlib import Path

import pandas as pd

from vie.frames.index import load_index
from vie.models.checkpoint_format import ENCODER, read
from vie.models.encoder_file import write_encoder
from vie.reporting.html_table import write_page
from vie.runtime.logs import job

params, source, output = snakemake.params, snakemake.input, snakemake.output
with job(snakemake.log[0]):
    index = load_index(Path(source.train))
    frames = {key: getattr(index, key) for key in ("fps", "shorter_side", "quality")}
    write_encoder(
        Path(source.checkpoint),
        Path(output.file),
        frames,
        recipe=params.recipe,
        provenance=params.provenance,
        licence=params.licence,
    )
    said = read(Path(output.file))
    said.pop(ENCODER)
    rows = pd.json_normalize(said).iloc[0].dropna().map(str)
    table = pd.DataFrame({"setting": rows.index, "value": rows.to_numpy()})
    write_page(table, Path(output.page), f"Where the encoder {Path(output.file).stem} comes from")
