"""What happens to a clip between the index and the network, as data."""

from dataclasses import dataclass

from vie.clips.crops import CropPolicy, RandomResizedCrop
from vie.clips.sampling import Sampling, sampling


@dataclass(frozen=True)
class ClipTransform:
    """How a video is looked at: which frames, which crop, which colour noise.

    Attributes:
        sampling: frames of a clip.
        geometry: crop and size.
        color_jitter: keyword arguments of `draw_color_jitter`, or None: no colour noise.
        frame_shift: in training, every frame's crop is shifted by up to this many pixels of the
            input, down and right, on its own.
        channel_dropping: in training, one colour channel of every frame, drawn for each frame,
            replaces all three.
    """

    sampling: Sampling
    geometry: CropPolicy
    color_jitter: dict[str, float] | None
    frame_shift: int = 0
    channel_dropping: bool = False

    @classmethod
    def of(cls, recipe: dict, clip: str | dict | None = None, **frames) -> "ClipTransform":
        """ClipTransform of a recipe; an evaluation may replace the recipe's clip sampling.

        `frames` are jitter and channel_dropping.
        """
        geometry = recipe["geometry"]
        return cls(
            sampling(recipe["clip"] if clip is None else clip),
            RandomResizedCrop(
                geometry["size"],
                tuple(geometry["train_shorter_side"]),
                geometry["test_shorter_side"],
                geometry["flip"],
            ),
            dict(recipe["color_jitter"]),
            **frames,
        )
