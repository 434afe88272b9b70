"""Training of a whole network with labels (protocol section 8): the rate falls when validation
saturates, or at given steps."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vie.clips.loader import Batch
from vie.engine.device import accelerator, to_device
from vie.engine.schedules import Schedule, divided
from vie.engine.task import Task
from vie.models.classifiers import Classifier

NEW_LAYER = "new_layer"  # `decayed` of `finetuning.trained`
# (top-1 as a fraction, mean loss) of a network on the validation videos
Validation = Callable[[nn.Module], tuple[float, float]]


@dataclass
class Plateau:
    """A learning rate that falls when validation saturates (protocol sections 6 and 8).

    Accuracies on few videos are often equal: of two equal ones the lower loss is better. With
    infinite patience it only remembers which validation was the best.
    """

    patience: float = math.inf  # validations in a row without a better one that are borne
    # Divisions of the rate by 10; when validation saturates once more, training ends.
    drops: int = 0
    best: tuple[float, float] = (-math.inf, -math.inf)  # accuracy, and the loss with a minus sign
    best_step: int = 0  # steps before it
    waited: int = 0  # validations since then, or since the last drop
    dropped: int = 0  # drops so far

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
        """The rate after the drops so far."""
        return divided(base, self.dropped)


class Finetuning(Task[Classifier]):
    """Training of a whole network with labels, validated every `every` steps.

    The learning rate falls at the drops of `schedule` and when `plateau` says so; either may have
    no drops.

    Attributes:
        best: weights of the network that validated best.
        ended: steps before the last validation.
    """

    def __init__(
        self,
        classifier: Classifier,
        optimiser: dict[str, Any],
        schedule: Schedule,
        plateau: Plateau,
        validate: Validation,
        every: int,
        precision: str = "float32",
    ) -> None:
        decayed = classifier.head if optimiser.get("decayed") == NEW_LAYER else None
        super().__init__(classifier, optimiser, accelerator(precision), decayed=decayed)
        self.schedule, self.plateau = schedule, plateau
        self.validate, self.every = validate, every
        self.parts["network"] = classifier
        self.best: dict[str, Tensor] = {}
        self.ended = 0

    @property
    def finished(self) -> bool:
        return self.plateau.finished

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.plateau.lr(self.schedule.lr(self.lr, step))

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
            "lr": self.rate(step),
        }

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One step of the whole network; also {"top1": () in percent}."""
        with self.accelerator.autocast():
            clips, _, labels, _ = to_device(batch, self.accelerator.device)
            logits = self.model(clips)
        loss = F.cross_entropy(logits.float(), labels)
        self.update(loss, self.rate(step))
        return {"loss": loss.detach(), "top1": 100 * (logits.argmax(1) == labels).float().mean()}

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "plateau": asdict(self.plateau),
            "best": self.best,
            "ended": self.ended,
        }

    def restore(self, content: dict[str, Any]) -> None:
        super().restore(content)
        self.plateau = Plateau(**content["plateau"])
        self.best, self.ended = content["best"], content["ended"]
