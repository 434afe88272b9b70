"""Class probabilities of videos, averaged over test clips or windows (protocol 2, 7, 8)."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from vie.clips.loader import Batch, TestClips, loader, video_batches
from vie.clips.transform import ClipTransform
from vie.clips.windows import CLIPS_TOGETHER, WindowClips, window_batches, window_counts
from vie.engine.device import to_device
from vie.frames.index import load_index
from vie.frames.parquet import write_table
from vie.runtime.files import atomic_write
from vie.runtime.progress import Progress
from vie.runtime.threads import TEST_CLIPS


@torch.no_grad()
def clip_outputs(
    function: Callable[[Tensor], dict[str, Tensor]],
    index: Path,
    transform: ClipTransform,
    *,
    clips: int,
    device: torch.device,
    workers: int = 0,
    label: str = "",
    videos: np.ndarray | None = None,
) -> Iterator[dict[str, Tensor]]:
    """Outputs of `function` on so many evenly spaced clips of every video of an index, in batches.

    Args:
        function: (B, 3, T, H, W) normalised floats -> {name: (B, D)}.
        transform: sampling and geometry; test crops, no colour noise.
        workers: processes that load clips.
        label: shown with the progress; none without.
        videos: instances (V,), where these are not all videos of the index in its order.

    Yields:
        {name: (videos of the batch, clips, D)} on the CPU.
    """
    videos = np.arange(len(load_index(index))) if videos is None else videos
    keys = video_batches(videos, clips, TEST_CLIPS)
    dataset = TestClips(index, transform, clips=clips)
    batches = loader(dataset, keys, workers, clips=max(clips, TEST_CLIPS))
    for batch in with_progress(batches, len(videos), label):
        outputs = function(to_device(batch, device).clips)
        # (B, D) -> (B // clips, clips, D)
        yield {name: one.float().cpu().unflatten(0, (-1, clips)) for name, one in outputs.items()}


def predict_clips(*args: Any, **settings: Any) -> dict[str, Tensor]:
    """All that `clip_outputs` gives: {name: (V, clips, D)} on the CPU."""
    return joined(clip_outputs(*args, **settings))


def joined(batches: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """{name: (V, ...)} of batches with some of the V rows each."""
    parts: dict[str, list[Tensor]] = {}
    for batch in batches:
        for name, output in batch.items():
            parts.setdefault(name, []).append(output)
    return {name: torch.cat(part) for name, part in parts.items()}


def with_progress(
    batches: Iterable[Batch], total: int, label: str, unit: str = "videos"
) -> Iterator[Batch]:
    """The batches, counting their videos; nothing is shown without a label."""
    with Progress(total=total, label=label, unit=unit, quiet=not label) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch.instances.unique()))


def class_probabilities(logits: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """{layer: (V, clips, classes)} -> {layer: (V, classes)}: softmax, averaged over clips."""
    # (V, clips, classes) -> (V, classes)
    return {name: scores.softmax(2).mean(1).numpy() for name, scores in logits.items()}


@torch.no_grad()
def predict_windows(
    function: Callable[[Tensor], Tensor],
    index: Path,
    transform: ClipTransform,
    videos: np.ndarray,
    *,
    device: torch.device,
    workers: int = 0,
    label: str = "",
) -> np.ndarray:
    """Class probabilities of videos: softmax, averaged over all windows (protocol section 8).

    Args as for `predict_clips`, but `function` returns logits (B, classes).

    Returns:
        (V, classes) float64.
    """
    counts = window_counts(load_index(index), videos, transform.sampling)
    keys, dataset = window_batches(counts, videos), WindowClips(index, transform)
    batches = loader(dataset, keys, workers, clips=CLIPS_TOGETHER)
    parts = []
    for batch in with_progress(batches, len(videos), label):
        # A long video alone may be more than fits the device's memory.
        for clips in batch.clips.split(CLIPS_TOGETHER):
            logits = function(to_device(batch._replace(clips=clips), device).clips)
            parts.append(logits.float().cpu().softmax(1).double())
    each = torch.cat(parts).split(counts.tolist())  # (windows, classes) -> V x (own, classes)
    return torch.stack([windows.mean(0) for windows in each]).numpy()


def write_predictions(columns: dict[str, Any], path: Path) -> None:
    """Write columns, a row for each video, as Parquet."""
    with atomic_write(path) as temporary:
        write_table(pa.table(columns), temporary)
