"""What happens to a clip between the index and the network, as data."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from vie.clips.crops import CropPolicy, RandomResizedCrop, RandomSizedCrop, ScaleCrop
from vie.clips.sampling import Sampling, sampling
from vie.config.clip_frames import COLOR_JITTER, LARGEST, MOST, MOST_PIXELS, SIDES
from vie.runtime.errors import VieError, shown
from vie.runtime.values import check_kind, check_real, check_whole

# Name in data -> crop policy.
CROPS = {
    "random_resized": RandomResizedCrop,
    "random_sized": RandomSizedCrop,
    "scale": ScaleCrop,
}
SMALLEST_SCALE = 1e-6  # of a crop: below it is none
ASPECTS = 1e-3, 1e3  # of a crop


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
            crop_policy(recipe["geometry"]),
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
            clip = _hashable(content["sampling"])
            check_whole("transform.sampling.frames", clip["frames"], 1, LARGEST)
            check_real("transform.sampling.stride", clip.get("stride", 1), 1, MOST)
            check_whole("transform.sampling.bin", clip.get("bin", 1), 1, MOST)
            check_kind("transform.sampling.windows", clip.get("windows", ()), tuple)
            for length in clip.get("windows", ()):
                check_whole("transform.sampling.windows", length, 1, MOST)
            check_kind("transform.crop", content["crop"], dict)
            crop = _hashable(content["crop"])
            read = cls(
                Sampling(**clip),
                CROPS[crop.pop("policy")](**crop),
                content["color_jitter"],
                content["frame_shift"],
                content["channel_dropping"],
            )
        except VieError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            problem = shown(repr(error))
            raise VieError(f"this is no transform of clips as vie writes it: {problem}") from error
        read._check()
        return read

    def _check(self) -> None:
        """Check kinds and ranges. Raises VieError with the field's name."""
        clip, crop = self.sampling, self.geometry
        check_whole("transform.crop.size", crop.size, 16, LARGEST)
        if clip.frames * crop.size**2 > MOST_PIXELS:
            raise VieError(
                f"transform: a clip of {clip.frames} frames of {crop.size} x {crop.size} pixels is "
                f"larger than the {MOST_PIXELS} pixels that fit into memory"
            )
        check_real("transform.crop.flip", crop.flip, 0, 1)
        check_kind("transform.crop.reduced_decoding", crop.reduced_decoding, bool)
        if isinstance(crop, ScaleCrop):
            check_kind("transform.crop.scales", crop.scales, tuple)
            for scale in crop.scales:
                check_real("transform.crop.scales", scale, SMALLEST_SCALE, 1)
        else:
            check_kind("transform.crop.squeeze", crop.squeeze, bool)
            check_whole(
                "transform.crop.test_shorter_side", crop.test_shorter_side, crop.size, SIDES[1]
            )
        if isinstance(crop, RandomResizedCrop):
            low, high = _two("train_shorter_side", crop.train_shorter_side)
            check_whole("transform.crop.train_shorter_side", low, crop.size, SIDES[1])
            check_whole("transform.crop.train_shorter_side", high, low, SIDES[1])
        elif isinstance(crop, RandomSizedCrop):
            bounds = {"area": (SMALLEST_SCALE**2, 1), "aspect": ASPECTS}
            for key, (least, most) in bounds.items():
                low, high = _two(key, getattr(crop, key))
                check_real(f"transform.crop.{key}", low, least, most)
                check_real(f"transform.crop.{key}", high, low, most)
        if self.color_jitter is not None:
            check_kind("transform.color_jitter", self.color_jitter, dict)
            for key, value in self.color_jitter.items():
                if key not in COLOR_JITTER:
                    raise VieError(f"transform.color_jitter has an unknown key {shown(key)}")
                check_real(f"transform.color_jitter.{key}", value, 0, COLOR_JITTER[key])
        check_whole("transform.frame_shift", self.frame_shift, 0, LARGEST)
        check_kind("transform.channel_dropping", self.channel_dropping, bool)


def crop_policy(geometry: dict[str, Any]) -> CropPolicy:
    """The crops of a `geometry` of the config."""
    settings = _hashable(geometry)
    if (sized := settings.pop("random_sized", None)) is None:
        return RandomResizedCrop(**settings)
    del settings["train_shorter_side"]
    return RandomSizedCrop(**settings, **_hashable(sized))


def _two(key: str, value: Any) -> tuple[Any, ...]:
    check_kind(f"transform.crop.{key}", value, tuple)
    if len(value) != 2:
        raise VieError(f"transform.crop.{key} has to be two numbers")
    return tuple(value)


def _hashable(settings: dict[str, Any]) -> dict[str, Any]:
    """With tuples for lists."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
