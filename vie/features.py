"""Features of videos: of an index of the workflow, or straight from files."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import vie
from vie.clips.loader import Batch
from vie.clips.transform import ClipTransform
from vie.clips.video_files import FileClips, ReadClips, VideoFile, read_clips
from vie.engine.device import inference, to_device
from vie.engine.feature_table import FeatureTable, join, write_features
from vie.engine.predict import clip_outputs, joined
from vie.engine.run import Run
from vie.frames.index import SCHEMA, load_index
from vie.frames.manifest import read_manifest
from vie.frames.parquet import read_table
from vie.models.checkpoint_format import load_encoder
from vie.models.encoders import Encoder
from vie.models.trunks import global_pool
from vie.runtime.errors import VieError
from vie.runtime.torch_files import content_digest

EMBEDDING = "embedding"
# Pixels of the clips that a network sees at once. A CPU has less memory, and gains nothing by more.
PIXELS = {"cpu": 2**21, "cuda": 2**26}
MOST_PARTS = 256  # of videos, whose results wait for a batch to be full
Rows = tuple[np.ndarray, dict[str, Tensor]]  # starts (rows,) and vectors {layer: (rows, D)}


class Extractor:
    """Encoders, frozen, and the layers that are read of them.

    Args:
        encoders: one, or several whose vectors stand side by side.
        layers: some of `vie.config.settings.VECTORS`.
        precision: as for `vie.engine.device.accelerator`.
    """

    def __init__(
        self, encoders: Sequence[Encoder], layers: Sequence[str], precision: str = "float32"
    ) -> None:
        self.device, self.autocast = inference(precision)
        self.encoders = [one.to(self.device).eval() for one in encoders]
        self.layers = tuple(layers)

    @torch.no_grad()
    def __call__(self, clips: Tensor) -> dict[str, Tensor]:
        """(B, 3, T, H, W) normalised floats on the device -> {layer: (B, D)} float32.

        The embedding has unit length; conv3 to conv5 are averages over time and space.
        """
        with self.autocast:
            found = [(one, one.trunk(clips)) for one in self.encoders]
            embeddings = [encoder.embed(features) for encoder, features in found]
        vectors = {EMBEDDING: F.normalize(torch.cat(embeddings, 1), dim=1)}
        for layer in self.layers:
            if layer != EMBEDDING:
                vectors[layer] = torch.cat([global_pool(one[layer]) for _, one in found], 1)
        asked = {layer: vectors[layer].float() for layer in self.layers}
        # A network with damaged weights gives no numbers.
        if not all(bool(one.isfinite().all()) for one in asked.values()):
            raise VieError("the encoder gives numbers that are not finite: its weights are damaged")
        return asked

    def metadata(self, fps: float, label: str = "") -> dict[str, str]:
        """What a table says of its vectors; fps of the frames, label of the recipe."""
        states = [one.state_dict() for one in self.encoders]
        return {
            "vie_version": vie.__version__,
            "encoder": content_digest(states[0] if len(states) == 1 else states),
            "layers": " ".join(self.layers),
            "fps": f"{fps:g}",
            "recipe": label,
        }


def average(vectors: dict[str, Tensor]) -> dict[str, Tensor]:
    """{layer: (V, clips, D)} -> {layer: (V, D)}: means; the embedding's is of unit length."""
    means = {layer: one.mean(1) for layer, one in vectors.items()}
    if EMBEDDING in means:
        means[EMBEDDING] = F.normalize(means[EMBEDDING], dim=1)
    return means


class Split(NamedTuple):
    """The files of one split of a dataset."""

    name: str
    table: Path  # index.parquet
    manifest: Path  # manifest.parquet


def write_index_features(
    networks: Sequence[Path],
    splits: Sequence[Split],
    transform: ClipTransform,
    settings: dict[str, Any],
    run: Run,
    output: Path,
    label: str = "",
) -> None:
    """Write the features of all videos of a dataset, split by split, row by row of its indexes.

    Args:
        networks: checkpoints; the vectors of several stand side by side.
        transform: sampling and geometry of the clips.
        settings: `features` of the config.
        label: of what was evaluated.

    Raises:
        VieError: a checkpoint or an index cannot be read.
    """
    workers, clips = run.use_threads(), settings["clips"]
    encoders = [load_encoder(path) for path in networks]
    extractor = Extractor(encoders, settings["layers"], run.precision)
    tables = []
    for name, path, manifest in splits:
        index = load_index(path)
        how: dict[str, Any] = {"device": extractor.device, "workers": workers}
        how["label"] = f"{run.name} {name}"
        outputs = clip_outputs(extractor, path, transform, clips=clips, **how)
        vectors = {key: one.numpy() for key, one in joined(map(average, outputs)).items()}
        ids = index.videos.to_pylist()
        labels = read_table(path, SCHEMA, "an index", ["label"])["label"].to_pylist()
        starts, ends = _places(ids, index.n_frames / index.fps, manifest)
        tables.append(FeatureTable(ids, starts, ends, labels, [name] * len(ids), vectors, {}))
    about = extractor.metadata(index.fps, label) | {"clips": str(clips), "seed": str(run.seed)}
    write_features(join(tables, about | run.record), output)


def _places(
    ids: Sequence[str], seconds: np.ndarray, manifest: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (N,) in their files of videos that play (N,) seconds.

    The last piece of a file may end before its row says so, which is rounded up.
    """
    rows = (read_manifest(manifest)[name].to_pylist() for name in ("video", "start", "end"))
    pieces = {video: (start, end) for video, start, end in zip(*rows, strict=True) if end > start}
    found = [pieces.get(video, (0, length)) for video, length in zip(ids, seconds, strict=True)]
    starts, ends = np.array(found, np.float64).T  # (N, 2) -> 2 x (N,)
    return starts, np.minimum(ends, starts + seconds)


class VideoVectors(NamedTuple):
    """Vectors of one video of `file_features`, or why it has none."""

    number: int  # of the video
    starts: np.ndarray  # (rows,) float64, seconds in the file
    ends: np.ndarray  # (rows,)
    vectors: dict[str, np.ndarray]  # {layer: (rows, D)}
    problem: str = ""


def file_features(
    extractor: Extractor,
    videos: Sequence[VideoFile],
    settings: FileClips,
    threads: int,
    done: Collection[int] = (),
) -> Iterator[VideoVectors]:
    """Features of video files but those that are done, in the order in which they are ready.

    So many `threads` read files while the network computes. A video is a row, or, with
    `stride_seconds`, each of its clips is.

    Raises:
        VieError: ffmpeg is missing or was killed from outside. A video that cannot be used raises
            nothing: it has a `problem`.
    """
    sampling, size = settings.transform.sampling, settings.transform.geometry.size
    together = max(1, PIXELS[extractor.device.type] // (sampling.frames * size**2))
    unfinished: dict[int, list[Rows]] = {}
    for batch in _batches(read_clips(videos, settings, threads, done), together):
        rows = _rows_of(extractor, batch, together)
        for part in batch:
            if part.clips is not None:
                unfinished.setdefault(part.number, []).append(next(rows))
            else:
                own = unfinished.pop(part.number, [])
                yield _finished(part, own, videos[part.number], settings)


def _batches(parts: Iterable[ReadClips], together: int) -> Iterator[list[ReadClips]]:
    """The parts in order, so many of them that they have about `together` clips."""
    batch: list[ReadClips] = []
    for part in parts:
        batch.append(part)
        clips = sum(len(one.clips) for one in batch if one.clips is not None)
        if clips >= together or len(batch) >= MOST_PARTS:
            yield batch
            batch = []
    yield batch


def _rows_of(extractor: Extractor, batch: Sequence[ReadClips], together: int) -> Iterator[Rows]:
    """Starts and vectors of each part that has clips."""
    parts = [(one.starts, one.clips) for one in batch if one.clips is not None]
    if not parts:
        return
    every = torch.cat([clips for _, clips in parts])
    none = torch.empty(0, dtype=torch.int64)
    inputs = (Batch(clips, none, none, None) for clips in every.split(together))
    outputs = joined(extractor(to_device(one, extractor.device).clips) for one in inputs)
    split = {
        layer: one.cpu().split([len(clips) for _, clips in parts]) for layer, one in outputs.items()
    }
    for number, (starts, _) in enumerate(parts):
        yield starts, {layer: own[number] for layer, own in split.items()}


def _finished(
    end: ReadClips, rows: Sequence[Rows], video: VideoFile, settings: FileClips
) -> VideoVectors:
    """All of one video."""
    nowhere = np.empty(0)
    if end.problem:
        return VideoVectors(end.number, nowhere, nowhere, {}, end.problem)
    vectors = joined(own for _, own in rows)
    seconds = end.n_frames / settings.frames.fps
    if settings.stride_seconds is None:
        # One video: (clips, D) -> (1, clips, D) -> (1, D)
        vectors = average({layer: one[None] for layer, one in vectors.items()})
        starts, ends = np.array([video.start]), np.array([video.end or seconds])
    else:
        starts = np.concatenate([own for own, _ in rows])
        lasts = settings.transform.sampling.span / settings.frames.fps
        ends = np.minimum(starts + lasts, video.start + seconds)
    return VideoVectors(
        end.number, starts, ends, {layer: one.numpy() for layer, one in vectors.items()}
    )
