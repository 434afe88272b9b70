"""Milliseconds to load a clip, beside a plain decode-resize-crop-jitter pipeline.

    uv run python benchmarks/loader.py

Both work on the same shard of 427x320 JPEG frames, on one core, in turns, in this process:

    ours    what a loader process does: read, decode, crop, resize -> uint8
    jitter  color jitter and normalisation of those clips, batched, also on this one core
            (in training it runs on the training device)
    plain   the usual torchvision pipeline, frame by frame: PIL decodes and resizes the whole frame,
            crops and flips; torchvision's colour functions on PIL images; to a normalised tensor
    jpegs   the decoder alone on the frames of those clips: what `ours` cannot fall below

`--against FOLDER` runs `ours` of another checkout too, in turns, on the same clips. It prints the
median of ours / theirs, and says whether the pixels are the same.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import torch
from PIL import Image

from vie.clips.color_jitter import (
    MEAN,
    STD,
    ColorJitterDraws,
    apply_color_jitter,
    draw_color_jitter,
)
from vie.clips.crops import RandomResizedCrop
from vie.clips.loader import load_clip
from vie.clips.transform import ClipTransform
from vie.datasets.video import Video
from vie.frames.extract import write_rejected
from vie.frames.index import Index, build_index, load_index
from vie.frames.manifest import class_names, write_manifest
from vie.frames.shards import TABLE_SCHEMA, ShardWriter
from vie.runtime.randomness import generator

PAPER = {"size": 224, "train_shorter_side": (256, 320), "test_shorter_side": 256, "flip": 0.5}
DEMO = {"size": 64, "train_shorter_side": (73, 91), "test_shorter_side": 73, "flip": 0.5}
SMALL = {"size": 112, "train_shorter_side": (128, 160), "test_shorter_side": 128, "flip": 0.5}
JITTER = {"strength": 0.4, "hue": 0.4, "grey": 0.3}
# Name -> clip sampling, crops, height of the frames in pixels. "demo" is config.yaml's VIE-Slow.
INPUTS = {
    "single": ("single", PAPER, 320),
    "trn": ("trn", PAPER, 320),
    "slow": ("slow", PAPER, 320),
    "slowfast": ("slowfast", PAPER, 320),
    "3dresnet": ("3dresnet", SMALL, 320),
    "demo": ("slow", DEMO, 80),
}
BATCH = 8  # clips of a round
# The authors' loader on two cores of a server, ms a clip.
AUTHORS = {"single": 4.7, "slow": 17.7, "slowfast": 74.5, "3dresnet": 44.3}


def natural_frame(rng: np.random.Generator, height: int) -> bytes:
    """A JPEG of 4:3 with a spectrum like that of photographs."""
    width = round(height * 427 / 320)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    fall = 1 / np.maximum(frequency, 1 / height) ** 1.4
    noise = np.fft.fft2(rng.normal(size=(3, height, width)))
    planes = np.fft.ifft2(noise * fall).real  # (3, height, width)
    planes = planes.mean(0) + 0.3 * planes  # channels of photographs are alike
    planes = (planes - planes.min()) / np.ptp(planes) * 255
    buffer = io.BytesIO()
    Image.fromarray(planes.transpose(1, 2, 0).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def build(folder: Path, videos: int, frames: int, height: int) -> Index:
    """An index of `videos` videos whose frames are drawn from a pool of 60."""
    rng = np.random.default_rng(0)
    pool = [natural_frame(rng, height) for _ in range(60)]
    _, width, *_ = simplejpeg.decode_jpeg_header(pool[0])
    listed = [Video(f"v{i:03d}", f"train/v{i:03d}.mp4", "a") for i in range(videos)]
    write_manifest(listed, class_names(listed), folder / "manifest.parquet")
    rows = []
    with (folder / "0.tar").open("wb") as file:
        writer = ShardWriter(file)
        for row in pq.read_table(folder / "manifest.parquet").to_pylist():
            jpegs = [pool[i] for i in rng.integers(len(pool), size=frames)]
            rows.append(
                {**row, "width": width, "height": height, **writer.add(row["video"], jpegs)}
            )
        writer.finish()
    settings = {"fps": "25", "shorter_side": str(height), "quality": "3", "shards": "1"}
    schema = TABLE_SCHEMA.with_metadata(settings)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "0.parquet")
    write_rejected([], folder / "0.csv")
    build_index(
        folder / "manifest.parquet",
        [folder / "0.tar"],
        [folder / "0.parquet"],
        [folder / "0.csv"],
        folder / "index.parquet",
        folder / "sizes.npy",
        folder / "rejected.csv",
        min_frames=3,
    )
    return load_index(folder / "index.parquet")


def ours(
    index: Index, transform: ClipTransform, instance: int
) -> tuple[torch.Tensor, ColorJitterDraws]:
    """One training clip as a loader process makes it."""
    rng = generator(0, "benchmark", 0, instance)
    frames = transform.sampling.train(int(index.n_frames[instance]), rng)
    crop = transform.geometry.train_crop(rng)
    draws = draw_color_jitter(rng, **JITTER)
    return load_clip(index, instance, frames, crop, transform.geometry.size), draws


def plain(index: Index, transform: ClipTransform, instance: int) -> torch.Tensor:
    """The same clip by PIL and torchvision, frame by frame."""
    from torchvision.transforms import functional

    rng = generator(0, "benchmark", 0, instance)
    frames = transform.sampling.train(int(index.n_frames[instance]), rng)
    assert isinstance(transform.geometry, RandomResizedCrop)
    low, high = transform.geometry.train_shorter_side
    side, size = int(rng.integers(low, high + 1)), transform.geometry.size
    top, left = (int(v) for v in rng.integers((side - size + 1, side - size + 1)))
    flip, (factors, order, grey) = rng.random() < 0.5, draw_color_jitter(rng)
    functions = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    out = []
    for jpeg in index.read_frames(instance, frames):
        image = functional.resize(Image.open(io.BytesIO(jpeg)).convert("RGB"), side)
        image = functional.crop(image, top, left, size, size)
        image = functional.hflip(image) if flip else image
        for operation in order:
            image = functions[operation](image, float(factors[operation]))
        image = functional.rgb_to_grayscale(image, 3) if grey else image
        out.append(functional.normalize(functional.to_tensor(image), MEAN, STD))
    return torch.stack(out, 1)  # (3, T, H, W)


def transform_of(kind: str) -> ClipTransform:
    """How the clips of one of `INPUTS` are made."""
    clip, geometry, _ = INPUTS[kind]
    return ClipTransform.of({"geometry": geometry, "color_jitter": JITTER, "clip": clip})


def load(index: Index, kind: str, turn: int) -> tuple[float, int, list[torch.Tensor], list]:
    """Seconds for a round of clips, their checksum, the clips and their draws."""
    transform = transform_of(kind)
    videos = [(turn * BATCH + i) % len(index) for i in range(BATCH)]
    start = time.perf_counter()
    made = [ours(index, transform, video) for video in videos]
    seconds = time.perf_counter() - start
    clips, draws = map(list, zip(*made, strict=True))
    checksum = zlib.crc32(b"".join(clip.numpy().tobytes() for clip in clips))
    return seconds, checksum, clips, draws


def serve(folder: Path) -> None:
    """`load` for each [input, turn] that comes in, until none does."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        kind, turn = json.loads(line)
        index = load_index(folder / str(INPUTS[kind][2]) / "index.parquet")
        print(json.dumps(load(index, kind, turn)[:2]), flush=True)


def of_other(checkout: Path, folder: Path) -> Iterator:
    """A coroutine: send (input, turn) -> what `load` of another checkout of vie says."""
    command = [sys.executable, __file__, "--serve", str(folder)]
    env = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=env, **pipes) as other:
        answer = None
        while True:
            print(json.dumps((yield answer)), file=other.stdin, flush=True)
            answer = json.loads(other.stdout.readline())


def measure(index: Index, kind: str, rounds: int, other: Iterator | None) -> dict[str, float]:
    """Median milliseconds per clip over rounds in which all take turns."""
    transform = transform_of(kind)
    times: dict[str, list[float]] = {name: [] for name in ("ours", "jitter", "plain", "jpegs")}
    ratios, same = [], True
    for turn in range(rounds + 1):
        seconds, checksum, clips, draws = load(index, kind, turn)
        if other:
            theirs, their_checksum = other.send((kind, turn))
            ratios.append(seconds / theirs)
            same = same and checksum == their_checksum
        start = time.perf_counter()
        stacked = ColorJitterDraws(
            *(torch.from_numpy(np.stack(p)) for p in zip(*draws, strict=True))
        )
        apply_color_jitter(torch.stack(clips), stacked)
        jittered = time.perf_counter()
        for video in range(2):
            plain(index, transform, video)
        end = time.perf_counter()
        jpegs = index.read_frames(turn % len(index), range(clips[0].shape[1]))
        read = time.perf_counter()
        for jpeg in jpegs:
            simplejpeg.decode_jpeg(jpeg)
        decoded = time.perf_counter()
        if turn:  # the first round warms up
            times["ours"].append(seconds / BATCH)
            times["jitter"].append((jittered - start) / BATCH)
            times["plain"].append((end - jittered) / 2)
            times["jpegs"].append(decoded - read)
    found = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    return found | ({"ratio": statistics.median(ratios[1:]), "same": same} if other else {})


def main() -> None:
    """Print one line per kind of input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of 8 clips per input")
    parser.add_argument("--against", type=Path, help="another checkout to compare with")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    torch.set_num_threads(1)
    print(f"{'input':10}{'ours':>8}{'jpegs':>8}{'jitter':>8}{'plain':>8}{'plain/ours':>12}", end="")
    print(f"{'plain/(ours+jitter)':>21}{'authors':>9}{'ours/authors':>14}", end="")
    print(f"{'ours/theirs':>13}{'same pixels':>13}" if arguments.against else "")
    with tempfile.TemporaryDirectory() as folder:
        heights = {height for _, _, height in INPUTS.values()}
        for height in heights:
            Path(folder, str(height)).mkdir()
        indices = {h: build(Path(folder, str(h)), videos=40, frames=80, height=h) for h in heights}
        other = of_other(arguments.against, Path(folder)) if arguments.against else None
        if other:
            next(other)
        for kind, (*_, height) in INPUTS.items():
            ms = measure(indices[height], kind, arguments.rounds, other)
            both = ms["ours"] + ms["jitter"]
            line = f"{kind:10}{ms['ours']:8.2f}{ms['jpegs']:8.2f}{ms['jitter']:8.2f}"
            line += f"{ms['plain']:8.2f}{ms['plain'] / ms['ours']:12.1f}{ms['plain'] / both:21.1f}"
            known = AUTHORS.get(kind)
            line += f"{known:9.1f}{ms['ours'] / known:14.2f}" if known else " " * 23
            line += f"{ms['ratio']:13.2f}{'yes' if ms['same'] else 'NO':>13}" if other else ""
            print(line, flush=True)
        if other:
            other.close()


if __name__ == "__main__":
    main()
