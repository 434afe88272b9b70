"""Class probabilities of whole videos, averaged over their windows (protocol section 8)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vie.data.clips import View, loader
from vie.data.colour import normalise
from vie.data.index import load_index
from vie.data.windows import CLIPS_TOGETHER, WindowClips, window_batches, window_counts
from vie.progress import Progress


@torch.no_grad()
def over_windows(
    function: Callable[[Tensor], Tensor],
    index: Path,
    view: View,
    videos: np.ndarray,
    *,
    device: torch.device,
    workers: int = 0,
    label: str = "",
) -> np.ndarray:
    """Class probabilities of videos: softmax, averaged over all windows (protocol section 8).

    Args:
        function: (B, 3, T, H, W) normalised floats -> (B, classes) logits.
        index: index.parquet of the videos.
        view: sampling and geometry; test crops, no colour noise.
        videos: instances (V,).
        device: of the clips.
        workers: processes that load clips.
        label: shown with the progress; none without.

    Returns:
        (V, classes) float64.
    """
    counts = window_counts(load_index(index), videos, view.sampling)
    batches = loader(
        WindowClips(index, view), window_batches(counts, videos), workers, clips=CLIPS_TOGETHER
    )
    bar = Progress(total=len(videos), label=label, unit="videos") if label else None
    parts = []
    for batch in batches:
        # A long video alone may be more than fits the device's memory.
        for clips in batch.clips.split(CLIPS_TOGETHER):
            logits = function(normalise(clips.to(device, non_blocking=True)))
            parts.append(logits.float().cpu().softmax(1).double())
        if bar:
            bar.update(len(batch.instances.unique()))
    if bar:
        bar.close()
    rows = torch.from_numpy(np.repeat(np.arange(len(videos)), counts))  # (windows,)
    probabilities = torch.cat(parts)  # (windows, classes)
    sums = probabilities.new_zeros(len(videos), probabilities.shape[1])
    sums.index_add_(0, rows, probabilities)
    return (sums / torch.from_numpy(counts)[:, None]).numpy()
