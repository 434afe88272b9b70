"""Types of the config's values that several models share.

Whole numbers are strict: 1.0 is none, as a seed or shard "1.0" would be another file. A number may
be written as text, because Snakemake's --config 'seeds=[0,1]' hands over text.
"""

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
)
from pydantic_core import CoreSchema, core_schema

from vie.config.clip_frames import (
    CLIPS,
    COLOR_JITTER,
    LARGEST,
    MOST,
    SIDES,
    TEST_STARTS,
    ClipFrames,
    clip_frames,
)
from vie.config.settings import canonical
from vie.runtime.errors import VieError


class Model(BaseModel):
    """A mapping of the config with fixed keys. The text below a key describes it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass(eq=False)
class OneOf:
    """Metadata of a text that must be one of some names."""

    names: Iterable[str]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.literal_schema(list(self.names))


def _read(kind: type[int] | type[float], value: Any) -> Any:
    """A number that is written as text; anything else is left to the checks that follow."""
    with contextlib.suppress(ValueError):
        if isinstance(value, str) and math.isfinite(number := kind(value)):
            return number
    return value


def whole(**bounds: Any) -> tuple[Any, ...]:
    """Metadata of a whole number."""
    return Field(strict=True, **bounds), BeforeValidator(partial(_read, int))


def real(**bounds: Any) -> tuple[Any, ...]:
    """Metadata of a number."""
    reading = BeforeValidator(partial(_read, float)), PlainSerializer(canonical)
    return Field(strict=True, allow_inf_nan=False, **bounds), *reading


def _duration(text: str) -> str:
    """One way to write a duration: "1 epochs" for "1.0 epoch" too."""
    written, unit = text.split()
    amount, unit = float(written), unit.rstrip("s") + "s"
    least, most = (1, 10**9) if unit == "steps" else (0.001, 10**6)
    if amount and not least <= amount <= most:
        raise VieError(f"choose 0, or {least:,} to {most:,} {unit}")
    return f"{canonical(amount)} {unit}"


def _no_repeats(values: list[Any]) -> list[Any]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise VieError(f"{twice[0]!r} stands there twice")
    return values


# Every number has an end: what is far beyond any use is a slip, and ends in no memory or no time.
Natural = Annotated[int, *whole(ge=1, le=10**6)]
Count = Annotated[int, *whole(ge=0, le=10**6)]
Side = Annotated[int, *whole(ge=SIDES[0], le=SIDES[1])]
Clips = Annotated[int, *whole(ge=1, le=1000)]
Seed = Annotated[int, *whole(ge=0, le=2**32 - 1)]
Rate = Annotated[float, *real(ge=1e-9, le=10)]
Share = Annotated[float, *real(ge=0.001, le=0.999)]
Decay = Annotated[float, *real(ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]
ENDS = r"\x7f\x85\u2028\u2029"  # the last three end a line for some readers
# Of one line, and not only blanks: it stands in tables, plots and paths.
Text = Annotated[
    str,
    Field(
        strict=True,
        min_length=1,
        max_length=1000,
        pattern=rf"^[^\x00-\x1f{ENDS}]*[^\x00-\x20{ENDS}][^\x00-\x1f{ENDS}]*$",
    ),
]
# Becomes a folder and a wildcard of Snakemake.
Name = Annotated[
    str,
    Field(
        strict=True,
        max_length=100,
        pattern=r"^[A-Za-z0-9_]+$",
        description=(
            "a name has only letters, digits and underscores, at most 100, and quotes around it if "
            "it is a number"
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
    Field(
        max_length=100,
        description="times since training began at which the learning rate is divided by 10",
    ),
]


class ClipNumbers(Model):
    """A clip that is not in the paper."""

    frames: Annotated[int, *whole(ge=1, le=LARGEST)]
    """frames in a clip"""
    stride: Annotated[float, *real(ge=1, le=MOST)] = 1
    """frames of the video from one frame of the clip to the next"""
    bin: Annotated[int, *whole(ge=1, le=MOST)] = 1
    """each frame of the clip is drawn from this many consecutive frames"""
    test_starts: Annotated[str, OneOf(TEST_STARTS)] = "inside"
    """where the clips of a test lie. inside: evenly spaced, without the first and the last possible
    start (paper: trn, slow); ends: with these two, and short videos looped until no clips overlap
    (paper: slowfast, 3dresnet; a clip then takes frames x stride frames, in training too); parts:
    in the middle of as many equal parts (paper: single)"""
    windows: (
        list[Annotated[int, *whole(ge=2, le=MOST), Field(description="frames of a window")]] | None
    ) = Field(None, min_length=1, max_length=100)
    """for pretraining, in place of stride and bin: lengths of windows. One of them is placed where
    the video moves, and the frames of the clip are spread over it (opn: 10 and 16)"""


def spacing(clip: str | ClipNumbers) -> ClipFrames:
    """How the frames of a clip are spaced.

    Raises:
        VieError: its numbers do not fit each other.
    """
    return clip_frames(clip if isinstance(clip, str) else clip.model_dump(exclude_none=True))


def _named(clip: str | ClipNumbers) -> str | ClipNumbers:
    """Numbers that have a name become the name: the same clip is always written the same."""
    found = spacing(clip)
    return next((name for name in CLIPS if clip_frames(name) == found), clip)


Clip = Annotated[
    Annotated[str, OneOf(CLIPS)] | ClipNumbers,
    AfterValidator(_named),
    Field(description="which frames make a clip: a name of protocol sections 2 and 9, or numbers"),
]


class ColorJitter(Model):
    """Random changes of colour (protocol section 3)."""

    strength: Annotated[float, *real(ge=0, le=COLOR_JITTER["strength"])]
    """brightness, contrast and saturation are multiplied by 1 - this to 1 + this"""
    hue: Annotated[float, *real(ge=0, le=COLOR_JITTER["hue"])]
    """the hue is turned by up to this share of the colour circle, either way"""
    grey: Annotated[float, *real(ge=0, le=COLOR_JITTER["grey"])]
    """probability that a clip loses its colour"""


class Optimiser(Model):
    """SGD (protocol section 6)."""

    batch: Natural
    """videos in a batch"""
    lr: Rate
    """learning rate at the start"""
    momentum: Annotated[float, *real(ge=0, lt=1)]
    """momentum (paper: 0.9)"""
    weight_decay: Decay
    """weight decay (paper: 1e-4); batch norm has none"""
