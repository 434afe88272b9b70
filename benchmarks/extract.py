"""Videos per second of `vie.extract`, beside ffmpeg alone and the network alone.

    uv run python benchmarks/extract.py

All work on the same files with the same number of threads, in turns:

    ours     vie.extract: five clips of each video, embedding
    jpeg     ffmpeg's command line: the files to JPEGs of the same size and quality, as shards have
    raw      the same to raw pixels, which are thrown away: what decoding and resizing cost
    network  the network alone, on clips that are there already

`ratio` is ours over the slower of jpeg and network. Where nothing runs beside the CPU, both share
its cores: `bound` is the ratio of a program that loses no time at all, 1 / (1 / jpeg + 1 / network)
over the slower one.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

import vie
from vie.clips.color_jitter import normalise
from vie.config.load import load_config
from vie.engine.device import described, inference
from vie.features import PIXELS
from vie.frames.process import ffmpeg_executable
from vie.models.untrained import write_untrained
from vie.runtime.threads import available_threads, use_threads

ROOT = Path(__file__).parents[1]
CLIPS = 5
SIZES = {"demo": [], "paper": ["experiments/kinetics400.yaml"]}  # overlays of the config
SOURCE = "testsrc2=size={size}:rate=30:duration=10,noise=alls=12:allf=t"


def write_videos(folder: Path, number: int, size: str) -> list[Path]:
    """Videos of ten seconds at 30 frames per second, with noise as cameras have."""
    first = folder / "0.mp4"
    argv = [ffmpeg_executable(), "-v", "error", "-f", "lavfi", "-i", SOURCE.format(size=size)]
    subprocess.run([*argv, "-c:v", "libx264", "-crf", "26", str(first)], check=True)
    for i in range(1, number):
        (folder / f"{i}.mp4").write_bytes(first.read_bytes())
    return sorted(folder.glob("*.mp4"))


def plain_ffmpeg(videos: list[Path], frames: dict, threads: int, *, jpeg: bool) -> None:
    """`threads` processes of ffmpeg at once, as short a command as does the same."""
    side = frames["shorter_side"]
    quality = [] if frames["quality"] == "default" else ["-q:v", str(frames["quality"])]
    output = ["-c:v", "mjpeg", *quality] if jpeg else ["-c:v", "rawvideo", "-pix_fmt", "rgb24"]
    scale = f"fps={frames['fps']},scale=-2:{side}"

    def one(video: Path) -> None:
        argv = [ffmpeg_executable(), "-v", "error", "-threads", "1", "-i", str(video)]
        argv += ["-vf", scale, *output, "-threads", "1"]
        argv += ["-f", "image2pipe" if jpeg else "rawvideo", "pipe:1"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, videos))


def network_alone(encoder: torch.nn.Module, clips: torch.Tensor, videos: int) -> None:
    """All clips of so many videos, in batches; `clips` is one (B, 3, T, H, W) uint8."""
    left = videos * CLIPS
    with torch.no_grad():
        while left > 0:
            encoder(normalise(clips[:left].to(next(encoder.parameters()).device)))
            left -= len(clips)
        if torch.cuda.is_available():
            torch.cuda.synchronize()


def seconds(function: Callable[[], object]) -> float:
    """That a call takes; what it prints is dropped."""
    began = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        function()
    return time.perf_counter() - began


def compare(size: str, recipe_name: str, asked: argparse.Namespace) -> None:
    """Print videos per second of all four."""
    config = load_config(ROOT / "config.yaml", *(ROOT / path for path in SIZES[size]))
    recipe, frames = config["recipes"][recipe_name], config["datasets"][config["dataset"]]["frames"]
    threads = available_threads(asked.threads or os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_untrained(recipe, 0, folder / "untrained.pt", frames["fps"])
        encoder = vie.load_encoder(folder / "untrained.pt")
        videos = write_videos(folder, asked.videos, asked.source)
        how = tuple(frames[key] for key in ("fps", "shorter_side", "quality"))
        shown = encoder.input
        device, _ = inference()
        batch = max(1, PIXELS[device.type] // (shown.frames * shown.size**2))
        encoder.to(device)
        clips = torch.zeros(batch, 3, shown.frames, shown.size, shown.size, dtype=torch.uint8)
        use_threads(threads)
        calls = {
            "ours": lambda: vie.extract(encoder, folder, frames=how, threads=threads),
            "jpeg": lambda: plain_ffmpeg(videos, frames, threads, jpeg=True),
            "raw": lambda: plain_ffmpeg(videos, frames, threads, jpeg=False),
            "network": lambda: network_alone(encoder, clips, len(videos)),
        }
        network_alone(encoder, clips, 1)
        took: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(asked.rounds):
            for name, call in calls.items():
                took[name].append(seconds(call))
    speeds = {name: len(videos) / statistics.median(times) for name, times in took.items()}
    slower = min(speeds["jpeg"], speeds["network"])
    bound = 1 / (1 / speeds["jpeg"] + 1 / speeds["network"]) / slower
    each = ", ".join(f"{name} {speed:.2f}" for name, speed in speeds.items())
    print(f"{size} {recipe_name}: {each} videos/s on {described(device, 'float32')}")
    print(f"    ratio {speeds['ours'] / slower:.2f}, bound {bound:.2f}", flush=True)


def main() -> None:
    """Read the command line, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=16)
    parser.add_argument("--source", default="640x360", help="size of the videos")
    parser.add_argument("--recipes", nargs="+", default=["vie_single", "vie_slow"])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: all")
    asked = parser.parse_args()
    for size in asked.sizes:
        for recipe in asked.recipes:
            compare(size, recipe, asked)


if __name__ == "__main__":
    main()
