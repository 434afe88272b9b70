"""Pretext tasks in pretraining: their steps, the videos that take part, the bank, momentum."""

import json

import numpy as np
import pytest
import torch

from vie.clips.color_jitter import apply_color_jitter
from vie.clips.loader import EpochBatchSampler, TrainClips, loader, long_enough
from vie.engine.run import Data, Run
from vie.engine.schedules import pretraining_schedule
from vie.models.untrained import new_encoder
from vie.objectives.order_prediction import orders
from vie.objectives.table import transform_of
from vie.pretrain import Pretraining, PretrainOutputs, train_stage
from vie.runtime import torch_files

ORDER, ROTATION = "order_prediction", "rotation"


def train(recipe, stage, dataset, folder, motion=None, start_from=None):
    train_stage(
        recipe,
        stage,
        Data(dataset / "train" / "index.parquet", motion=motion),
        Run(folder / f"{stage}.state", seed=1, name="test"),
        PretrainOutputs(folder / f"{stage}.pt", folder / f"{stage}.jsonl"),
        start_from=start_from,
    )
    return torch_files.load(folder / f"{stage}.pt")


@pytest.mark.parametrize("stage", [ORDER, ROTATION])
def test_pretext_steps_equal_a_loop_written_out(
    single_stage, small_dataset, motion, tmp_path, stage
):
    """Two steps in plain torch: every order and every rotation forwarded on its own."""
    recipe = single_stage(stage, "2 steps")
    # Batch norm over a handful of numbers would magnify the last bits of float32.
    recipe["geometry"] |= {"size": 64, "train_shorter_side": [66, 80]}
    motion = motion if stage == ORDER else None
    ours = train(recipe, stage, small_dataset, tmp_path, motion=motion)
    index = small_dataset / "train" / "index.parquet"
    videos = long_enough(index, recipe.get("min_frames", 1))
    assert ours["n_train"] == len(videos)
    if stage == ORDER:
        assert 5 < len(videos) < 24

    schedule = pretraining_schedule(recipe["schedule"], stage, len(videos) // 5)
    task = Pretraining(
        recipe, stage, schedule, torch.zeros(24, dtype=torch.int64), seed=1, steps_per_epoch=1
    )
    encoder, objective = task.network().cpu(), task.objective.cpu()
    parameters = [*encoder.parameters(), *objective.parameters()]
    clips = TrainClips(
        index, transform_of(recipe, stage), seed=1, stage="pretraining", motion=motion
    )
    order = EpochBatchSampler(videos, 5, seed=1, stage="pretraining", first=0, last=2)
    momenta = [torch.zeros_like(p) for p in parameters]
    norms = {
        id(p)
        for m in encoder.modules()
        if isinstance(m, torch.nn.BatchNorm2d)
        for p in m.parameters()
    }
    for batch in loader(clips, order, 0, clips=8):
        x = apply_color_jitter(batch.clips, batch.color_jitter)
        if stage == ROTATION:
            turned = [torch.from_numpy(np.rot90(x.numpy(), k, (3, 4)).copy()) for k in range(4)]
            pooled = encoder.trunk(torch.cat(turned))["conv5"].mean((2, 3, 4))
            scores = objective.head(pooled)
            right = [k for k in range(4) for _ in range(5)]
        else:
            maps = encoder.trunk(x)["conv5"].mean((3, 4))  # (5, C, 3)
            shown, classes = orders(3)
            scores, right = [], []
            for b in range(5):
                for o, c in zip(shown.tolist(), classes.tolist(), strict=True):
                    g = [maps[b, :, f] for f in o]
                    pairs = [torch.cat([g[p], g[q]]) for p, q in ((0, 1), (0, 2), (1, 2))]
                    hidden = [torch.relu(objective.pair(pair)) for pair in pairs]
                    scores.append(objective.head(torch.cat(hidden)))
                    right.append(c)
            scores = torch.stack(scores)
        loss = torch.nn.functional.cross_entropy(scores, torch.tensor(right))
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            for p, g, v in zip(parameters, gradients, momenta, strict=True):
                if g is not None:
                    v.mul_(0.9).add_(g + (0 if id(p) in norms else 1e-4) * p)
                    p.sub_(0.05 * v)
    for name, value in encoder.state_dict().items():
        torch.testing.assert_close(ours["encoder"][name], value, atol=1e-4, rtol=1e-3, msg=name)
    for name, value in objective.state_dict().items():
        torch.testing.assert_close(ours["objective"][name], value, atol=1e-4, rtol=1e-3, msg=name)
    rows = [json.loads(line) for line in (tmp_path / f"{stage}.jsonl").read_text().splitlines()]
    assert 0 <= rows[0]["pretext_top1"] <= 100


def test_the_bank_of_a_pretext_network_holds_pooled_features(single_stage, small_dataset, tmp_path):
    """Of the upright clips single_stage, although four rotations go through the network."""
    recipe = single_stage(ROTATION, "1 steps")
    recipe["objective"]["bank_momentum"] = 0
    content = train(recipe, ROTATION, small_dataset, tmp_path)
    index = small_dataset / "train" / "index.parquet"
    _, instances = next(
        iter(EpochBatchSampler(24, 5, seed=1, stage="pretraining", first=0, last=1))
    )
    batch = TrainClips(index, transform_of(recipe, ROTATION), seed=1, stage="pretraining")[
        0, instances
    ]
    encoder = new_encoder(recipe, 1)
    x = apply_color_jitter(batch.clips, batch.color_jitter)
    four = torch.cat([torch.rot90(x, k, (3, 4)) for k in range(4)])
    pooled = encoder.trunk(four)["conv5"].mean((2, 3, 4))[:5]
    expected = pooled / pooled.norm(dim=1, keepdim=True)
    assert content["bank"]["vectors"].shape == (24, 16)
    torch.testing.assert_close(
        content["bank"]["vectors"][instances], expected.detach(), atol=1e-4, rtol=1e-3
    )


def test_a_head_of_another_size_starts_without_momentum(single_stage, small_dataset, tmp_path):
    """Two tasks on one network: the second takes over the network and nothing of the head."""
    recipe = single_stage(ROTATION, "2 steps")
    first = train(recipe, ROTATION, small_dataset, tmp_path)
    (tmp_path / "rotation.pt").rename(tmp_path / "first.pt")
    recipe["objective"] |= {"rotation": {"hidden": 3}}
    recipe["schedule"] |= {ROTATION: "0 steps"}
    second = train(recipe, ROTATION, small_dataset, tmp_path, start_from=tmp_path / "first.pt")
    assert not second["optimiser"]["state"]
    weight = "trunk.resnet.stem.weight"
    assert torch.equal(second["encoder"][weight], first["encoder"][weight])
    assert second["objective"]["head.0.weight"].shape == (3, 16)
