"""Features of any videos, straight from their files.

    uv run python -m vie.extract ENCODER VIDEO_OR_FOLDER_OR_LIST... -o features.parquet

In Python, `vie.extract(encoder, paths)` is the function `extract` of this module.
"""

import argparse
import copy
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vie.clips.transform import ClipTransform
from vie.clips.video_files import FileClips, VideoFile
from vie.config.clip_frames import FPS, QUALITIES, SIDES
from vie.config.settings import PRECISIONS, VECTORS
from vie.datasets.file_names import as_text, on_disk
from vie.datasets.finding import Found, find_videos
from vie.engine.feature_parts import Parts, Rejected
from vie.engine.feature_table import FeatureTable, write_features
from vie.features import EMBEDDING, Extractor, VideoVectors, file_features
from vie.frames.extract import write_rejected
from vie.frames.ffmpeg import FrameSettings
from vie.models.checkpoint_format import load_encoder
from vie.models.encoders import Encoder
from vie.runtime.csv_files import write_rows
from vie.runtime.errors import VieError, shown
from vie.runtime.files import atomic_write
from vie.runtime.logs import run_command
from vie.runtime.progress import Progress
from vie.runtime.signals import resumable
from vie.runtime.threads import available_threads, use_threads
from vie.runtime.torch_files import content_digest

log = logging.getLogger(__name__)
SILENCE = 60  # seconds that ffmpeg may take for its next frame
LONGEST = 30 * 24 * 3600  # seconds of a video: where times are damaged, frames would never end
MOST_CLIPS, MOST_STRIDE = 1000, 10**6  # of a video, which are held together; frames
PARTS = ".parts"  # end of the folder of what is finished, beside the output
Frames = Sequence[Any]  # frames per second, shorter side in pixels, JPEG quality


@dataclass(frozen=True)
class Wanted:
    """What is extracted."""

    layers: tuple[str, ...] = (EMBEDDING,)
    clips: int = 5  # of each video, evenly spaced, averaged; or
    stride_seconds: float | None = None  # a row for every clip, which start every so many seconds
    frames: Frames | None = None  # None: those that the encoder's file names
    precision: str = "float32"
    threads: int | None = None  # None: all


def extract(
    encoder: str | Path | Encoder,
    paths: str | Path | Sequence[str | Path],
    *,
    layers: str | Sequence[str] = EMBEDDING,
    clips: int = 5,
    stride_seconds: float | None = None,
    frames: Frames | None = None,
    precision: str = "float32",
    threads: int | None = None,
) -> tuple[list[str], Any]:
    """Features of video files.

        ids, vectors = vie.extract("results/demo/encoders/vie_slow.pt", "my_videos")

    A clip that is a tensor already needs no more than the network:

        encoder = vie.load_encoder("results/demo/encoders/vie_slow.pt")
        clip = torch.zeros(1, 3, encoder.input.frames, encoder.input.size, encoder.input.size)
        embedding, features = encoder(clip)

    Args:
        encoder: as `vie.load_encoder` takes it, or what that gave.
        paths: folders (any depth), lists (.txt, .csv) and video files.
        layers: one or several of embedding, conv3, conv4, conv5.
        clips: evenly spaced clips of each video, whose vectors are averaged.
        stride_seconds: in place of `clips`, every clip is a row; one starts every so many seconds.
        frames: frames per second, shorter side and JPEG quality, if the encoder's file does not
            say how videos become frames.
        precision: on a GPU that has it: float32, tf32 or bf16.
        threads: that read videos and compute; all if left out.

    Returns:
        ids: N ids of videos, their paths below the folder that has all of them. Videos that cannot
            be used are left out, with a warning.
        features: (N, D) float32 of one layer; of several, {layer: (N, D)}.

    Raises:
        VieError: a setting is wrong, there is no video, or none can be used.
    """
    places = [paths] if isinstance(paths, str | Path) else list(paths)
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    wanted = Wanted(names, clips, stride_seconds, frames, precision, threads)
    with tempfile.TemporaryDirectory(prefix="vie_extract") as work:
        table, rejected = _extracted(encoder, places, wanted, Path(work))
    for row in rejected:
        log.warning("%s is left out: %s", row["video"], row["reason"])
    return table.ids, table.vectors[layers] if isinstance(layers, str) else table.vectors


def _extracted(
    encoder: str | Path | Encoder, places: Sequence[str | Path], wanted: Wanted, work: Path
) -> tuple[FeatureTable, list[Rejected]]:
    """The whole table and what is wrong with the other videos; finished parts are in `work`."""
    source = "the encoder" if isinstance(encoder, Encoder) else str(encoder)
    # A copy: the caller's own stays on its device.
    network = copy.deepcopy(encoder) if isinstance(encoder, Encoder) else load_encoder(encoder)
    settings = _settings(network, wanted, source, work)
    finding = find_videos(places)
    for note in finding.notes:
        log.warning("%s", note)
    threads = available_threads(wanted.threads or os.cpu_count() or 1)
    use_threads(threads)
    extractor = Extractor([network], wanted.layers, wanted.precision)
    recipe = network.metadata["recipe"]
    about = extractor.metadata(settings.frames.fps, str(recipe.get("label", "")))
    stride = wanted.stride_seconds
    about |= {"clips": str(wanted.clips)} if stride is None else {"stride_seconds": f"{stride:g}"}
    how = {
        "transform": content_digest(network.metadata["transform"]),
        "precision": wanted.precision,
    }
    how |= {key: str(getattr(settings.frames, key)) for key in ("shorter_side", "quality")}
    videos = finding.videos
    paths = [on_disk(finding.base, one.path) for one in videos]
    stamps = {one.id: _stamp(path) for one, path in zip(videos, paths, strict=True)}
    parts = Parts(work, about | how, stamps)
    done = {number for number, one in enumerate(videos) if one.id in parts.done}
    files = [VideoFile(path, one.start, one.end) for path, one in zip(paths, videos, strict=True)]
    bar = Progress(total=len(videos), initial=len(done), label="features", unit="videos")
    with bar, parts:
        for found in file_features(extractor, files, settings, threads, done):
            _add(parts, videos[found.number], found)
            bar.set_postfix(rejected=len(parts.rejected))
            bar.update(1)
    return parts.table([one.id for one in videos], about), parts.rejected


def _stamp(file: Path) -> str:
    """What tells a file from another one of its name."""
    try:
        status = file.stat()
    except OSError:
        return ""
    return f"{as_text(str(file))} {status.st_size} {status.st_mtime_ns}"


def _add(parts: Parts, video: Found, found: VideoVectors) -> None:
    if found.problem:
        about = {"video": video.id, "path": video.path, "label": video.label}
        return parts.rejected.append(about | {"reason": found.problem})
    n = len(found.starts)
    columns = [video.id] * n, found.starts, found.ends, [video.label] * n, [""] * n
    parts.add(FeatureTable(*columns, found.vectors, {}))


def _settings(network: Encoder, wanted: Wanted, source: str, work: Path) -> FileClips:
    """Checked settings of reading."""
    if unknown := sorted(set(wanted.layers) - set(VECTORS)):
        raise VieError(f"there is no layer {', '.join(unknown)}; there are {', '.join(VECTORS)}")
    threads = 1 if wanted.threads is None else wanted.threads
    if not wanted.layers or min(wanted.clips, threads) < 1:
        raise VieError("layers, clips and threads: at least one of each is needed")
    if wanted.clips > MOST_CLIPS:
        raise VieError(f"{wanted.clips} clips of a video: choose 1 to {MOST_CLIPS}")
    if "transform" not in network.metadata:
        raise VieError(f"{source} does not say which clips it was trained on: load it from a file")
    transform = ClipTransform.from_dict(network.metadata["transform"])
    frames = wanted.frames or network.metadata.get("frames")
    if frames is None:
        has, crop = network.input, transform.geometry
        example = f"{(has and has.fps) or 25:g} {getattr(crop, 'test_shorter_side', crop.size)} 3"
        raise VieError(
            f"{source} does not say how videos become frames: give --frames (in Python: frames) "
            f"with frames per second, shorter side in pixels and JPEG quality, such as "
            f"{example}; the file encoders/<recipe>.pt of an experiment says so by itself"
        )
    fps, side, quality = _checked(frames)
    stride = wanted.stride_seconds
    if stride is not None and not 1 <= stride * fps <= MOST_STRIDE:
        raise VieError(
            f"--stride-seconds {stride:g}: choose {1 / fps:g} (one frame) to {MOST_STRIDE / fps:g}"
        )
    how = FrameSettings(fps, side, quality, timeout_seconds=SILENCE, max_seconds=LONGEST)
    return FileClips(transform, how, wanted.clips, stride, work)


def main(arguments: Sequence[str]) -> None:
    """Read the command line, write the table.

    Raises:
        VieError: a setting is wrong, the output is there already, or no video can be used.
    """
    asked = _parser().parse_args(arguments)
    output: Path = asked.output
    if output.suffix != ".parquet":
        raise VieError(f"{output}: a table of features ends in .parquet")
    if output.exists():
        raise VieError(f"{output} is there already: give another name, or delete it")
    wanted = Wanted(
        tuple(asked.layers),
        asked.clips,
        asked.stride_seconds,
        tuple(asked.frames) if asked.frames else None,
        asked.precision,
        asked.threads,
    )
    work, rejected_to = output.with_suffix(PARTS), output.with_suffix(".rejected.csv")
    try:
        with resumable(work):
            if output.exists():
                raise VieError(f"{output}: another call has written it meanwhile")
            table, rejected = _extracted(asked.encoder, asked.videos, wanted, work)
            with atomic_write(rejected_to) as temporary:
                write_rejected(rejected, temporary)
            if asked.npy:
                _write_arrays(table, output)
            write_features(table, output)
            shutil.rmtree(work)
    except OSError as error:
        raise VieError(f"{error.filename or output}: {error.strerror or error}") from None
    rows = "" if wanted.stride_seconds is None else f", {len(table.ids)} clips"
    reasons = f" ({rejected_to})" if rejected else ""
    print(f"{output}: {len(set(table.ids))} videos{rows}; {len(rejected)} rejected{reasons}")


def _checked(frames: Any) -> tuple[float, int, int | str]:
    """Frames per second, shorter side and quality, from a user or a file, as ffmpeg may get them.

    Raises:
        VieError: they are something else.
    """
    values = frames.values() if isinstance(frames, dict) else frames
    try:
        fps, side, quality = values
        found = float(fps), int(side), quality if quality == "default" else int(quality)
        bounds = zip(found, (FPS, SIDES, QUALITIES), strict=True)
        if all(one == "default" or low <= one <= high for one, (low, high) in bounds):
            return found
    except (TypeError, ValueError):
        pass
    raise VieError(
        f"frames {shown(frames)}: expected are frames per second, the shorter side in pixels and "
        "a quality of 2 to 31 or default, such as 25 320 3"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vie.extract", description=__doc__)
    parser.add_argument("encoder", help="as vie.load_encoder takes it")
    parser.add_argument("videos", nargs="+", help="videos, folders, lists (.txt, .csv)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a .parquet to write")
    parser.add_argument("--layers", nargs="+", default=[EMBEDDING], choices=VECTORS)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--clips", type=int, default=5, help="of each video, averaged; default 5")
    which.add_argument(
        "--stride-seconds", type=float, metavar="S", help="a row for each clip, one every S seconds"
    )
    parser.add_argument("--npy", action="store_true", help="arrays and a CSV beside the table, too")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    parser.add_argument("--threads", type=int, help="default: all")
    add_frames(parser)
    return parser


def add_frames(parser: argparse.ArgumentParser) -> None:
    """The option of commands that read videos."""
    parser.add_argument(
        "--frames",
        nargs=3,
        metavar=("FPS", "SHORTER_SIDE", "QUALITY"),
        help="how videos become frames, if the encoder does not say so",
    )


def _write_arrays(table: FeatureTable, output: Path) -> None:
    """An array of each layer, and a CSV with the columns id, start, end, label, row by row."""
    for layer, vectors in table.vectors.items():
        with atomic_write(output.with_suffix(f".{layer}.npy")) as temporary:
            np.save(temporary, vectors)
    rows = zip(table.ids, table.starts, table.ends, table.labels, strict=True)
    with atomic_write(output.with_suffix(".csv")) as temporary:
        write_rows(temporary, ("id", "start", "end", "label"), rows)


class _Callable(ModuleType):
    """`vie.extract` is this module as soon as it is imported, and the function all the same."""

    def __call__(self, *args: Any, **settings: Any) -> tuple[list[str], Any]:
        return extract(*args, **settings)


if __name__ == "__main__":
    try:
        run_command(main)
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on with what is finished") from None
else:
    sys.modules[__name__].__class__ = _Callable
