"""What pretraining asks of every objective."""

import torch.nn.functional as F
from torch import Tensor, nn


class Objective(nn.Module):
    """A loss on the embeddings of a batch, with the memory bank at hand.

    Subclasses have `forward(embedding, instances, vectors, generator)`.
    """

    def inputs(self, clips: Tensor) -> Tensor:
        """What the network is shown of a batch of clips (B, 3, T, H, W), their own B first."""
        return clips

    def measures(
        self, embedding: Tensor, features: dict[str, Tensor], instances: Tensor, vectors, generator
    ) -> dict[str, Tensor]:
        """The loss to be minimised as "loss", and what else is worth reporting, each ().

        Args:
            embedding: of `inputs`, unit length, (B, D) or more rows.
            features: of the encoder for the same.
            instances, vectors, generator: as for `forward`.
        """
        return {"loss": self(embedding, instances, vectors, generator)}


class Pretext(Objective):
    """A task that is made from the clips themselves: Q questions about each, K answers to choose
    from, the same right answers for every clip.

    Attributes:
        chance: share of right answers of a network that guesses.
    """

    chance: float

    def answers(self, features: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Scores (B, Q, K), float32, and the right answers (Q,) int64.

        Args:
            features: of the encoder for `inputs`.
        """
        raise NotImplementedError

    def measures(
        self, embedding: Tensor, features: dict[str, Tensor], instances: Tensor, vectors, generator
    ) -> dict[str, Tensor]:
        """Cross-entropy over all questions, and "pretext_top1", the share of right answers in
        percent."""
        scores, right = self.answers(features)
        every = right.repeat(len(scores))  # (Q,) -> (B * Q,)
        top1 = 100 * (scores.argmax(2) == right).float().mean()
        # (B, Q, K) -> (B * Q, K)
        return {"loss": F.cross_entropy(scores.flatten(0, 1), every), "pretext_top1": top1}
