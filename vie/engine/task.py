"""What is trained: a network and its optimiser."""

from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from vie.clips.loader import Batch
from vie.engine.device import Accelerator
from vie.engine.optimizer import sgd

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

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint needs besides the step."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def restore(self, content: dict[str, Any]) -> None:
        """Take over a checkpoint of the same run."""
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
