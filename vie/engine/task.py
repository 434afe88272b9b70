"""What is trained: a network and its optimiser."""

from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from vie.clips.loader import Batch
from vie.engine.clip_grid import clip_grid, first_videos
from vie.engine.device import Accelerator, to_device
from vie.engine.optimizer import sgd
from vie.engine.recorder import Points

Network = TypeVar("Network", bound=nn.Module)


class Task(Generic[Network]):
    """What `vie.engine.loop` trains. A subclass has `step`, and adds what else is its own.

    Args:
        network: what training is for.
        optimiser: of the config.
        accelerator: of the device.
        model: all that has parameters, if that is more than the network.
        decayed: the part of it that weight decay is for, if not for all of it.

    Attributes:
        parts: by name, what a checkpoint holds the `state_dict` of.
    """

    def __init__(
        self,
        network: Network,
        optimiser: dict[str, Any],
        accelerator: Accelerator,
        model: nn.Module | None = None,
        decayed: nn.Module | None = None,
    ) -> None:
        model = network if model is None else model
        settings = {k: optimiser[k] for k in ("lr", "momentum", "weight_decay")}
        self.accelerator, self.lr = accelerator, optimiser["lr"]
        self.model = accelerator.prepare(model)
        self.optimiser = sgd(model, **settings, decayed=decayed)
        self.parts: dict[str, Any] = {"optimiser": self.optimiser}
        self._network = network

    def network(self) -> Network:
        """The network without what averages its gradients."""
        return self._network

    @property
    def finished(self) -> bool:
        """Whether training ends before its schedule; `before_step` decides."""
        return False

    def before_step(self, step: int) -> dict[str, float]:
        """Work that is due before `step`, such as a new clustering; metrics it has to report."""
        return {}

    def reported(self, step: int, means: dict[str, float]) -> None:
        """Take note of a row of metrics, the means of the steps up to `step`."""

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One optimisation step; {"loss": (), ...} detached, on the device."""
        raise NotImplementedError

    def update(self, loss: Tensor, lr: float) -> None:
        """Backward, and one update of all parameters."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    def at_end(self, step: int) -> dict[str, float]:
        """What is still to be measured after the last step, the one before `step`.

        The state is saved before: a longer schedule goes on as if the end had not been there.
        """
        return {}

    def shown(self) -> dict[str, float]:
        """What boards show of the step that was just done, besides its metrics.

        The gradients are still there. Reading their norm waits for the device, as a row does.
        """
        groups = self.optimiser.param_groups
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        return {"lr": groups[0]["lr"], "gradient_norm": float(get_total_norm(gradients))}

    def shown_at_times(self) -> dict[str, float]:
        """What boards show besides what `before_step` or `at_end` has just measured."""
        return {}

    def seen(self, batch: Batch) -> Tensor:
        """A batch as the network sees it, (V * B, 3, T, H, W) normalised, view by view."""
        with self.accelerator.autocast():
            return to_device(batch, self.accelerator.device).clips

    @torch.no_grad()
    def picture(self, batch: Batch) -> Tensor:
        """The first videos of a batch as the network sees them, as from `clip_grid`."""
        few = first_videos(batch)
        return clip_grid(self.seen(few), len(few.instances))

    def points(self) -> Points | None:
        """Vectors to look at, of the end of training."""
        return None

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint needs besides the step."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def restore(self, content: dict[str, Any]) -> None:
        """Take over a checkpoint of the same run."""
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
