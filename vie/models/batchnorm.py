"""Batch norm over the whole batch where several processes share it."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from vie.models.resnet import Network
from vie.runtime import distributed


class _MeanOverProcesses(torch.autograd.Function):
    """Mean of a tensor over all processes; so is its gradient, of the sum of their losses."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return distributed.mean(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return distributed.mean(gradient)


def _mean(values: Tensor) -> Tensor:
    mean: Tensor = _MeanOverProcesses.apply(values)  # type: ignore[no-untyped-call]  # torch's
    return mean


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """What `nn.SyncBatchNorm` does, also on a CPU: statistics of the batches of all processes.

    Every process must have as many inputs as the others.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(M, C, ...) -> the same, as torch's batch norm over the concatenation of all inputs."""
        if not self.training:
            return super().forward(input)
        others = (0, *range(2, input.ndim))
        shape = (-1, *(1,) * (input.ndim - 2))  # (C,) -> (C, 1, ...)
        mean = _mean(input.mean(others))  # (C,)
        centred = input - mean.view(shape)
        variance = _mean(centred.square().mean(others))  # (C,)
        # Every batch norm of vie tracks its statistics, at a fixed rate.
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            count = input.numel() // input.shape[1] * distributed.world_size()
            unbiased = variance * (count / (count - 1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked += 1
        scale = torch.rsqrt(variance + self.eps)  # (C,)
        if not self.affine:
            return centred * scale.view(shape)
        return centred * (self.weight * scale).view(shape) + self.bias.view(shape)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions."""


def share_statistics(network: Network) -> Network:
    """Replace every batch norm of a network by one that all processes share; names stay.

    On GPUs by torch's own, which exists for GPUs only.
    """
    if distributed.world_size() == 1:
        return network
    if next(network.parameters()).is_cuda:
        return cast(Network, nn.SyncBatchNorm.convert_sync_batchnorm(network))
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.__class__ = SharedBatchNorm  # parameters and buffers stay as they are
    return network
