"""What pretraining asks of every objective."""

from typing import Any, ClassVar, Self

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from vie.models.encoders import Encoder
from vie.objectives.table import Facts

Settings = dict[str, Any]


class Objective(nn.Module):
    """A loss of an encoder on a batch of clips, one subclass a file.

    Parameters are trained with the encoder's, unless they ask for no gradient. Parameters and
    buffers are saved in checkpoints. A subclass has `build`, and `forward`, `losses` or `measures`.
    """

    facts: ClassVar[Facts] = Facts()  # what the objective asks for: views, settings, memory

    @classmethod
    def build(
        cls, recipe: Settings, settings: Settings, labels: Tensor, seed: int, encoder: Encoder
    ) -> Self:
        """The objective of a recipe.

        Args:
            recipe: of the config.
            settings: `objective.<stage>` of the recipe, without those of single frames.
            labels: (N,) int64 classes of the training videos; most objectives need only N.
            seed: of the run. torch's global generator is seeded already.
            encoder: the network at the start.

        Raises:
            VieError: a setting does not fit.
        """
        raise NotImplementedError

    def inputs(self, clips: Tensor) -> Tensor:
        """What the network is shown of a batch of clips (M, 3, T, H, W), their own M first."""
        return clips

    def measures(
        self,
        encoder: nn.Module,
        clips: Tensor,
        instances: Tensor,
        bank: Tensor,
        generator: Generator | None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Run the encoder on a batch: one step's forward pass.

        Args:
            encoder: clips -> embedding of unit length, features.
            clips: (V * B, 3, T, H, W) floats, normalised: V views of B videos, view by view.
            instances: (B,) int64, the rows of the videos in the bank.
            bank: (N, D), the memory bank's vectors; no gradient flows into it.
            generator: of the step's noise, on the device.

        Returns:
            {"loss": () to be minimised, what else is worth reporting: ()}, and the embedding (B, D)
            of the first view, which the bank takes in.
        """
        embedding, features = encoder(self.inputs(clips))
        found = self.losses(embedding, features, instances, bank, generator)
        return found, embedding[: len(instances)]  # (M, D) -> (B, D)

    def losses(
        self,
        embedding: Tensor,
        features: dict[str, Tensor],
        instances: Tensor,
        bank: Tensor,
        generator: Generator | None,
    ) -> dict[str, Tensor]:
        """The first part of `measures`, for an objective that runs the encoder once.

        One that needs no features and has but a loss has `forward` in its place: the loss, averaged
        over the batch, () in the embedding's type, float32 or better, also under autocast.

        Args:
            embedding: of `inputs`, unit length, (M, D).
            features: of the encoder for the same.
            instances: as for `measures`.
            bank: as for `measures`.
            generator: as for `measures`.
        """
        return {"loss": self(embedding, instances, bank, generator)}

    def before_epoch(self, bank: Tensor, seed: int) -> None:
        """Work at the start of the stage and of every epoch, in all processes alike.

        `bank` (N, D) are the memory bank's vectors, `seed` is that of this epoch.
        """

    def before_step(self, step: int, steps_per_epoch: int) -> None:
        """Work before a step, in all processes alike; the stage's first step is 0."""

    def shown(self) -> dict[str, float]:
        """What boards show of the step that was just done, besides its measures.

        Only read for a row of metrics, so it may wait for the device.
        """
        return {}

    def after_step(self, encoder: nn.Module) -> None:
        """Work after the optimiser's step and the bank's update, in all processes alike."""


class Pretext(Objective):
    """A task that is made from the clips themselves: Q questions about each, K answers to choose
    from, the same right answers for every clip."""

    chance: float  # share of right answers of a network that guesses

    def answers(self, features: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Scores (B, Q, K), float32, and the right answers (Q,) int64, from the encoder's features
        of `inputs`."""
        raise NotImplementedError

    def losses(
        self,
        embedding: Tensor,
        features: dict[str, Tensor],
        instances: Tensor,
        bank: Tensor,
        generator: Generator | None,
    ) -> dict[str, Tensor]:
        """Cross-entropy over all questions, and "pretext_top1", the share of right answers in
        percent."""
        scores, right = self.answers(features)
        every = right.repeat(len(scores))  # (Q,) -> (B * Q,)
        top1 = 100 * (scores.argmax(2) == right).float().mean()
        # (B, Q, K) -> (B * Q, K)
        return {"loss": F.cross_entropy(scores.flatten(0, 1), every), "pretext_top1": top1}
