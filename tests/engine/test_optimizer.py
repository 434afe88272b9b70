"""Weight decay reaches everything but batch norm."""

import torch

from vie.engine.optimizer import parameter_groups, sgd
from vie.models.encoders import build_encoder


def test_only_batch_norm_does_not_decay():
    encoder = build_encoder({"network": "single", "width": 2, "embedding": 4})
    others, normalisation = parameter_groups(encoder, 0.1)
    assert (others["weight_decay"], normalisation["weight_decay"]) == (0.1, 0.0)
    names = {id(p): name for name, p in encoder.named_parameters()}
    undecayed = {names[id(p)] for p in normalisation["params"]}
    assert undecayed == {name for name in names.values() if "bn" in name}
    assert len(others["params"]) + len(undecayed) == len(names)


def test_one_part_alone_decays():
    """Finetuning decays its new linear layer (protocol section 8)."""
    encoder = build_encoder({"network": "single", "width": 2, "embedding": 4})
    decayed, others = parameter_groups(encoder, 0.1, encoder.head)
    assert {id(p) for p in decayed["params"]} == {id(p) for p in encoder.head.parameters()}
    assert others["weight_decay"] == 0
    assert len(decayed["params"]) + len(others["params"]) == len(list(encoder.parameters()))


def test_two_steps_by_hand():
    model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1))
    with torch.no_grad():
        model[0].weight.fill_(2.0)
    optimizer = sgd(model, lr=0.1, momentum=0.9, weight_decay=0.5)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    w, v = 2.0, 0.0
    for _ in range(2):
        optimizer.step()
        v = 0.9 * v + 1 + 0.5 * w
        w -= 0.1 * v
    torch.testing.assert_close(model[0].weight.item(), w)
    torch.testing.assert_close(model[1].weight.item(), 1 - 0.1 * 1 - 0.1 * 1.9)


def test_frozen_parameters_are_left_out():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[0].requires_grad_(False)
    assert [len(group["params"]) for group in parameter_groups(model, 0.1)] == [2, 0]


def test_the_updates_are_those_of_torchs_own():
    """To the last bit, and the state of one goes on in the other."""
    ours, theirs = (torch.nn.Linear(7, 5) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    one = sgd(ours, lr=0.1, momentum=0.9, weight_decay=0.01)
    other = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for step in range(6):
        if step == 3:
            after = sgd(ours, lr=0.1, momentum=0.9, weight_decay=0.01)
            after.load_state_dict(one.state_dict())
            one = after
        inputs = torch.randn(4, 7)
        for model, optimiser in ((ours, one), (theirs, other)):
            optimiser.zero_grad()
            model(inputs).square().sum().backward()
            optimiser.step()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, its)
