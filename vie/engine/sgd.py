"""torch's SGD without torch's compiler."""

import inspect

import torch
from torch.optim import Optimizer


class SGD(torch.optim.SGD):
    """torch's own, whose methods are not wrapped for `torch.compile`.

    The wrappers change nothing here but import that compiler, which takes almost as long as the
    rest of torch. A network whose gradients several processes average imports it all the same.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))
