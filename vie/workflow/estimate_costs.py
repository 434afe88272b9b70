"""What work costs, in seconds and bytes, as `vie.workflow.estimate` counts it."""

import json
from collections import namedtuple
from pathlib import Path

# TFLOP/s in training, as `benchmarks/gpu.py --save` writes them; the file says of which GPU, when
# and in which precision. Testing is taken to be as fast, and any other network as VIE-Single.
MEASURED = Path(__file__).parent / "gpu.json"
_measured = json.loads(MEASURED.read_text())
GPU, DEVICE = _measured["tflops"], _measured["device"]
GPU_BANK = 10e12  # FLOP/s in comparing embeddings with the bank or with centroids: assumed
CPU = 30e9  # FLOP/s of a core: 20e9 (narrow networks) to 40e9 measured
# Seconds of a core to load a clip, 10^6 stored pixels and 10^6 of the input: beside the H200.
CLIP, STORED, INPUT = 1.6e-3, 3.8e-3, 12e-3
# Seconds of a core: a frame written, a video extracted, 10^6 pixels of it, a flow, a video indexed.
WRITE, VIDEO, EXTRACT, FLOW, INDEX = 1.35e-3, 0.04, 0.015, 1.9e-3, 5.7e-5
# Seconds of a core for an image of 500 x 375 pixels that is made smaller. Assumed: width over
# height of a stored image, and bytes of a pixel.
IMAGE, IMAGE_ASPECT, IMAGE_JPEG = 5e-3, 4 / 3, 0.5
START, LIGHT = 15, 3  # seconds before the work of a job with a network, and of any other
# Bytes of a pixel at ffmpeg's quality 3, which fall with the quality's power of 0.8; and the
# quality that has about as many as ffmpeg's default.
JPEG, DEFAULT_QUALITY = 0.2, 16
DEFAULT_JPEG = JPEG * (3 / DEFAULT_QUALITY) ** 0.8
FRAME = 512 + 256 + 8.5  # bytes of a frame besides its JPEG: of the tar, and of the shard's table
ROW, FLOAT, RECORDS = 60, 4, 150_000  # bytes: a video in a list, a number, a table with its plots
NOTES = f"""
The rest is computed. GPU: {DEVICE}, {_measured["date"]}, {min(GPU.values()):.0f} to \
{max(GPU.values()):.0f} TFLOP/s.
CPU-hours are the threads of a job times its hours, GPU-hours its GPUs times these.
Frames are taken to be 16:9, with {JPEG} bytes a pixel at quality 3, {DEFAULT_JPEG:.2f} at default.
Finetuning is counted to its last epoch. It ends sooner where validation saturates.
Not counted: the monitor's tests, a cluster's queue, slow disks, unfinished checkpoints."""
# Seconds of a core to load data and of a device (GPU or core) to compute; bytes that stay.
Work = namedtuple("Work", "load compute disk", defaults=(0.0, 0.0, RECORDS))
