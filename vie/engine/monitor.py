"""How good an embedding is while it trains: nearest neighbours in the bank (protocol section 5)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vie.clips.transform import ClipTransform
from vie.config.settings import too_many
from vie.engine.predict import predict_clips
from vie.engine.run import Data
from vie.frames.index import load_index
from vie.frames.manifest import read_classes
from vie.metrics.knn import knn_predict
from vie.metrics.top_k import top_k
from vie.runtime import distributed
from vie.runtime.errors import VieError


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
        self.how = {
            "classes": len(read_classes(data.classes)),
            "k": neighbours,
            "temperature": recipe["objective"]["temperature"],
        }

    def __call__(self, encoder: nn.Module, vectors: Tensor) -> dict[str, float]:
        """{"knn_top1": ...} of the encoder against the bank (N, D); leaves the mode as it was."""
        training = encoder.training
        every = np.arange(len(self.val_labels))
        encoder.eval()
        embeddings = predict_clips(
            lambda clips: {"embedding": encoder(clips)[0]},
            self.val,
            self.transform,
            clips=self.clips,
            device=vectors.device,
            workers=self.workers,
            videos=distributed.padded_shard(every),
        )["embedding"]  # (V, clips, D); of a share of the videos where several processes train
        embeddings = distributed.gather(embeddings.to(vectors.device))[: len(every)]
        encoder.train(training)
        probabilities = knn_predict(vectors, self.labels, embeddings, **self.how)
        correct = top_k(probabilities.cpu().numpy(), self.val_labels)
        return {"knn_top1": 100 * float(correct.mean())}
