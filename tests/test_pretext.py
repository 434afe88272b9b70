"""Answers of a pretext network on other videos, against a loop over clips and questions."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from vie.clips.color_jitter import apply_color_jitter
from vie.clips.loader import TrainClips
from vie.engine.run import Run
from vie.engine.schedules import Schedule
from vie.frames.index import load_index
from vie.frames.parquet import write_array
from vie.models.checkpoint_format import describe
from vie.objectives.table import transform_of
from vie.pretext import pretext, right_answers, trained_pretext
from vie.pretrain import Pretraining
from vie.runtime import torch_files


@pytest.fixture(params=["rotation", "order_prediction"])
def content(request, recipe):
    """A checkpoint's content, as rule pretrain leaves it; the network has random weights."""
    stage = request.param
    recipe["encoder"]["embedding"] = "pooled"
    recipe["schedule"] = {stage: "1 steps", "lr_drops": []}
    if stage == "order_prediction":
        recipe |= {"clip": {"frames": 3, "windows": [9, 12]}, "min_frames": 20}
    task = Pretraining(
        recipe, stage, Schedule(0, 1), torch.zeros(24, dtype=torch.int64), seed=2, steps_per_epoch=1
    )
    known = describe(recipe, transform_of(recipe, stage), 25.0)
    return known | {"stage": stage, "seed": 2, "step": 1, "n_train": 24} | task.state()


@pytest.fixture
def motion(small_dataset, tmp_path):
    index = load_index(small_dataset / "val" / "index.parquet")
    still = np.ones(len(index.jpegs), np.float32)
    write_array(still, tmp_path / "motion.npy", index.seal)
    return tmp_path / "motion.npy"


@pytest.mark.parametrize("workers", [0, 1])
def test_shares_of_right_answers_by_hand(content, small_dataset, motion, workers):
    index = small_dataset / "val" / "index.parquet"
    videos = np.array([1, 4, 6])
    encoder, objective = trained_pretext(content)
    settings = {"clips": 2, "motion": motion, "workers": workers}
    found = right_answers(content, index, videos, **settings)
    encoder, objective = encoder.cpu(), objective.cpu()  # if there is a GPU, they were on it
    transform = transform_of(content["recipe"], content["stage"])
    clips = TrainClips(index, transform, seed=2, stage="pretext", motion=motion)
    for video, share in zip(videos, found, strict=True):
        hits = []
        for clip in range(2):
            batch = clips[clip, np.array([video])]
            shown = objective.inputs(apply_color_jitter(batch.clips, batch.color_jitter))
            with torch.no_grad():
                scores, right = objective.answers(encoder(shown)[1])
            hits += [int(scores[0, q].argmax()) == int(right[q]) for q in range(len(right))]
        assert share == pytest.approx(np.mean(hits))
    assert not encoder.training


def test_what_the_rule_writes(content, small_dataset, motion, tmp_path):
    torch_files.save(tmp_path / "checkpoint.pt", content)
    index = small_dataset / "val" / "index.parquet"
    pretext(
        tmp_path / "checkpoint.pt",
        index,
        Run(tmp_path, seed=2, name="test", version="pretext 1"),
        answers=tmp_path / "answers.parquet",
        metadata=tmp_path / "metadata.json",
        motion=motion,
        official_name="kinetics400",
    )
    answers = pq.read_table(tmp_path / "answers.parquet").to_pydict()
    loaded = load_index(index)
    least = content["recipe"].get("min_frames", 1)
    assert answers["video"] == [
        name
        for name, n in zip(loaded.videos.to_pylist(), loaded.n_frames, strict=True)
        if n >= least
    ]
    assert all(0 <= share <= 1 for share in answers["right"])
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    chance = {"rotation": 1 / 4, "order_prediction": 1 / 3}[content["stage"]]
    assert metadata["chance"] == pytest.approx(chance)
    assert metadata["n_val"] == len(answers["video"])
    assert (metadata["task"], metadata["clips"], metadata["steps"]) == (content["stage"], 2, 1)
    assert metadata["version"] == "pretext 1"
