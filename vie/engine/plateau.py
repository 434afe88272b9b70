"""Training with labels until validation saturates (protocol section 8)."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vie.clips.loader import Batch
from vie.engine.device import accelerator, network_input
from vie.engine.task import Task
from vie.models.classifiers import Classifier

# (top-1 as a fraction, mean loss) of a network on the validation videos
Validation = Callable[[nn.Module], tuple[float, float]]


@dataclass
class Plateau:
    """A learning rate that falls when validation saturates (protocol sections 6 and 8).

    Attributes:
        patience: validations in a row without a better one that are borne.
        drops: times that the learning rate is divided by 10; when validation saturates once more,
            training ends.
        best: score of the best validation so far: accuracy, then the loss with a minus sign, for
            accuracies on few videos are often equal.
        best_step: steps before it.
        waited: validations since then, or since the last drop.
        dropped: drops so far.
    """

    patience: int
    drops: int
    best: tuple[float, float] = (-math.inf, -math.inf)
    best_step: int = 0
    waited: int = 0
    dropped: int = 0

    def see(self, step: int, score: tuple[float, float]) -> bool:
        """Take note of the validation before `step` -> whether it is the best so far."""
        if score > self.best:
            self.best, self.best_step, self.waited = score, step, 0
            return True
        self.waited += 1
        if self.waited > self.patience:
            self.waited, self.dropped = 0, self.dropped + 1
        return False

    @property
    def finished(self) -> bool:
        """Whether validation has saturated at the lowest learning rate."""
        return self.dropped > self.drops

    def lr(self, base: float) -> float:
        """The learning rate now."""
        return base * 0.1**self.dropped


class Finetuning(Task[Classifier]):
    """Training of a whole network with labels until validation saturates.

    Args:
        classifier, optimiser: as for `Task`.
        plateau: of the learning rate.
        validate: measures the network.
        every: steps between two validations.
        precision: as for `vie.engine.device.accelerator`.

    Attributes:
        best: weights of the network that validated best.
        ended: steps before the last validation.
    """

    def __init__(
        self,
        classifier: Classifier,
        optimiser: dict[str, Any],
        plateau: Plateau,
        validate: Validation,
        every: int,
        precision: str = "float32",
    ) -> None:
        super().__init__(classifier, optimiser, accelerator(precision))
        self.plateau, self.validate, self.every = plateau, validate, every
        self.best: dict[str, Tensor] = {}
        self.ended = 0

    @property
    def finished(self) -> bool:
        return self.plateau.finished

    def before_step(self, step: int) -> dict[str, float]:
        return self.measure(step) if step and step % self.every == 0 else {}

    def at_end(self, step: int) -> dict[str, float]:
        """Validation, unless the last one ended it."""
        return {} if self.finished else self.measure(step)

    def measure(self, step: int) -> dict[str, float]:
        """Validate the network as it is before `step`, and keep it if it is the best so far."""
        network = self.network().eval()
        top1, loss = self.validate(network)
        network.train()
        self.ended = step
        if self.plateau.see(step, (top1, -loss)):
            self.best = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
        return {
            "validation_top1": round(100 * top1, 2),
            "validation_loss": round(loss, 4),
            "lr": self.plateau.lr(self.lr),
        }

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        device = self.accelerator.device
        clips = network_input(batch, device)
        labels = batch.labels.to(device, non_blocking=True)
        with self.accelerator.autocast():
            logits = self.model(clips)
        loss = F.cross_entropy(logits.float(), labels)
        self.update(loss, self.plateau.lr(self.lr))
        return {"loss": loss.detach(), "top1": (logits.argmax(1) == labels).float().mean()}

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "network": self.network().state_dict(),
            "plateau": asdict(self.plateau),
            "best": self.best,
            "ended": self.ended,
        }

    def restore(self, content: dict[str, Any]) -> None:
        super().restore(content)
        self.network().load_state_dict(content["network"])
        self.plateau = Plateau(**content["plateau"])
        self.best, self.ended = content["best"], content["ended"]
