"""examples/simclr.py: the loss against loops in numpy."""

import numpy as np
import pytest
import torch

from vie.runtime import distributed
from vie.runtime.errors import VieError
from vie.runtime.importing import load_object

T = 0.2


@pytest.fixture
def simclr(root):
    torch.manual_seed(0)
    return load_object("examples.simclr:SimCLR")(5, dimensions=3, temperature=T).double()


def embedded(objective, pooled):
    """The MLP and the unit length, in numpy: (M, C) -> (M, D)."""
    w1, b1, w2, b2 = (p.detach().numpy() for p in objective.head.parameters())
    rows = [w2 @ np.maximum(w1 @ row + b1, 0) + b2 for row in pooled]
    return [row / np.sqrt((row**2).sum()) for row in rows]


def test_loss_by_hand(simclr):
    B = 4
    pooled = torch.randn(2 * B, 5, dtype=torch.float64)
    found = simclr.losses(None, {"pooled": pooled}, torch.arange(B), None, None)
    z, losses, hits = embedded(simclr, pooled.numpy()), [], []
    for i in range(2 * B):
        partner = i + B if i < B else i - B
        scores = {j: sum(z[i] * z[j]) / T for j in range(2 * B) if j != i}
        losses.append(np.log(sum(np.exp(s) for s in scores.values())) - scores[partner])
        hits.append(max(scores, key=scores.get) == partner)
    assert found["loss"].item() == pytest.approx(np.mean(losses), rel=1e-9)
    assert found["top1"].item() == pytest.approx(100 * np.mean(hits))


def test_gradient(simclr):
    pooled = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: simclr.losses(None, {"pooled": x}, torch.arange(3), None, None)["loss"], (pooled,)
    )


def test_what_does_not_fit_is_refused(root):
    with pytest.raises(VieError, match="temperature 0"):
        load_object("examples.simclr:SimCLR")(5, temperature=0)


def one_process(pooled, path):
    """The loss of this process's videos, and the gradient of the mean of all losses."""
    from vie.engine.device import accelerator

    accelerator()
    torch.manual_seed(0)
    objective = load_object("examples.simclr:SimCLR")(5, dimensions=3, temperature=T).double()
    # (2, B, C) -> (2, B / world, C) -> (2 * B / world, C): both views of this process's videos
    mine = distributed.shard(pooled.transpose(0, 1)).transpose(0, 1).clone().requires_grad_()
    shown = mine.flatten(0, 1)
    videos = torch.arange(mine.shape[1])
    loss = objective.losses(None, {"pooled": shown}, videos, None, None)["loss"]
    loss.backward()
    gradient = mine.grad.transpose(0, 1) / distributed.world_size()  # (B / world, 2, C)
    found = {"loss": distributed.mean(loss.detach()), "gradient": distributed.gather(gradient)}
    if distributed.is_main_process():
        torch.save(found, path)


@pytest.mark.slow
def test_two_processes_compare_with_the_whole_batch(root, tmp_path):
    pooled = torch.randn(2, 4, 5, dtype=torch.float64)
    for processes in (1, 2):
        path = tmp_path / f"{processes}.pt"
        distributed.launch(processes, one_process, pooled=pooled, path=path)
    one, two = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in (1, 2))
    torch.testing.assert_close(two["loss"], one["loss"])
    torch.testing.assert_close(two["gradient"], one["gradient"])
    assert one["gradient"].abs().min() > 0
