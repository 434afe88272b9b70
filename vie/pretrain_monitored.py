"""How good an embedding is while it trains: nearest neighbours in the bank (protocol section 5)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vie.clips.transform import ClipTransform
from vie.engine.predict import predict_clips
from vie.frames.index import load_index
from vie.frames.manifest import read_classes
from vie.metrics.knn import knn_predict
from vie.metrics.top_k import top_k
from vie.pretrain import pretrain
from vie.runtime import distributed
from vie.runtime.errors import VieError
from vie.runtime.threads import use_threads


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
        self.val_index, self.transform, self.classes, self.clips = (
            val_index,
            transform,
            classes,
            clips,
        )
        self.neighbours, self.temperature, self.workers = neighbours, temperature, workers

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


def pretrain_monitored(
    recipe: dict,
    stage: str,
    train_index: Path,
    val_index: Path,
    classes: Path,
    *,
    seed: int,
    name: str,
    checkpoint: Path,
    metrics: Path,
    work: Path,
    start_from: str | Path | None,
    motion: str | Path | None,
    code: str,
    threads: int,
    gpus: int = 1,
    precision: str = "float32",
) -> None:
    """`pretrain` one stage of a recipe with its `monitor`; `name` is the recipe's key.

    With several GPUs, one process for each, which share batches and threads. TensorBoard reads the
    folder `tensorboard` beside `checkpoint`.

    Raises:
        VieError: as `pretrain` does, or the machine has fewer GPUs than several that are asked for.
    """
    if gpus > 1 and (there := torch.cuda.device_count()) < gpus:
        raise VieError(f"gpus in the config is {gpus}, but this machine shows {there}")
    processes = max(gpus, 1)
    distributed.launch(
        processes,
        pretrain_process,
        recipe=recipe,
        stage=stage,
        train_index=train_index,
        val_index=val_index,
        classes=classes,
        seed=seed,
        name=name,
        checkpoint=checkpoint,
        metrics=metrics,
        work=work,
        start_from=Path(start_from) if start_from else None,
        motion=Path(motion) if motion else None,
        code=code,
        threads=max(1, threads // processes),
        gpus=gpus,
        precision=precision,
    )


def pretrain_process(
    recipe: dict,
    stage: str,
    train_index: Path,
    val_index: Path,
    classes: Path,
    *,
    seed: int,
    name: str,
    checkpoint: Path,
    threads: int,
    gpus: int,
    **settings: Any,
) -> None:
    """One process of `pretrain_monitored`."""
    workers = use_threads(threads, gpus)
    asked = recipe["monitor"]
    monitor = KnnMonitor(
        train_index,
        val_index,
        ClipTransform.of(recipe),
        classes=len(read_classes(classes)),
        clips=asked["clips"],
        neighbours=asked["neighbours"],
        temperature=recipe["objective"]["temperature"],
        workers=workers,
    )
    pretrain(
        recipe,
        stage,
        train_index,
        seed=seed,
        label=f"{name} {stage.replace('_', ' ')} seed {seed}",
        checkpoint=checkpoint,
        tensorboard=checkpoint.parent / "tensorboard" / stage,
        monitor=monitor,
        workers=workers,
        **settings,
    )
