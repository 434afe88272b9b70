"""Order prediction: in which order were shuffled frames filmed? (protocol section 9)."""

import itertools
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.clips.transform import ClipTransform
from vie.config.settings import OPN_FRAMES
from vie.models.encoders import Encoder, glorot_
from vie.models.trunks import frame_pool
from vie.objectives.base import Pretext, Settings
from vie.objectives.table import BUILTIN
from vie.runtime.errors import VieError


def orders(frames: int) -> tuple[Tensor, Tensor]:
    """All orders in which frames can be shown, and their classes, int64.

    Order o of (n!, n) shows frame `orders[o, p]` at place p. The classes (n!,) are 0 to n! / 2 - 1:
    an order and its reverse have the same one.
    """
    every = list(itertools.permutations(range(frames)))
    names = sorted({min(order, order[::-1]) for order in every})
    return torch.tensor(every), torch.tensor([names.index(min(o, o[::-1])) for o in every])


class OrderPrediction(Pretext):
    """OPN: features of every pair of frames, concatenated, say which order up to reversal it is.

    The network sees frames one by one, so it is run once, and the head is asked about all n!
    orders of its outputs: the loss is the mean over the random order that OPN draws. In the shown
    order g_1 ... g_n, with W and b shared by all pairs,

        pair(p, q) = relu(W [g_p; g_q] + b) for p < q,
        scores = V [pair(1, 2); pair(1, 3); ...] + c.

    Args:
        channels: C of Conv5.
        frames: n, of a clip.
        hidden: units of each pair.

    Raises:
        VieError: for a number of frames that has too few or too many orders.
    """

    pairs: Tensor
    classes: Tensor
    facts = BUILTIN["order_prediction"].facts

    def __init__(self, channels: int, *, frames: int = 4, hidden: int = 512) -> None:
        super().__init__()
        if frames not in OPN_FRAMES:
            raise VieError(
                f"order prediction of clips with {frames} frames: use one of "
                f"{', '.join(map(str, OPN_FRAMES))}"
            )
        shown, classes = orders(frames)
        pairs = torch.tensor(list(itertools.combinations(range(frames), 2)))  # (P, 2) places
        self.register_buffer("pairs", shown[:, pairs], persistent=False)  # (n!, P, 2) frames
        self.register_buffer("classes", classes, persistent=False)
        self.chance = 2 / len(shown)
        self.pair = glorot_(nn.Linear(2 * channels, hidden))
        self.head = glorot_(nn.Linear(len(pairs) * hidden, len(shown) // 2))

    @classmethod
    def build(
        cls, recipe: Settings, settings: Settings, labels: Tensor, seed: int, encoder: Encoder
    ) -> Self:
        """As for `Objective`."""
        frames = ClipTransform.of(recipe).sampling.frames
        return cls(encoder.trunk.channels, frames=frames, **settings)

    def answers(self, features: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """As for `Pretext`: Q = n! orders, K = n! / 2 classes."""
        conv5 = features["conv5"]
        with torch.autocast(conv5.device.type, enabled=False):
            frames = frame_pool(conv5)  # (B, C, n, H, W) -> (B, n, C)
            # W [g_p; g_q] is a sum: each frame's part as a pair's first and second once. 2 x (C, h)
            first, second = self.pair.weight.T.chunk(2)
            # (B, n, 1, h) + (B, 1, n, h) -> (B, n, n, h)
            pairs = (frames @ first)[:, :, None] + (frames @ second)[:, None, :]
            pairs = F.relu(pairs + self.pair.bias)
            # (B, n, n, h) -> (B, n!, P, h) -> (B, n!, P * h)
            shown = pairs[:, self.pairs[:, :, 0], self.pairs[:, :, 1]].flatten(2)
            return self.head(shown), self.classes
