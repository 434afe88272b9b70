"""Milliseconds to load a clip, beside a plain decode-resize-crop-jitter pipeline.

    uv run python benchmarks/loader.py

Both work on the same shard of 427x320 JPEG frames, on one core, in turns, in this process:

    ours    what a loader process does: read, decode, crop, resize -> uint8
    jitter  color jitter and normalisation of those clips, batched, also on this one core
            (in training it runs on the training device)
    plain   the usual torchvision pipeline, frame by frame: PIL decodes and resizes the whole frame,
            crops and flips; torchvision's colour functions on PIL images; to a normalised tensor
"""

import argparse
import io
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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
SMALL = {"size": 112, "train_shorter_side": (128, 160), "test_shorter_side": 128, "flip": 0.5}
JITTER = {"strength": 0.4, "hue": 0.4, "grey": 0.3}
INPUTS = {"single": PAPER, "trn": PAPER, "slow": PAPER, "slowfast": PAPER, "3dresnet": SMALL}
# The authors' loader on two cores of a server, ms a clip.
AUTHORS = {"single": 4.7, "slow": 17.7, "slowfast": 74.5, "3dresnet": 44.3}


def natural_frame(rng: np.random.Generator) -> bytes:
    """A 427x320 JPEG with a spectrum like that of photographs."""
    frequency = np.hypot(np.fft.fftfreq(320)[:, None], np.fft.fftfreq(427)[None])
    fall = 1 / np.maximum(frequency, 1 / 320) ** 1.4
    noise = np.fft.fft2(rng.normal(size=(3, 320, 427)))
    planes = np.fft.ifft2(noise * fall).real  # (3, 320, 427)
    planes = planes.mean(0) + 0.3 * planes  # channels of photographs are alike
    planes = (planes - planes.min()) / np.ptp(planes) * 255
    buffer = io.BytesIO()
    Image.fromarray(planes.transpose(1, 2, 0).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def build(folder: Path, videos: int, frames: int) -> Index:
    """An index of `videos` videos whose frames are drawn from a pool of 60."""
    rng = np.random.default_rng(0)
    pool = [natural_frame(rng) for _ in range(60)]
    listed = [Video(f"v{i:03d}", f"train/v{i:03d}.mp4", "a") for i in range(videos)]
    write_manifest(listed, class_names(listed), folder / "manifest.parquet")
    rows = []
    with (folder / "0.tar").open("wb") as file:
        writer = ShardWriter(file)
        for row in pq.read_table(folder / "manifest.parquet").to_pylist():
            jpegs = [pool[i] for i in rng.integers(len(pool), size=frames)]
            rows.append({**row, "width": 427, "height": 320, **writer.add(row["video"], jpegs)})
        writer.finish()
    settings = {"fps": "25", "shorter_side": "320", "quality": "3", "shards": "1"}
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


def measure(index: Index, kind: str, rounds: int) -> dict[str, float]:
    """Median milliseconds per clip over rounds in which both take turns."""
    transform = ClipTransform.of({"geometry": INPUTS[kind], "color_jitter": JITTER, "clip": kind})
    times: dict[str, list[float]] = {"ours": [], "jitter": [], "plain": []}
    batch = 8
    for turn in range(rounds + 1):
        videos = [(turn * batch + i) % len(index) for i in range(batch)]
        start = time.perf_counter()
        clips, draws = zip(*(ours(index, transform, video) for video in videos), strict=True)
        loaded = time.perf_counter()
        stacked = ColorJitterDraws(
            *(torch.from_numpy(np.stack(p)) for p in zip(*draws, strict=True))
        )
        apply_color_jitter(torch.stack(clips), stacked)
        jittered = time.perf_counter()
        for video in videos[:2]:
            plain(index, transform, video)
        end = time.perf_counter()
        if turn:  # the first round warms up
            times["ours"].append((loaded - start) / batch)
            times["jitter"].append((jittered - loaded) / batch)
            times["plain"].append((end - jittered) / 2)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print one line per kind of input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of 8 clips per input")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'input':10}{'ours':>8}{'jitter':>8}{'plain':>8}{'plain/ours':>12}", end="")
    print(f"{'plain/(ours+jitter)':>21}{'authors':>9}{'ours/authors':>14}")
    with tempfile.TemporaryDirectory() as folder:
        index = build(Path(folder), videos=40, frames=80)
        for kind in INPUTS:
            ms = measure(index, kind, arguments.rounds)
            both = ms["ours"] + ms["jitter"]
            line = f"{kind:10}{ms['ours']:8.2f}{ms['jitter']:8.2f}{ms['plain']:8.2f}"
            line += f"{ms['plain'] / ms['ours']:12.1f}{ms['plain'] / both:21.1f}"
            if kind in AUTHORS:
                line += f"{AUTHORS[kind]:9.1f}{ms['ours'] / AUTHORS[kind]:14.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
