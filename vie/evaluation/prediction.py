"""Class probabilities of videos, averaged over their test clips (protocol sections 2 and 7)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vie.data.clips import TestClips, View, loader, video_batches
from vie.data.colour import normalise
from vie.data.index import load_index
from vie.progress import Progress

TOGETHER = 128  # clips of a batch, about


@torch.no_grad()
def over_test_clips(
    function: Callable[[Tensor], dict[str, Tensor]],
    index: Path,
    view: View,
    *,
    clips: int,
    device: torch.device,
    workers: int = 0,
    label: str = "",
    videos: np.ndarray | None = None,
) -> dict[str, Tensor]:
    """Outputs of `function` on every test clip of every video.

    Args:
        function: (B, 3, T, H, W) normalised floats -> {name: (B, D)}.
        index: index.parquet of the videos.
        view: sampling and geometry; test crops, no colour noise.
        clips: clips per video, evenly spaced.
        device: of the clips.
        workers: processes that load clips.
        label: shown with the progress; none without.
        videos: instances (V,), where these are not all videos of the index in its order.

    Returns:
        {name: (V, clips, D)} on the CPU.
    """
    videos = np.arange(len(load_index(index))) if videos is None else videos
    dataset, keys = TestClips(index, view, clips=clips), video_batches(videos, clips, TOGETHER)
    batches = loader(dataset, keys, workers, clips=max(clips, TOGETHER))
    parts: dict[str, list[Tensor]] = {}
    bar = Progress(total=len(videos), label=label, unit="videos") if label else None
    for batch in batches:
        outputs = function(normalise(batch.clips.to(device, non_blocking=True)))
        for name, output in outputs.items():
            # (B, D) -> (B // clips, clips, D)
            parts.setdefault(name, []).append(output.float().cpu().unflatten(0, (-1, clips)))
        if bar:
            bar.update(len(batch.clips) // clips)
    if bar:
        bar.close()
    return {name: torch.cat(part) for name, part in parts.items()}


def class_probabilities(logits: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """{layer: (V, clips, classes)} -> {layer: (V, classes)}: softmax, averaged over clips."""
    # (V, clips, classes) -> (V, classes)
    return {name: scores.softmax(2).mean(1).numpy() for name, scores in logits.items()}
