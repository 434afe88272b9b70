"""Training in float64, on one thread of the CPU: numbers that do not depend on the machine."""

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch

from vie.runtime import kernels

ON_GPU = False  # tests of the GPU set it


def here() -> torch.device:
    """Where the library computes."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


_generator = torch.Generator


def _cpu_generator(device: object = None) -> torch.Generator:
    """A GPU would draw other random numbers."""
    return _generator()


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Whatever the library computes in float32 is float64 in here.

    Twenty steps magnify the last bits of float32, which differ between CPUs, to a few percent.
    Those of float64 stay below 1e-9. So new tensors are float64, `torch.float32` names float64,
    and `Tensor.float` gives it.
    """
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        if ON_GPU:
            # Kernels of vie's own compute in float32.
            stack.enter_context(mock.patch.object(kernels, "usable", return_value=False))
            stack.enter_context(mock.patch.object(torch, "Generator", _cpu_generator))
        else:
            stack.enter_context(mock.patch.object(torch.cuda, "is_available", return_value=False))
        stack.enter_context(mock.patch.object(torch, "float32", torch.float64))
        stack.enter_context(mock.patch.object(torch.Tensor, "float", torch.Tensor.double))
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_num_threads(threads)
