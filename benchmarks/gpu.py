"""What a GPU does with the paper's recipes, beside what it can do: one table, and JSON.

    uv run python benchmarks/gpu.py                     # all parts
    uv run python benchmarks/gpu.py --only steps,kmeans --precisions bf16
    uv run python benchmarks/gpu.py --save              # for vie.workflow.estimate

Parts, in milliseconds unless another unit is named:

    limits   products in each precision (TFLOP/s), copies on the device and to it (GB/s)
    steps    a training step of each recipe, copy and colours included, beside a step of
             torchvision's (and timm's) ResNet-18 on the same frames as single images, already
             normalised on the device, without deterministic kernels; in turns
               share      the plain ResNet's milliseconds over ours
               copy       copy and colours alone
               waited     of a step whose batches are not in pinned memory
               free       a step without deterministic kernels
               TFLOP/s    of the step, counted on the network, forward and backward
               conv       TFLOP/s of the same operations over the time in convolutions alone
               peak       of the device's memory, in GiB
    la       local aggregation's loss in place of instance recognition's, VIE-Single
    stem     the fast pathway's stem as a 3D convolution, and as a 2D one of several frames
    kmeans   seconds of one clustering at the paper's scale, and faiss's on the GPU if it sees one
    small    steps/s of the demo's VIE-Single
    feed     clips/s that loading from 320-pixel JPEG shards gives, and that training then takes
"""

import argparse
import datetime
import functools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

# Neighbours of this file.
from gpu_steps import (  # noqa: E402
    GPU,
    VIDEOS,
    Plain,
    Row,
    Step,
    free_kernels,
    in_turns,
    milliseconds,
    wait,
)
from loader import build  # noqa: E402
from training import STAGE  # noqa: E402

from vie.clips.loader import Batch, EpochBatchSampler, TrainClips, loader  # noqa: E402
from vie.config.load import load_config, merge  # noqa: E402
from vie.config.settings import PRECISIONS  # noqa: E402
from vie.engine.device import accelerator  # noqa: E402
from vie.models.convolutions import narrow_convolution  # noqa: E402
from vie.objectives.clustering import kmeans  # noqa: E402
from vie.objectives.table import transform_of  # noqa: E402
from vie.workflow.estimate_costs import MEASURED  # noqa: E402

PARTS = ("limits", "steps", "la", "stem", "kmeans", "small", "feed")
NETWORKS = ("single", "trn", "slow", "slowfast", "3dresnet")
DIMENSIONS, CLUSTERS = 128, 8_000


def limits(asked: argparse.Namespace) -> list[Row]:
    """What the device can do."""
    device, size = accelerator().device, 8192 if GPU else 512
    rows = []
    for kind in asked.precisions:
        torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"
        dtype = torch.bfloat16 if kind == "bf16" else torch.float32
        one = torch.randn(size, size, dtype=dtype, device=device)
        ms = milliseconds(lambda one=one: one @ one)
        rows.append({"what": f"product {kind}", "TFLOP/s": 2 * size**3 / ms / 1e9})
    torch.backends.cuda.matmul.allow_tf32 = False
    numbers = 2**28 if GPU else 2**22  # bytes
    there = torch.empty(numbers, dtype=torch.uint8, device=device)
    host = torch.empty(numbers, dtype=torch.uint8, pin_memory=GPU)
    copy = milliseconds(lambda: there.clone())
    rows.append({"what": "copy on the device", "GB/s": 2 * numbers / copy / 1e6})
    copy = milliseconds(lambda: there.copy_(host, non_blocking=True))
    rows.append({"what": "copy to the device, pinned", "GB/s": numbers / copy / 1e6})
    return rows


def steps(asked: argparse.Namespace) -> list[Row]:
    """Training steps beside those of plain ResNets."""
    rows = []
    for kind in asked.precisions:
        for name, recipe in recipes(asked).items():
            ours = Step(recipe, kind, videos=asked.videos)
            sources = ["torchvision"] + ["timm"] * has("timm")
            others = [Plain(source, ours.unpinned.clips, kind) for source in sources]
            ms, *plain = in_turns(asked.calls, ours, *(other.step for other in others))
            row: Row = {"recipe": name, "precision": kind, "clip": shape(ours.batch), "step": ms}
            row |= {
                f"{source} share": other / ms for source, other in zip(sources, plain, strict=True)
            }
            del others
            if GPU:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            row["copy"] = milliseconds(ours.copy, asked.calls)
            row["waited"] = milliseconds(functools.partial(ours, ours.unpinned), asked.calls)
            if GPU:
                row["peak GiB"] = torch.cuda.max_memory_allocated() / 2**30
            with free_kernels():
                row["free"] = milliseconds(ours, asked.calls)
            row["TFLOP/s"] = ours.flops() / row["step"] / 1e9
            if GPU:
                spent = ours.convolution_milliseconds()  # 0 where profiling is not allowed
                row["conv"] = ours.flops() / spent / 1e9 if spent else float("nan")
            rows.append(row)
            print(table([row]), flush=True)  # the whole part takes minutes
    return rows


def la(asked: argparse.Namespace) -> list[Row]:
    """Both objectives on the same network."""
    recipe = recipes(asked)["vie_single"]
    if not GPU:
        recipe["objective"]["local_aggregation"] |= {"clusters": 20, "neighbours": 16}
    pairs = [Step(recipe, "bf16", s, asked.videos) for s in (STAGE, "local_aggregation")]
    ms = in_turns(asked.calls, *pairs)
    return [{"what": "instance recognition", "step": ms[0]}, {"what": "local", "step": ms[1]}]


def stem(asked: argparse.Namespace) -> list[Row]:
    """Forms of the narrow stem, forward and backward to the weights."""
    device, size, clips = accelerator("bf16").device, 224 if GPU else 32, 64 if GPU else 2
    dtype = torch.bfloat16 if GPU else torch.float32
    frames = torch.randn(clips * 16, 3, size, size, dtype=dtype, device=device)
    frames = frames.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(8, 3, 5, 7, 7, dtype=dtype, device=device, requires_grad=True)

    def in_3d() -> None:
        whole = frames.unflatten(0, (-1, 16)).transpose(1, 2)  # (B, 3, 16, H, W)
        y = torch.nn.functional.conv3d(whole, weight, None, (1, 2, 2), (2, 3, 3))
        torch.autograd.grad(y.sum(), weight)

    def in_2d() -> None:
        torch.autograd.grad(narrow_convolution(frames, weight, 16, 2, (2, 3)).sum(), weight)

    found = in_turns(asked.calls, in_3d, in_2d)
    return [{"what": what, "ms": ms} for what, ms in zip(("3D", "2D"), found, strict=True)]


def clustering(asked: argparse.Namespace) -> list[Row]:
    """One k-means of 20 iterations."""
    import faiss

    clusters = CLUSTERS if GPU else 50
    vectors = torch.nn.functional.normalize(torch.randn(asked.videos, DIMENSIONS), dim=1)
    there = vectors.to(accelerator().device)
    rows = [{"what": "kmeans", "seconds": milliseconds(lambda: kmeans(there, clusters), 1) / 1e3}]
    if faiss.get_num_gpus():

        def theirs() -> None:
            algorithm = faiss.Kmeans(DIMENSIONS, clusters, niter=20, seed=0, gpu=1)
            algorithm.train(vectors.numpy())

        rows.append({"what": "faiss on the GPU", "seconds": milliseconds(theirs, 1) / 1e3})
    return rows


def small(asked: argparse.Namespace) -> list[Row]:
    """The demo's network, which leaves a GPU idle."""
    recipe = merge({}, load_config(ROOT / "config.yaml")["recipes"]["vie_single"])
    step = Step(recipe, "bf16", videos=1000)
    return [{"what": "demo's VIE-Single", "steps/s": 1e3 / milliseconds(step, 5 * asked.calls)}]


def feed(asked: argparse.Namespace) -> list[Row]:
    """Loading alone, and training what is loaded."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), videos=4 * asked.batches if GPU else 40, frames=80)
        table = Path(folder) / "index.parquet"
        for name, recipe in recipes(asked).items():
            batch = recipe["optimiser"]["batch"]
            step = Step(recipe, "bf16", videos=asked.videos)
            dataset = TrainClips(table, transform_of(recipe, STAGE), seed=0, stage="benchmark")
            videos = np.resize(np.arange(len(dataset.index.n_frames)), batch * asked.batches)
            address: Row = {"seed": 0, "stage": "benchmark"}
            order = EpochBatchSampler(videos, batch, first=0, last=asked.batches, **address)
            row: Row = {"recipe": name, "workers": asked.workers}
            for what, work in (("loaded", None), ("trained", step)):
                batches = loader(dataset, order, asked.workers, clips=batch)
                first = next(batches)  # workers have started
                if work is not None:
                    work(first)
                wait()
                start, clips = time.perf_counter(), 0
                for one in batches:
                    clips += len(one.clips)
                    if work is not None:
                        work(one)
                wait()
                row[f"{what} clips/s"] = clips / (time.perf_counter() - start)
            rows.append(row)
    return rows


def recipes(asked: argparse.Namespace) -> dict[str, Row]:
    """Recipes of the paper's scale; on a CPU, small ones, to try this file."""
    config = load_config(ROOT / "config.yaml", ROOT / "experiments/kinetics400.yaml")
    found = {f"vie_{name}": merge({}, config["recipes"][f"vie_{name}"]) for name in asked.networks}
    for recipe in found.values():
        if not GPU:
            recipe["optimiser"]["batch"], recipe["encoder"]["width"] = 2, 4
            recipe["geometry"] |= {
                "size": 32, "train_shorter_side": [36, 40], "test_shorter_side": 36,
            }  # fmt: skip
    return found


def has(package: str) -> bool:
    """Whether a package is installed."""
    import importlib.util

    return importlib.util.find_spec(package) is not None


def shape(batch: Batch) -> str:
    """For the table: clips x frames x pixels."""
    return "x".join(str(batch.clips.shape[i]) for i in (0, 2, 3))


def table(rows: list[Row]) -> str:
    """Aligned columns."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [keys] + [
        [f"{v:.4g}" if isinstance(v := row.get(key, ""), float) else str(v) for key in keys]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def save(found: dict[str, Any], path: Path) -> None:
    """Keep what `vie.workflow.estimate` counts with: speeds of the default precision."""
    speeds = {
        row["recipe"].removeprefix("vie_"): round(row["TFLOP/s"], 1)
        for row in found["steps"]
        if row["precision"] == "bf16"
    }
    content = {key: found[key] for key in ("device", "date", "torch")}
    content |= {"precision": "bf16", "tflops": speeds}
    path.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Measure, print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--precisions", default=",".join(PRECISIONS if GPU else PRECISIONS[2:]))
    parser.add_argument("--calls", type=int, default=10 if GPU else 1, help="timed together")
    parser.add_argument("--videos", type=int, default=VIDEOS if GPU else 5000, help="in the bank")
    parser.add_argument("--batches", type=int, default=20 if GPU else 3, help="of a feed")
    parser.add_argument("--workers", type=int, default=max(1, torch.get_num_threads() - 1))
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--save", action="store_true", help=f"also write {MEASURED.name}")
    asked = parser.parse_args()
    for name, known in (("only", PARTS), ("networks", NETWORKS), ("precisions", PRECISIONS)):
        setattr(asked, name, getattr(asked, name).split(","))
        if unknown := set(getattr(asked, name)) - set(known):
            parser.error(f"--{name}: {', '.join(sorted(unknown))} is none of {', '.join(known)}")
    whole = "steps" in asked.only and "bf16" in asked.precisions
    if asked.save and not (GPU and whole and set(asked.networks) == set(NETWORKS)):
        parser.error("--save needs a GPU, the part steps, bf16 and all networks")
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if GPU else "CPU",
        "date": datetime.date.today().isoformat(),
        "torch": torch.__version__,
    }
    print(found)
    functions = (limits, steps, la, stem, clustering, small, feed)
    for part, function in zip(PARTS, functions, strict=True):
        if part in asked.only:
            found[part] = function(asked)
            print(f"\n{part}\n{table(found[part])}", flush=True)
            if asked.json:
                asked.json.write_text(json.dumps(found, indent=1))
            if GPU:
                torch.cuda.empty_cache()
    if asked.save:
        save(found, MEASURED)


if __name__ == "__main__":
    main()
