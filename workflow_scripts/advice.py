"""Rule advice: settings that fit the videos and the machine that the rule runs on."""

from pathlib import Path

import torch

from vie.frames.manifest import read_videos
from vie.runtime.files import atomic_write
from vie.runtime.logs import job
from vie.runtime.threads import available_threads
from vie.workflow.advice import advise
from vie.workflow.fitting import Machine
from vie.workflow.survey import survey

config, source = snakemake.config, snakemake.input
frames = config["datasets"][config["dataset"]]["frames"]
with job(snakemake.log[0]):
    found = survey(
        Path(snakemake.params.videos),
        read_videos(Path(source.train)),
        read_videos(Path(source.val)),
        timeout_seconds=frames["timeout_seconds"],
        processes=available_threads(snakemake.threads),
        max_pixels=frames["max_pixels"],
    )
    gpu = torch.cuda.get_device_name() if config["gpus"] and torch.cuda.is_available() else ""
    text = advise(config, found, Machine(available_threads(10**6), gpu))
    with atomic_write(Path(snakemake.output[0])) as temporary:
        temporary.write_text(text, encoding="utf-8")
