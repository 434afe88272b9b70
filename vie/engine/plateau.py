"""A learning rate that falls when validation saturates."""

import math
from dataclasses import dataclass


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
