"""The memory bank against float64 loops."""

import numpy as np
import pytest
import torch

from vie.objectives.bank import MemoryBank, nearest
from vie.runtime.errors import VieError


def test_initial_vectors_are_normalised_uniform_draws_of_the_seed():
    bank = MemoryBank(5000, 128, seed=3)
    vectors = bank.vectors.double()
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5000, dtype=torch.float64))
    # Before normalisation: variance (2b)^2 / 12 = 1 / D with b = 1 / sqrt(D / 3), so length ~ 1
    # and the largest entry lies near sqrt(3 / D).
    assert abs(vectors.mean()) < 5 / np.sqrt(vectors.numel() * 128)
    assert 0.95 < vectors.abs().max() / np.sqrt(3 / 128) < 1.3
    assert torch.equal(MemoryBank(5000, 128, seed=3).vectors, bank.vectors)
    assert not torch.equal(MemoryBank(5000, 128, seed=4).vectors, bank.vectors)
    state = torch.get_rng_state()
    MemoryBank(10, 4)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_update_against_loops(momentum):
    torch.manual_seed(0)
    bank = MemoryBank(9, 5, momentum=momentum)
    expected = bank.vectors.double().numpy().copy()
    instances = torch.tensor([4, 0, 8])
    embeddings = torch.randn(3, 5, requires_grad=True)
    bank.update(instances, embeddings)
    for i, f in zip(instances.tolist(), embeddings.detach().double().numpy(), strict=True):
        v = momentum * expected[i] + (1 - momentum) * f
        expected[i] = v / np.sqrt((v * v).sum())
    np.testing.assert_allclose(bank.vectors.numpy(), expected, atol=1e-6)
    assert not bank.vectors.requires_grad


def test_a_repeated_instance_takes_its_last_embedding():
    torch.manual_seed(0)
    bank, other = MemoryBank(4, 3), MemoryBank(4, 3)
    f = torch.randn(4, 3)
    bank.update(torch.tensor([2, 1, 2, 2]), f)
    other.update(torch.tensor([1, 2]), f[[1, 3]])
    assert torch.equal(bank.vectors, other.vectors)


def test_half_precision_embeddings_keep_the_bank_in_float32():
    bank = MemoryBank(4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        bank.update(torch.tensor([1]), torch.randn(1, 3).bfloat16())
    assert bank.vectors.dtype == torch.float32
    torch.testing.assert_close(bank.vectors.norm(dim=1), torch.ones(4), rtol=0, atol=1e-6)


def test_the_bank_is_in_the_state():
    bank = MemoryBank(4, 3, seed=1)
    fresh = MemoryBank(4, 3, seed=2)
    fresh.load_state_dict(bank.state_dict())
    assert torch.equal(fresh.vectors, bank.vectors)


@pytest.mark.parametrize("chunk", [1, 7, 30, 100])
def test_nearest_against_a_full_sort(chunk):
    torch.manual_seed(0)
    queries, vectors = torch.randn(4, 6), torch.randn(30, 6)
    expected = np.argsort(-(queries.double().numpy() @ vectors.double().numpy().T), axis=1)
    for k in (1, 10, 30):
        np.testing.assert_array_equal(nearest(queries, vectors, k, chunk), expected[:, :k])
    with pytest.raises(VieError, match="31 nearest neighbours of 30"):
        nearest(queries, vectors, 31, chunk)


def test_bad_numbers_are_refused():
    with pytest.raises(VieError, match="at least one instance"):
        MemoryBank(0)
    with pytest.raises(VieError, match="momentum 1"):
        MemoryBank(3, momentum=1)
