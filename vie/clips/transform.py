"""What happens to a clip between the index and the network, as data."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from vie.clips.crops import CropPolicy, RandomResizedCrop, ScaleCrop
from vie.clips.sampling import Sampling, sampling
from vie.runtime.errors import VieError

CROPS = {"random_resized": RandomResizedCrop, "scale": ScaleCrop}  # name in data -> crop policy


@dataclass(frozen=True)
class ClipTransform:
    """How a video is looked at: which frames, which crop, which colour noise."""

    sampling: Sampling
    geometry: CropPolicy
    color_jitter: dict[str, float] | None  # arguments of `draw_color_jitter`; None: no noise
    # In training, each frame's crop is moved by up to this many pixels of the input in either axis.
    frame_shift: int = 0
    # In training, one colour channel of every frame, drawn for each frame, replaces all three.
    channel_dropping: bool = False

    @classmethod
    def of(
        cls, recipe: dict[str, Any], clip: str | dict[str, Any] | None = None, **frames: Any
    ) -> "ClipTransform":
        """ClipTransform of a recipe; an evaluation may replace the recipe's clip sampling.

        `frames` are frame_shift and channel_dropping.
        """
        return cls(
            sampling(recipe["clip"] if clip is None else clip),
            RandomResizedCrop(**_hashable(recipe["geometry"])),
            dict(recipe["color_jitter"]),
            **frames,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a checkpoint: what JSON knows, which has lists for tuples."""
        names = {policy: name for name, policy in CROPS.items()}
        content = asdict(self)
        content["crop"] = {"policy": names[type(self.geometry)], **content.pop("geometry")}
        plain: dict[str, Any] = json.loads(json.dumps(content))
        return plain

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "ClipTransform":
        """What `to_dict` wrote.

        Raises:
            VieError: it is not of this form.
        """
        try:
            crop = _hashable(content["crop"])
            return cls(
                Sampling(**_hashable(content["sampling"])),
                CROPS[crop.pop("policy")](**crop),
                content["color_jitter"],
                content["frame_shift"],
                content["channel_dropping"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise VieError(f"this is no transform of clips as vie writes it: {error!r}") from error


def _hashable(settings: dict[str, Any]) -> dict[str, Any]:
    """With tuples for lists."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
