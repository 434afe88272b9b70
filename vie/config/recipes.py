"""Recipes: a network, the clips it sees, its objective and its schedule."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from vie.config.clip_frames import LARGEST
from vie.config.fields import (
    Clip,
    Clips,
    ColorJitter,
    Drops,
    Duration,
    Flag,
    Model,
    Name,
    Natural,
    OneOf,
    Optimiser,
    Share,
    Side,
    Text,
    real,
    whole,
)
from vie.config.settings import ESTIMATORS, NETWORKS, canonical

WIDEST = 16_384  # units of a layer
Filters = Annotated[int, *whole(ge=1, le=1024)]
Units = Annotated[int, *whole(ge=1, le=WIDEST)]

ClassPath = Annotated[
    str,
    Field(
        strict=True,
        max_length=200,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$",
        description="module and name in it; the module may be a file in the current folder",
        examples=["my_objectives:MoCo", "package.networks:build"],
    ),
]


class Open(Model):
    """A mapping with keys that the user's own code may extend.

    `vie.config.models` refuses those keys that no code of the user's stands for.
    """

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        self.__pydantic_extra__ = canonical(self.__pydantic_extra__)
        return self


class Encoder(Open):
    """The network (protocol section 4). A network of your own may have more settings."""

    __pydantic_extra__: dict[str, Annotated[Any, Field(description="setting of your own network")]]

    network: Text = Field(description=f"architecture: {', '.join(NETWORKS)}, or a name in networks")
    width: Filters | None = None
    """filters of the first stage (default: the paper's 64; fast: 8)"""
    embedding: Units | Literal["pooled"] = 128
    """dimensions of the embedding (paper: 128). pooled: the averaged features themselves, for
    objectives with a head of their own"""
    embedding_norm: Literal["batch", "none"] | None = None
    """batch: a batch norm without parameters between the embedding's linear layer and its unit
    length. With few videos instance recognition then begins soon, and not by chance
    (docs/embedded-dataset.md). Left out, or none: none (paper)"""
    bn_momentum: Annotated[float, *real(ge=1e-6, le=1)] | None = None
    """weight of a new batch in batch norm's running averages (default: the paper's 0.003)"""
    frames: Annotated[int, *whole(ge=1, le=LARGEST)] | None = None
    """trn: frames of a clip that are embedded together (default: the paper's 4)"""
    fast_width: Filters | None = None
    """slowfast: filters of the fast pathway's stem (default: the paper's 8)"""
    stride: Annotated[int, *whole(ge=1, le=LARGEST)] | None = None
    """slowfast: fast frames per slow frame (default: the paper's 4)"""

    @model_validator(mode="after")
    def _fill_in(self) -> "Encoder":
        if self.embedding_norm == "none":
            self.embedding_norm = None  # one way to say it
        for key, value in NETWORKS.get(self.network, {}).items():
            if getattr(self, key) is None:
                setattr(self, key, value)
        return self


class Instances(Model):
    """Other instances to train on than all whole videos (protocol section 11)."""

    share: Share | None = None
    """share of the training videos that take part; drawn once, the same for all seeds"""
    frames: Annotated[int, *whole(ge=2, le=10**6)] | None = None
    """each video is cut into windows of so many frames, and each of them is an instance; what is
    left at the end is one more if it is at least half as long"""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.share is None and self.frames is None:
            raise ValueError("give share, frames, or both")
        return self


class RandomSized(Model):
    """Crops of random area and aspect (protocol section 10)."""

    area: list[Annotated[float, *real(ge=0.001, le=1), Field(description="share of the area")]] = (
        Field(min_length=2, max_length=2)
    )
    """range of a crop's area, as shares of the frame's (paper: 0.2 to 1)"""
    aspect: list[
        Annotated[float, *real(ge=0.001, le=1000), Field(description="width over height")]
    ] = Field(min_length=2, max_length=2)
    """range of a crop's width over its height, drawn by its logarithm (paper: 3/4 to 4/3)"""


class Geometry(Model):
    """Crops (protocol section 3)."""

    size: Annotated[int, *whole(ge=16, le=LARGEST)]
    """side of the square input, in pixels (paper: 224)"""
    train_shorter_side: list[Annotated[Side, Field(description="pixels")]] = Field(
        min_length=2, max_length=2
    )
    """range of the shorter side in training, in pixels, both ends included (paper: 256 to 320, of
    which the release's code leaves 320 out)"""
    random_sized: RandomSized | None = None
    """crops of training in place of those of train_shorter_side: of random area and aspect, resized
    to the square"""
    test_shorter_side: Side
    """shorter side in testing, in pixels (paper: 256)"""
    flip: Annotated[float, *real(ge=0, le=1)]
    """probability of a horizontal flip in training"""
    squeeze: Flag = False
    """whether frames are first squeezed to a square, with sides of train_shorter_side or
    test_shorter_side (paper: true for 3DRotNet, 136 pixels)"""
    reduced_decoding: Flag = False
    """whether JPEGs are decoded at 1/2, 1/4 or 1/8 of their size where that is enough for the crop:
    clips of 112 pixels load in three quarters of the time and differ by 1.4 grey levels on
    average"""


class InstanceRecognition(Model):
    """VIE's first stage."""

    estimator: Annotated[str, OneOf(ESTIMATORS)]
    """nce_paper has the paper's constant Z; nce_estimated measures Z in its first batches; softmax
    is exact, for small datasets"""
    negatives: Natural
    """noise samples K of NCE (paper: 4096); softmax uses the whole bank"""
    first_temperature: Annotated[float, *real(ge=0.02, le=100)] | None = None
    """temperature of the first step, which falls to objective.temperature during warm_up, at an
    even rate of its logarithm. A network whose embedding says nothing yet loses less at a high one
    (docs/embedded-dataset.md). Left out: that temperature throughout (paper)"""
    warm_up: Duration | None = None
    """time that the temperature takes to fall; with first_temperature. 0 steps: none"""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.first_temperature is None) != (self.warm_up is None):
            raise ValueError("first_temperature and warm_up belong together: give both or neither")
        if self.warm_up is not None and not float(self.warm_up.split()[0]):
            self.first_temperature = self.warm_up = None  # one way to say it
        return self


class LocalAggregation(Model):
    """VIE's second stage."""

    clusters: Natural
    """k-means clusters m (paper: 8000)"""
    clusterings: Annotated[int, *whole(ge=1, le=100)]
    """independent clusterings whose clusters are united"""
    kmeans_iterations: Annotated[int, *whole(ge=1, le=10_000)]
    """iterations of k-means (paper: 20)"""
    neighbours: Natural
    """background neighbours k (paper: 512)"""


class OrderPrediction(Model):
    """OPN's task (protocol section 9)."""

    hidden: Units
    """units to which the features of two frames are reduced"""
    frame_shift: Annotated[int, *whole(ge=0, le=LARGEST)]
    """the crop of each frame is shifted by up to this many pixels (paper: 5)"""
    channel_dropping: Flag
    """one colour channel of each frame replaces all three (paper: true)"""


class Rotation(Model):
    """The task of RotNet and 3DRotNet (protocol section 9)."""

    hidden: Annotated[int, *whole(ge=0, le=WIDEST)]
    """units between the pooled features and the four answers; 0: none (paper: 64 for 3DRotNet)"""


class Objective(Open):
    """The memory bank, and the settings of each stage that has any (protocol section 5).

    Settings of an objective of your own stand under its name.
    """

    __pydantic_extra__: dict[
        str, Annotated[dict[str, Any], Field(description="settings of an objective of your own")]
    ]

    temperature: Annotated[float, *real(ge=0.02, le=100)] = 0.07
    """tau (paper: 0.07)"""
    bank_momentum: Annotated[float, *real(ge=0, lt=1)] = 0.5
    """share of the old vector in an update of the bank (paper: 0.5)"""
    instance_recognition: InstanceRecognition | None = None
    local_aggregation: LocalAggregation | None = None
    order_prediction: OrderPrediction | None = None
    rotation: Rotation | None = None


class Schedule(Open):
    """The stages and how long each takes.

    instance_recognition and local_aggregation, or one other stage alone: supervised,
    order_prediction, rotation, or a name in objectives.
    """

    __pydantic_extra__: dict[
        str, Annotated[Duration, Field(description="an objective of your own")]
    ]

    instance_recognition: Duration | None = None
    """VIE's first stage"""
    local_aggregation: Duration | None = None
    """VIE's second stage"""
    supervised: Duration | None = None
    """training with labels, for comparison"""
    order_prediction: Duration | None = None
    """OPN"""
    rotation: Duration | None = None
    """RotNet and 3DRotNet"""
    lr_drops: Drops


# Stages of pretraining in their order; a recipe has those that its schedule names.
STAGES = tuple(key for key in Schedule.model_fields if key != "lr_drops")
VIE = ("instance_recognition", "local_aggregation")  # all others are trained alone
PRETEXTS = ("order_prediction", "rotation")  # set a task with right answers
# How networks came about, in tables and plots, by what they were trained for.
FAMILIES = {"with labels": ("supervised",), "VIE": VIE, "baselines": PRETEXTS}
OTHER_FAMILY = "others"


def family(trained: Iterable[str]) -> str:
    """The family of a network that was trained for these stages or objectives."""
    found = {*trained}
    return next((name for name, stages in FAMILIES.items() if found & {*stages}), OTHER_FAMILY)


class Monitor(Model):
    """Nearest-neighbour accuracy on the validation videos while the network trains."""

    every: Duration = Field(
        description="time between measurements; 0 steps: only where a stage starts and ends"
    )
    neighbours: Natural
    """nearest neighbours (paper: 10)"""
    clips: Clips
    """clips of each validation video (paper: 5)"""


class Recipe(Model):
    """A network, the clips it sees, its objective and its schedule."""

    label: Text
    """name in tables, as the paper spells it"""
    encoder: Encoder
    clip: Clip
    min_frames: Natural = 1
    """videos with fewer frames take no part in training (paper: 16 for OPN and 3DRotNet)"""
    instances: Instances | None = None
    """what is pretrained on; left out, all whole videos. Probes train on these in any case"""
    geometry: Geometry
    color_jitter: ColorJitter
    objective: Objective
    optimiser: Optimiser
    schedule: Schedule
    start_from: Text | None = None
    """recipe whose trained network this one starts from; else random weights"""
    weights: Text | None = None
    """file with this network's weights, relative to the folder you start in. It is then not
    trained: objective, optimiser and schedule only say how it was. .tar or .index: the authors'
    checkpoint; .pt: one of vie; .safetensors: an encoder's state_dict (docs/networks.md)"""
    start_first: Flag = False
    """whether its pretraining starts before that of other recipes. Good for the longest: the others
    then train beside it"""
    monitor: Monitor
    classes: dict[Name, ClassPath] | None = None
    """filled in by vie, not to be written: what of objectives and networks the recipe uses"""
