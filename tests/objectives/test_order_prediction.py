"""Order prediction against loops over orders and pairs, written out in float64."""

import itertools

import numpy as np
import pytest
import torch

from vie.objectives.order_prediction import OrderPrediction, orders
from vie.runtime.errors import VieError


@pytest.mark.parametrize("n", [3, 4, 5])
def test_an_order_and_its_reverse_are_one_class(n):
    shown, classes = orders(n)
    every = [tuple(order) for order in shown.tolist()]
    assert sorted(every) == sorted(itertools.permutations(range(n)))
    class_of = dict(zip(every, classes.tolist(), strict=True))
    members = {}
    for order in every:
        assert class_of[order] == class_of[order[::-1]]
        members.setdefault(class_of[order], set()).add(order)
    assert sorted(members) == list(range(len(every) // 2))  # 12 classes of 4 frames
    assert {len(orders) for orders in members.values()} == {2}


def features(batch, n, channels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(batch, channels, n, 2, 3, generator=generator, dtype=torch.float64)
    return {"conv5": maps}


def by_hand(objective, maps, order):
    """Scores of one clip shown in one order: pairs of frames concatenated, one after the other."""
    frames = [maps[:, f].mean((1, 2)) for f in order]  # n x (C,)
    pairs = [
        torch.relu(objective.pair(torch.cat([frames[p], frames[q]])))
        for p, q in itertools.combinations(range(len(order)), 2)
    ]
    return objective.head(torch.cat(pairs))


@pytest.mark.parametrize("n", [3, 4])
def test_scores_loss_and_accuracy_by_hand(n):
    torch.manual_seed(1)
    objective = OrderPrediction(5, frames=n, hidden=7).double()
    given = features(3, n, 5)
    scores, right = objective.answers(given)
    shown, classes = orders(n)
    losses, hits = [], []
    for b in range(3):
        for o, order in enumerate(shown.tolist()):
            one = by_hand(objective, given["conv5"][b], order)
            torch.testing.assert_close(scores[b, o], one)
            losses.append(float((torch.log(torch.exp(one).sum()) - one[classes[o]]).detach()))
            hits.append(int(one.argmax()) == int(classes[o]))
    assert right.tolist() == classes.tolist()
    found = objective.losses(None, given, None, None, None)
    assert found["loss"].item() == pytest.approx(np.mean(losses), rel=1e-10)
    assert found["pretext_top1"].item() == pytest.approx(100 * np.mean(hits))
    assert objective.chance == pytest.approx(1 / len(set(classes.tolist())))


def test_gradients_reach_the_features():
    torch.manual_seed(1)
    objective = OrderPrediction(3, frames=3, hidden=4).double()
    maps = features(2, 3, 3)["conv5"].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda maps: objective.losses(None, {"conv5": maps}, None, None, None)["loss"], (maps,)
    )


def test_frames_that_look_alike_are_answered_by_chance():
    """Nothing but the features is there to read the order from: no numbering, no padding."""
    torch.manual_seed(2)
    objective = OrderPrediction(6, frames=4, hidden=16)
    maps = torch.randn(10, 6, 1, 2, 2).expand(10, 6, 4, 2, 2)
    scores, right = objective.answers({"conv5": maps})
    assert (scores - scores[:, :1]).abs().max() < 1e-5
    hits = (scores[:, :1].argmax(2).expand(10, 24) == right).double().mean()
    assert hits.item() == pytest.approx(1 / 12)


def test_a_head_that_knows_the_times_is_always_right():
    """Features that hold the time of their frame can be sorted: the head is trained to do it."""
    torch.manual_seed(3)
    objective = OrderPrediction(4, frames=4, hidden=32)
    times = torch.eye(4)[:, :, None, None].expand(4, 4, 1, 1)  # channel t is lit in frame t
    given = {"conv5": times[None].expand(2, 4, 4, 1, 1).transpose(1, 2)}
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.02)
    for _ in range(150):
        loss = objective.losses(None, given, None, None, None)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert objective.losses(None, given, None, None, None)["pretext_top1"] == 100


def test_too_few_or_too_many_frames_are_refused():
    for frames in (2, 6):
        with pytest.raises(VieError, match=f"clips with {frames} frames: use one of 3, 4, 5"):
            OrderPrediction(3, frames=frames)
