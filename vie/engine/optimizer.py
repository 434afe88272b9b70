"""SGD as in protocol section 6."""

from typing import Any

import torch
from torch import nn

from vie.engine.sgd import SGD


def parameter_groups(
    model: nn.Module, weight_decay: float, decayed: nn.Module | None = None
) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: those that decay, and all others.

    Batch norm's never decay; with `decayed`, a part of the model, only that part does.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    undecayed = {id(p) for norm in norms for p in norm.parameters(recurse=False)}
    chosen = {id(p) for p in (decayed or model).parameters()} - undecayed
    trainable = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if id(p) in chosen], "weight_decay": weight_decay},
        {"params": [p for p in trainable if id(p) not in chosen], "weight_decay": 0.0},
    ]


def sgd(
    model: nn.Module,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    decayed: nn.Module | None = None,
) -> torch.optim.SGD:
    """SGD with momentum over `parameter_groups`; the rates are protocol section 6's.

    On a GPU in one kernel for all parameters. A state that was saved on another device can be
    loaded.
    """
    groups = parameter_groups(model, weight_decay, decayed)
    fused = True if all(p.is_cuda for group in groups for p in group["params"]) else None
    optimiser = SGD(groups, lr=lr, momentum=momentum, fused=fused)

    def of_this_device(_: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        own = [{**group, "fused": fused} for group in state["param_groups"]]
        return {**state, "param_groups": own}

    optimiser.register_load_state_dict_pre_hook(of_this_device)
    return optimiser
