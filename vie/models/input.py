"""What a network expects to be shown."""

from dataclasses import dataclass
from typing import Any

from vie.clips.color_jitter import MEAN, STD
from vie.clips.transform import ClipTransform


@dataclass(frozen=True)
class InputSpec:
    """The input of a trained network: (B, 3, frames, size, size) floats.

    Take every `stride`-th frame of a video at `fps` frames per second, resize its shorter side to
    `shorter_side`, cut the `size` x `size` square in the centre, divide by 255, subtract `mean` and
    divide by `std`.
    """

    frames: int  # T of a clip
    stride: float  # video frames from one of a clip to the next; it may be a fraction
    fps: float | None  # of the videos; None where that is not known
    size: int  # pixels
    shorter_side: int  # pixels
    mean: tuple[float, float, float] = MEAN  # of the channels red, green, blue
    std: tuple[float, float, float] = STD

    @classmethod
    def of(cls, transform: ClipTransform, fps: float | None) -> "InputSpec":
        """The input of a network whose clips went through `transform`, as in testing."""
        sampling, geometry = transform.sampling, transform.geometry
        stride = sampling.stride
        if sampling.windows:  # the frames of a test clip spread over the longest window
            stride = (sampling.span - 1) / max(sampling.frames - 1, 1)
        shorter_side = getattr(geometry, "test_shorter_side", geometry.size)
        return cls(sampling.frames, stride, fps, geometry.size, shorter_side)


def preprocessing(content: dict[str, Any]) -> dict[str, Any]:
    """How videos become the input of the network in a checkpoint, as plain values.

    The clip in the middle of a video of n frames has the frames
    floor(max(0, n - span + 1) / 2 + offset) mod n, one of each of the offsets.
    """
    transform = ClipTransform.from_dict(content["transform"])
    sampling, geometry = transform.sampling, transform.geometry
    shown = InputSpec.of(transform, content["fps"])
    offsets = sampling.offsets + sampling.bin // 2
    return {
        "fps": shown.fps,
        "jpeg": content.get("frames"),
        "clip": {"frames": shown.frames, "span": sampling.span, "offsets": offsets.tolist()},
        "resize": {
            "shorter_side": shown.shorter_side,
            "both_sides": getattr(geometry, "squeeze", False),
            "interpolation": "bilinear",
            "antialias": True,
        },
        "crop": {"size": shown.size, "place": "centre"},
        "channels": "RGB",
        "scale": 1 / 255,
        "mean": list(shown.mean),
        "std": list(shown.std),
    }
