"""Types of the config's values that several models share.

Whole numbers are strict: 1.0 is none, as a seed or shard "1.0" would be another file. A number may
be written as text, because Snakemake's --config 'seeds=[0,1]' hands over text.
"""

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from vie.config.clip_frames import CLIPS, ClipFrames, clip_frames
from vie.runtime.errors import VieError


class Model(BaseModel):
    """A mapping of the config with fixed keys."""

    model_config = ConfigDict(extra="forbid", validate_default=False)


class OneOf:
    """Metadata of a text that must be one of some names."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.literal_schema(self.names)


class Whole:
    """Metadata of a whole number."""

    def __init__(self, **bounds: Any) -> None:
        self.bounds = bounds

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            _reader(int), core_schema.int_schema(strict=True, **self.bounds)
        )


class Real:
    """Metadata of a number."""

    def __init__(self, **bounds: Any) -> None:
        self.bounds = bounds

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            _reader(float),
            core_schema.float_schema(strict=True, allow_inf_nan=False, **self.bounds),
            serialization=core_schema.plain_serializer_function_ser_schema(_plain),
        )


def _reader(kind: type[int] | type[float]) -> Callable[[Any], Any]:
    """Reads a number that is written as text; leaves anything else to the checks that follow."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            number = kind(value)
        except ValueError:
            return value
        return number if math.isfinite(number) else value

    return read


def _plain(value: float) -> int | float:
    """25.0 as 25, so that both are the same setting."""
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _duration(text: str) -> str:
    """One way to write a duration: "1 epochs" for "1.0 epoch" too."""
    amount, unit = text.split()
    return f"{_plain(float(amount))} {unit.rstrip('s')}s"


def _no_repeats(values: list[Any]) -> list[Any]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise VieError(f"{twice[0]!r} stands there twice")
    return values


Natural = Annotated[int, Whole(ge=1)]
Count = Annotated[int, Whole(ge=0)]
Positive = Annotated[float, Real(gt=0)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True, min_length=1)]
# Becomes a folder and a wildcard of Snakemake.
Name = Annotated[
    str,
    Field(
        strict=True,
        pattern=r"^[A-Za-z0-9_]+$",
        description=(
            "a name has only letters, digits and underscores, and quotes around it if it is a "
            "number"
        ),
    ),
]
NoRepeats = (AfterValidator(_no_repeats), Field(json_schema_extra={"uniqueItems": True}))
Duration = Annotated[
    str,
    Field(
        strict=True,
        pattern=r"^([0-9]+ steps?|[0-9]+(\.[0-9]+)? epochs?)$",
        description="how long, in steps or in epochs (passes over the training videos)",
        examples=["500 steps", "2.5 epochs"],
    ),
    AfterValidator(_duration),
]
Drops = Annotated[
    list[Duration],
    AfterValidator(
        lambda drops: sorted(drops, key=lambda one: (one.split()[1], float(one.split()[0])))
    ),
    Field(description="times since training began at which the learning rate is divided by 10"),
]
Weights = Literal["trained", "untrained"]


class ClipNumbers(Model):
    """A clip that is not in the paper."""

    frames: Natural = Field(description="frames in a clip")
    stride: Annotated[float, Real(ge=1)] = Field(
        1, description="frames of the video from one frame of the clip to the next"
    )
    bin: Natural = Field(
        1, description="each frame of the clip is drawn from this many consecutive frames"
    )
    windows: list[Annotated[int, Whole(ge=2), Field(description="frames of a window")]] | None = (
        Field(
            None,
            min_length=1,
            description=(
                "for pretraining, in place of stride and bin: lengths of windows. One of them is "
                "placed where the video moves, and the frames of the clip are spread over it "
                "(opn: 10 and 16)"
            ),
        )
    )

    @model_validator(mode="after")
    def _check(self) -> "ClipNumbers":
        ClipFrames(self.frames, self.stride, self.bin, tuple(self.windows or ()))  # or VieError
        return self


def _named(clip: str | ClipNumbers) -> str | ClipNumbers:
    """Numbers that have a name become the name: the same clip is always written the same."""
    if isinstance(clip, str):
        return clip
    found = ClipFrames(clip.frames, clip.stride, clip.bin, tuple(clip.windows or ()))
    return next((name for name in CLIPS if clip_frames(name) == found), clip)


Clip = Annotated[
    Annotated[str, OneOf(CLIPS)] | ClipNumbers,
    AfterValidator(_named),
    Field(description="which frames make a clip: a name of protocol sections 2 and 9, or numbers"),
]


class ColorJitter(Model):
    """Random changes of colour (protocol section 3)."""

    strength: Annotated[float, Real(ge=0, le=1)] = Field(
        description="brightness, contrast and saturation are multiplied by 1 - this to 1 + this"
    )
    hue: Annotated[float, Real(ge=0, le=0.5)] = Field(
        description="the hue is turned by up to this share of the colour circle, either way"
    )
    grey: Annotated[float, Real(ge=0, le=1)] = Field(
        description="probability that a clip loses its colour"
    )


class Optimiser(Model):
    """SGD (protocol section 6)."""

    batch: Natural = Field(description="videos in a batch")
    lr: Positive = Field(description="learning rate at the start")
    momentum: Annotated[float, Real(ge=0, lt=1)] = Field(description="momentum (paper: 0.9)")
    weight_decay: Annotated[float, Real(ge=0)] = Field(
        description="weight decay (paper: 1e-4); batch norm has none"
    )
