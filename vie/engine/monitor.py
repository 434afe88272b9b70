"""How good an embedding is while it trains: nearest neighbours in the bank (protocol section 5)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vie.clips.transform import ClipTransform
from vie.engine.predict import predict_clips
from vie.engine.run import Data
from vie.frames.index import load_index
from vie.frames.manifest import read_classes
from vie.metrics.knn import knn_predict
from vie.metrics.top_k import top_k
from vie.runtime import distributed


class KnnMonitor:
    """Top-1 accuracy (%) of the weighted k-nearest-neighbour classifier on validation videos.

    Args:
        train_index, val_index: index.parquet of either split.
        transform: of the recipe.
        classes: number of classes.
        clips, neighbours, temperature: protocol section 5 has 5, 10 and 0.07.
        workers: processes that load clips.
    """

    def __init__(
        self,
        train_index: Path,
        val_index: Path,
        transform: ClipTransform,
        *,
        classes: int,
        clips: int,
        neighbours: int,
        temperature: float,
        workers: int = 0,
    ) -> None:
        self.labels = torch.from_numpy(load_index(train_index).labels)
        self.val_labels = load_index(val_index).labels
        self.val_index, self.transform = val_index, transform
        self.classes, self.clips = classes, clips
        self.neighbours, self.temperature, self.workers = neighbours, temperature, workers

    @classmethod
    def of(cls, recipe: dict[str, Any], data: Data, workers: int) -> "KnnMonitor | None":
        """The monitor that a recipe asks for, where there are videos for validation."""
        if data.val is None or data.classes is None:
            return None
        return cls(
            data.train,
            data.val,
            ClipTransform.of(recipe),
            classes=len(read_classes(data.classes)),
            clips=recipe["monitor"]["clips"],
            neighbours=recipe["monitor"]["neighbours"],
            temperature=recipe["objective"]["temperature"],
            workers=workers,
        )

    def __call__(self, encoder: nn.Module, vectors: Tensor) -> dict[str, float]:
        """{"knn_top1": ...} of the encoder against the bank (N, D); leaves the mode as it was."""
        training = encoder.training
        every = np.arange(len(self.val_labels))
        encoder.eval()
        embeddings = predict_clips(
            lambda clips: {"embedding": encoder(clips)[0]},
            self.val_index,
            self.transform,
            clips=self.clips,
            device=vectors.device,
            workers=self.workers,
            videos=distributed.padded_shard(every),
        )["embedding"]  # (V, clips, D); of a share of the videos where several processes train
        embeddings = distributed.gather(embeddings.to(vectors.device))[: len(every)]
        encoder.train(training)
        probabilities = knn_predict(
            vectors,
            self.labels,
            embeddings,
            classes=self.classes,
            k=self.neighbours,
            temperature=self.temperature,
        )
        correct = top_k(probabilities.cpu().numpy(), self.val_labels)
        return {"knn_top1": 100 * float(correct.mean())}
