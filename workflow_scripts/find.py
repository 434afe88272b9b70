"""Rule find: the videos of folders and lists, those to train on and those that validate."""

from pathlib import Path

from vie.datasets.layouts.flat import FlatSettings
from vie.frames.flat import FlatOutputs, write_flat
from vie.runtime.files import atomic_write
from vie.runtime.logs import job
from vie.runtime.threads import available_threads

params, output = snakemake.params, snakemake.output
settings = snakemake.config["datasets"][snakemake.wildcards.dataset]["frames"]
with job(snakemake.log[0]):
    write_flat(
        params.places,
        FlatSettings(params.cut, params.val_share, params.dataset_seed),
        FlatOutputs(Path(output.classes), Path(output.train), Path(output.val)),
        timeout_seconds=settings["timeout_seconds"],
        processes=available_threads(snakemake.threads),
        max_pixels=settings["max_pixels"],
    )
    with atomic_write(output.listing) as temporary:
        temporary.write_text(params.listing)
