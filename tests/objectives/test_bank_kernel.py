"""The GPU's kernel against float64, in Triton's interpreter; `tests/gpu` has it on a GPU."""

import pytest
import torch

from vie.objectives.bank import similarities

pytest.importorskip("triton")


@pytest.mark.interpreted
@pytest.mark.parametrize(
    ("B", "N", "D", "K"), [(2, 50, 17, 700), (2, 40, 128, 65), (1, 9, 640, 5), (2, 40, 8, 700)]
)
def test_similarities_and_their_gradient(B, N, D, K):
    """Of sizes that are and are not those of the kernel's tiles, with entries drawn repeatedly."""
    from vie.objectives.bank_kernel import DrawnSimilarities

    embedding, vectors, gradient = torch.randn(B, D), torch.randn(N, D), torch.randn(B, K)
    rows = torch.randint(N, (B, K))
    embedding.requires_grad_()
    found = DrawnSimilarities.apply(embedding, vectors, rows)
    found.backward(gradient)
    exact = embedding.detach().double().requires_grad_()
    expected = similarities(exact, vectors.double(), rows)
    expected.backward(gradient.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(embedding.grad.double(), exact.grad, rtol=1e-4, atol=1e-3)
