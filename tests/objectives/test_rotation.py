"""Rotation against numpy and arithmetic by hand."""

import numpy as np
import pytest
import torch

from vie.objectives.rotation import Rotation


def test_all_four_rotations_are_exact_and_in_order():
    clips = torch.randn(3, 3, 2, 5, 5)
    shown = Rotation(8, hidden=2).inputs(clips)
    assert shown.shape == (12, 3, 2, 5, 5)
    for turn in range(4):
        for b in range(3):
            expected = np.rot90(clips[b].numpy(), turn, axes=(2, 3))
            assert np.array_equal(shown[turn * 3 + b].numpy(), expected)
    assert torch.equal(shown[:3], clips)  # the bank takes the embeddings of the first


@pytest.mark.parametrize("hidden", [0, 6])
def test_scores_loss_and_accuracy_by_hand(hidden):
    torch.manual_seed(0)
    objective = Rotation(5, hidden=hidden).double()
    pooled = torch.randn(8, 5, dtype=torch.float64)  # 4 turns x 2 clips
    found = objective.losses(None, {"pooled": pooled}, None, None, None)
    losses, hits = [], []
    weights = [p.detach().numpy() for p in objective.parameters()]
    for turn in range(4):
        for b in range(2):
            x = pooled[turn * 2 + b].numpy()
            if hidden:
                x = weights[0] @ x + weights[1]  # no non-linearity, protocol section 9
            scores = weights[-2] @ x + weights[-1]
            losses.append(np.log(np.exp(scores).sum()) - scores[turn])
            hits.append(scores.argmax() == turn)
    assert found["loss"].item() == pytest.approx(np.mean(losses), rel=1e-10)
    assert found["pretext_top1"].item() == pytest.approx(100 * np.mean(hits))
    assert objective.chance == 0.25
    scores, right = objective.answers({"pooled": pooled})
    assert scores.shape == (2, 4, 4)
    assert right.tolist() == [0, 1, 2, 3]
