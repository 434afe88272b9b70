"""How well a network does its pretext task on other videos (protocol section 9)."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from vie.clips.loader import TrainClips, loader, long_enough, video_batches
from vie.clips.transform import ClipTransform
from vie.engine.device import accelerator, to_device
from vie.engine.predict import with_progress, write_predictions
from vie.engine.run import Run
from vie.frames.index import load_index
from vie.models.checkpoint_format import encoder_of, read
from vie.models.encoders import Encoder
from vie.objectives.base import Pretext
from vie.objectives.table import objective_of, transform_of
from vie.runtime.metadata_file import write_metadata

TOGETHER = 64  # clips of a batch


def trained_pretext(content: dict[str, Any]) -> tuple[Encoder, Pretext]:
    """Network and objective of a checkpoint, in evaluation mode."""
    encoder = encoder_of(content)
    return encoder, cast(Pretext, objective_of(content, encoder))


@torch.no_grad()
def right_answers(
    content: dict[str, Any],
    index: Path,
    videos: np.ndarray,
    *,
    clips: int,
    motion: Path | None = None,
    workers: int = 0,
    label: str = "pretext",
) -> np.ndarray:
    """Share of right answers of each video, over all questions about all its clips.

    Clips are drawn as in training (windows, crops, shifts, dropped channels), with draws of their
    own: the task is the one that was trained, on other videos.

    Args:
        content: of the checkpoint.
        index, motion: as `Data.val` and `Data.motion`.
        videos: instances (V,) to ask about.
        clips: of each video.
        workers: processes that load clips.

    Returns:
        (V,) float64 in [0, 1].
    """
    device = accelerator().device
    encoder, objective = trained_pretext(content)
    encoder, objective = encoder.to(device), objective.to(device)
    transform = transform_of(content["recipe"], content["stage"])
    dataset = TrainClips(index, transform, seed=content["seed"], stage="pretext", motion=motion)
    keys = [(clip, some) for clip in range(clips) for some in video_batches(videos, 1, TOGETHER)]
    batches = loader(dataset, keys, workers, clips=TOGETHER)
    found: list[np.ndarray] = []
    for batch in with_progress(batches, len(videos) * clips, label, "clips"):
        shown = objective.inputs(to_device(batch, device).clips)
        scores, right = objective.answers(encoder(shown)[1])
        # (B, Q) -> (B,): right answers of each clip
        found.append((scores.argmax(2) == right).double().mean(1).cpu().numpy())
    # clips x V, clip by clip -> (clips, V) -> (V,)
    shares: np.ndarray = np.concatenate(found).reshape(clips, len(videos)).mean(0)
    return shares


def pretext(
    checkpoint: Path,
    val_index: Path,
    run: Run,
    *,
    answers: Path,
    metadata: Path,
    motion: Path | None = None,
    official_name: str | None = None,
) -> None:
    """Ask, and write what the table is made of.

    Args:
        checkpoint: of a finished pretext recipe, whose monitor says how many clips of a video.
        val_index: index.parquet of the validation videos.
        run: where and how; its work folder is not used.
        answers: Parquet to write: video, `right` (share of right answers).
        metadata: JSON to write: chance, and what decides whether published values are comparable.
        motion: motion.npy beside it, if the recipe's clips ask where videos move.
        official_name: name under which published values know the dataset, if they do.
    """
    workers = run.use_threads()
    content = read(checkpoint)
    recipe, stage = content["recipe"], content["stage"]
    videos = long_enough(val_index, recipe.get("min_frames", 1))
    clips = recipe["monitor"]["clips"]
    label = f"{run.name} on validation videos"
    right = right_answers(
        content, val_index, videos, clips=clips, motion=motion, workers=workers, label=label
    )
    names = load_index(val_index).videos.take(videos)
    write_predictions({"video": names, "right": right}, answers)
    about = {
        "seed": content["seed"],
        "task": stage,
        "clips": clips,
        "n_train": content["n_train"],
        "steps": content["step"],
        "batch": recipe["optimiser"]["batch"],
        "encoder": recipe["encoder"],
        "size": recipe["geometry"]["size"],
        "sampling": asdict(ClipTransform.of(recipe).sampling),
        "objective": recipe["objective"][stage],
        "chance": trained_pretext(content)[1].chance,
        "n_val": len(videos),
        "dataset_official_name": official_name,
    }
    write_metadata(about | run.record, metadata)
