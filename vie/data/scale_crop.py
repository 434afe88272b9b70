"""Crops at five places and scales: one of the preprocessing pipelines of finetuning."""

from dataclasses import dataclass

import numpy as np

from vie.data.geometry import Crop

# Top and left of the four corners and of the centre, as shares of what is left over.
POSITIONS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))


@dataclass(frozen=True)
class ScaleCrop:
    """The scale-crop pipeline of finetuning (protocol section 8).

    Attributes:
        size: pixels of the network's square input.
        scales: sides of the square in training, as shares of the frame's shorter side.
        flip: probability of a horizontal flip in training.
    """

    size: int
    scales: tuple[float, ...]
    flip: float = 0.5

    def train_crop(self, rng: np.random.Generator, jitter: int = 0) -> Crop:
        """One of the scales, at one of the four corners or in the centre, perhaps mirrored.

        Args:
            rng: of the clip.
            jitter: pixels of the network's input that single frames may be shifted.
        """
        scale = self.scales[rng.integers(len(self.scales))]
        top, left = POSITIONS[rng.integers(len(POSITIONS))]
        return Crop(scale, top, left, rng.random() < self.flip, jitter / self.size)

    def centre_crop(self) -> Crop:
        """The full shorter side in the centre, no flip."""
        return Crop(1.0, 0.5, 0.5, False)
