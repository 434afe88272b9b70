"""How good an embedding is while it trains: nearest neighbours in the bank (protocol section 5).

Without labels, what can be known: whether two clips of a video are found among those of others, how
close they are, and how evenly all embeddings are spread.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.clips.transform import ClipTransform
from vie.config.settings import too_many
from vie.datasets.finding import file_of
from vie.engine.predict import predict_clips
from vie.engine.recorder import Points
from vie.engine.run import Data
from vie.frames.index import load_index
from vie.frames.manifest import read_classes
from vie.metrics.alignment import alignment, same_video_retrieval, uniformity
from vie.metrics.knn import knn_predict
from vie.metrics.top_k import top_k
from vie.objectives.bank import MemoryBank
from vie.runtime import distributed
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
Monitor = Callable[[nn.Module, Tensor], dict[str, float]]
# Mean cosine of the embeddings of different videos from which on a network has collapsed.
COLLAPSED = 0.98
MOST_POINTS = 5000  # videos in TensorBoard's projector


def build_monitor(recipe: dict[str, Any], data: Data, workers: int = 0) -> Monitor | None:
    """What watches a network while it trains; None without validation videos.

    Raises:
        VieError: a setting does not fit the data.
    """
    if data.val is None or data.classes is None:
        return None
    if read_classes(data.classes):
        return KnnMonitor(recipe, data, workers)
    return LabelFreeMonitor(recipe, data, workers)


class KnnMonitor:
    """Top-1 accuracy (%) of the weighted k-nearest-neighbour classifier on validation videos.

    Args:
        recipe: with the number of neighbours, clips of each video and the temperature: 10, 5 and
            0.07 in protocol section 5.
        data: with validation videos and classes.
        workers: processes that load clips.
    """

    def __init__(self, recipe: dict[str, Any], data: Data, workers: int = 0) -> None:
        assert data.val is not None
        assert data.classes is not None
        self.val, self.val_labels = data.val, load_index(data.val).labels
        self.labels = torch.from_numpy(load_index(data.train).labels)
        self.transform, self.workers = ClipTransform.of(recipe), workers
        self.clips = recipe["monitor"]["clips"]
        neighbours = recipe["monitor"]["neighbours"]
        if problem := too_many("monitor.neighbours", neighbours, len(self.labels)):
            raise VieError(problem[0])
        classes = read_classes(data.classes)
        self.look = _Look(data.val, classes)
        self.how = {
            "classes": len(classes),
            "k": neighbours,
            "temperature": recipe["objective"]["temperature"],
        }

    def __call__(self, encoder: nn.Module, vectors: Tensor) -> dict[str, float]:
        """{"knn_top1": ...} of the encoder against the bank (N, D); leaves the mode as it was."""
        embeddings = embed_videos(
            encoder, self.val, self.transform, self.clips, vectors.device, self.workers
        )
        self.points = self.look.at(embeddings)
        probabilities = knn_predict(vectors, self.labels, embeddings, **self.how)
        correct = top_k(probabilities.cpu().numpy(), self.val_labels)
        return {"knn_top1": 100 * float(correct.mean())}


class LabelFreeMonitor:
    """What can be known of an embedding without labels, from two distant clips of each video.

    Args:
        recipe: with the clip and the crops.
        data: with validation videos.
        workers: processes that load clips.
    """

    def __init__(self, recipe: dict[str, Any], data: Data, workers: int = 0) -> None:
        assert data.val is not None
        self.val, self.workers = data.val, workers
        self.transform = ClipTransform.of(recipe)
        self.clips = max(2, recipe["monitor"]["clips"])
        names = [file_of(name) for name in load_index(self.val).videos.to_pylist()]
        numbers = {name: i for i, name in enumerate(names)}
        self.files = torch.tensor([numbers[name] for name in names])
        self.calls, self.look = 0, _Look(self.val)

    def __call__(self, encoder: nn.Module, vectors: Tensor) -> dict[str, float]:
        """Measures of the encoder on the validation videos; leaves the mode as it was.

        Returns:
            "same_video_r1": videos (%) whose last clip is nearer to their first one than the last
            clips of all other files; "alignment": mean squared distance of a video's two clips, 0
            is best; "uniformity": log of the mean of exp(-2 d^2) over pairs of videos, lower is
            more even (Wang and Isola 2020); "mean_cosine": of pairs of videos, near 1 in a network
            that has collapsed. Of a single video, alignment alone.
        """
        embeddings = embed_videos(
            encoder, self.val, self.transform, self.clips, vectors.device, self.workers
        )
        self.points = self.look.at(embeddings)
        first, last = embeddings[:, 0], embeddings[:, -1]  # (V, clips, D) -> (V, D) each
        if len(first) < 2:
            return {"alignment": alignment(first, last)}
        cosine = mean_cosine(first)
        self.calls += 1
        if cosine > COLLAPSED and self.calls > 1:  # before the first step most networks are so
            log.warning(
                "the embeddings of different videos are nearly the same (mean cosine %.2f): the "
                "network has learned nothing yet or has collapsed. If this stays so, lower the "
                "learning rate, or use more videos",
                cosine,
            )
        return {
            "same_video_r1": 100 * same_video_retrieval(first, last, self.files),
            "alignment": alignment(first, last),
            "uniformity": uniformity(first),
            "mean_cosine": cosine,
        }


class _Look:
    """Which validation videos the projector shows, and what it says of them.

    Args:
        index: of the validation videos.
        classes: names of the classes, where there are any.
    """

    def __init__(self, index: Path, classes: Sequence[str] = ()) -> None:
        videos = load_index(index)
        count = min(len(videos), MOST_POINTS)
        self.chosen = np.linspace(0, len(videos) - 1, count).round().astype(np.int64)
        names = videos.videos.to_pylist()
        self.header = ["video", "class"] if classes else ["video", "file"]
        self.rows = [
            [names[i], classes[videos.labels[i]] if classes else file_of(names[i])]
            for i in self.chosen
        ]

    def at(self, embeddings: Tensor) -> Points:
        """(V, clips, D) of all videos -> the directions of the means over clips of those shown."""
        vectors = F.normalize(embeddings[self.chosen].mean(1), dim=1)
        return Points(vectors.cpu(), self.header, self.rows)


def bank_measures(bank: MemoryBank) -> dict[str, float]:
    """How a memory bank is spread, for boards.

    Returns:
        "bank/mean_cosine": of pairs of entries, near 1 in a bank that has collapsed.
        "bank/dimensions": (sum of l)^2 / sum of l^2 over the eigenvalues l of the entries'
            covariance: how many dimensions they use, from 1 to D.
        "bank/untouched": entries (%) that no step has updated yet.
    """
    vectors = bank.vectors
    mean = vectors.mean(0)
    # (D, N) x (N, D) -> (D, D)
    covariance = (vectors.T @ vectors / len(vectors) - mean[:, None] * mean).double()
    squares = float(covariance.square().sum())  # of its eigenvalues
    return {
        "bank/mean_cosine": mean_cosine(vectors),
        "bank/dimensions": float(covariance.trace()) ** 2 / squares if squares else 1.0,
        "bank/untouched": bank.untouched(),
    }


def mean_cosine(vectors: Tensor) -> float:
    """Mean cosine of all pairs of (V, D) vectors of unit length; 0 where there is no pair."""
    count = len(vectors)
    # Of all pairs, each with itself too.
    total = float(vectors.sum(0, dtype=torch.float64).square().sum())
    return (total - count) / max(count * (count - 1), 1)


def embed_videos(
    encoder: nn.Module,
    index: Path,
    transform: ClipTransform,
    clips: int,
    device: torch.device,
    workers: int,
) -> Tensor:
    """Embeddings of evenly spaced clips of all videos of an index, (V, clips, D) on the device.

    Where several processes train, each embeds its share and all get the whole. The encoder's mode
    is left as it was.
    """
    training = encoder.training
    every = np.arange(len(load_index(index)))
    encoder.eval()
    embeddings = predict_clips(
        lambda batch: {"embedding": encoder(batch)[0]},
        index,
        transform,
        clips=clips,
        device=device,
        workers=workers,
        videos=distributed.padded_shard(every),
    )["embedding"]
    encoder.train(training)
    return distributed.gather(embeddings.to(device))[: len(every)]
