"""Evaluations of networks: linear probes, finetuning, and the tables that show them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from vie.config.fields import (
    Clip,
    Clips,
    ColorJitter,
    Count,
    Decay,
    Drops,
    Duration,
    Flag,
    Model,
    Natural,
    NoRepeats,
    OneOf,
    Optimiser,
    Rate,
    Share,
    Text,
    real,
)
from vie.config.recipes import Geometry, RandomSized
from vie.config.settings import VECTORS

# Names of columns of tables 2 and 3, but for those that they have anyway.
TARGET = (
    r"^(?!(?:model|seeds|split|validation|comparable)$)(?!.*_(?:n|ci95|top5|published)$)"
    r"[A-Za-z_][A-Za-z0-9_]*$(?!\n)"
)


TargetName = Annotated[
    str,
    Field(
        strict=True,
        max_length=100,
        pattern=TARGET,
        description=(
            "a name has only letters, digits and underscores, does not begin with a digit, and is "
            "not one of the table's own columns"
        ),
    ),
]


class ProbeSchedule(Model):
    """How long the classifiers train."""

    duration: Duration
    lr_drops: Drops


class OwnImageProbe(Model):
    """How the classifiers of a network are trained on images, where image_probe says otherwise."""

    schedule: ProbeSchedule | None = None
    """how long they train; left out, image_probe.schedule"""
    pooled: Flag = False
    """whether Conv5 is averaged over space before its classifier (paper: true for
    Supervised-Single, -Slow and -SlowFast)"""


class ReleaseSchedule(Model):
    """When the learning rate of a row falls where finetuning follows the release's steps."""

    target: Text | None = None
    """name of the target that it is for; left out, all"""
    pipeline: Literal["scale_crop", "color_jitter"] | None = None
    """preprocessing that it is for: scale_crop (table 2) or color_jitter (table 3); left out, both
    """
    duration: Duration
    lr_drops: Drops


class RowFinetuning(Model):
    """What an evaluation has of its own where its network is finetuned or trained from scratch."""

    batch: Natural | None = None
    """videos in a batch; left out, that of finetuning.trained or finetuning.untrained (paper: 64
    for VIE-TwoPathway)"""
    lr: Rate | None = None
    """learning rate at the start; left out, that of the same (paper: 0.008 for 3DRotNet)"""
    release: list[ReleaseSchedule] | None = None
    """drops of the learning rate where finetuning.trained.schedule or untrained.schedule is
    release; the first entry that fits target and pipeline holds"""


class Evaluation(Model):
    """A network, and the clips on which it is evaluated. One evaluation is one row of a table."""

    label: Text
    """name in tables, as the paper spells it"""
    recipe: Text | Annotated[list[Text], Field(min_length=1)]
    """recipe of the network, or a list: the features of several networks together. In tables 2 and
    3, several networks are trained together, with one linear layer"""
    clip: Clip
    geometry: Geometry | None = None
    """crops; left out, those of the recipe"""
    color_jitter: ColorJitter | None = None
    """random colour while the classifiers train; left out, that of the recipe"""
    schedule: ProbeSchedule | None = None
    """how long its classifiers train; left out, probe.schedule"""
    image_probe: OwnImageProbe | None = None
    """the classifiers of this network on images"""
    finetuning: RowFinetuning | None = None
    """batch, rate and drops of its own in tables 2 and 3"""
    weights: Literal["trained", "untrained"]
    """trained: the network after its recipe; untrained: before its first step"""


class Probe(Model):
    """Linear classifiers on frozen features (protocol section 7)."""

    optimiser: Optimiser
    schedule: ProbeSchedule
    clips: Clips
    """clips of each validation video (paper: 5)"""


class ImageProbe(Model):
    """Linear classifiers on frozen features of images (protocol section 10).

    An image is shown as often as the clip of an evaluation has frames. Input size, the shorter side
    in testing and flips are those of the evaluation; a test is one crop from the middle.
    """

    dataset: Text
    """a name in datasets, of the layout imagefolder"""
    random_sized: RandomSized
    """crops of training"""
    color_jitter: ColorJitter
    """random colour of training (paper: 0.4, 0.4, and grey 0.2)"""
    optimiser: Optimiser
    """(paper: batch 128, lr 0.01, momentum 0.9, weight decay 1e-4)"""
    schedule: ProbeSchedule


class Target(Model):
    """One split of a dataset."""

    dataset: Text
    """a name in datasets"""
    split: Natural | Literal["all"]
    """number of the split; ucf101 and hmdb51 have the official ones 1, 2 and 3. all: splits 1, 2
    and 3, and their mean in the tables; retrieval has split 1"""


class ScaleCrop(Model):
    """Crops of table 2."""

    scales: list[
        Annotated[float, *real(ge=0.01, le=1), Field(description="one share of the shorter side")]
    ] = Field(min_length=1)
    """sides of the crops, as shares of the shorter side (paper: 2^0, 2^-1/4, 2^-1/2, 2^-3/4,
    2^-1)"""


class FinetuneOptimiser(Optimiser):
    """SGD of a whole network with a new linear layer."""

    weight_decay: Decay
    """weight decay of what decayed says (paper: 1e-5 for pretrained networks, 1e-4 from scratch)"""
    decayed: Literal["all", "new_layer"] = "all"
    """what weight decay is for: all but batch norm, or the new linear layer alone (paper: new_layer
    for pretrained networks, all from scratch)"""
    schedule: Literal["saturation", "release"] = "saturation"
    """when the learning rate falls. saturation: when validation saturates, as finetuning.schedule
    says (the paper); release: after the steps in release of a row's finetuning, which lasts as long
    as stands there; rows without such steps fall back to saturation"""


class FinetuneSchedule(Model):
    """How long a network trains."""

    most: Duration = Field(description="the longest that it may train")
    every: Duration = Field(
        description="time between two validations; the network of the best one is tested"
    )
    patience: Count
    """how many validations in a row may bring no improvement; after one more, the learning rate is
    divided by 10"""
    drops: Count
    """how many times the learning rate is divided; where it would be divided once more, training
    ends"""


class Finetuning(Model):
    """Finetuning and training from scratch on action datasets (protocol section 8)."""

    model_config = ConfigDict(regex_engine="python-re")  # pydantic's own cannot look ahead

    targets: dict[TargetName, Target] = Field(min_length=1)
    """what networks are finetuned on, by name; a name is a column of tables 2 and 3. null in an
    overlay takes one away"""
    validation: Literal["held_out", "test"]
    """videos that decide when the learning rate drops and which epoch is best. held_out: training
    videos that are held out; test: the test videos, as in the paper, which had no others (the best
    epoch is then chosen on what it is tested on)"""
    held_out: Share
    """share of each class's training videos that is held out, in whole groups; not used with
    validation: test"""
    scale_crop: ScaleCrop
    trained: FinetuneOptimiser
    """for pretrained networks (paper: batch 128, lr 0.0005, weight decay 1e-5)"""
    untrained: FinetuneOptimiser
    """for training from scratch (paper: batch 128, lr 0.01, weight decay 1e-4)"""
    schedule: FinetuneSchedule
    clips: Clips
    """clips of each validation video, evenly spaced"""


class Features(Model):
    """Features of whole videos, for files, retrieval, sheets of neighbours and maps."""

    clips: Clips = 5
    """clips of each video, evenly spaced; its features are their average (paper: 5)"""
    layers: Annotated[
        list[Annotated[str, OneOf(VECTORS), Field(description="one of them")]], *NoRepeats
    ] = Field(["embedding", "conv5"], min_length=1)
    """what is written: the embedding, of unit length, and averages of feature maps"""


class Table(Model):
    """One table."""

    evaluations: Annotated[
        list[Annotated[Text, Field(description="a name in evaluations, or a pattern")]], *NoRepeats
    ] = Field(min_length=1)
    """names in evaluations, in the order of the rows; a pattern such as vie_* stands for all that
    match it"""


class Tables(Model):
    """The rows of each table, in order."""

    table_s1: Table
    """one network on the clips of others (paper: Table S1)"""
    table_1: Table
    """linear probes of all networks"""
    table_1_imagenet: Table | None = None
    """linear probes of networks on the images of image_probe"""
    table_2: Table
    """finetuning with scale crops. weights: trained is finetuned, untrained is trained from
    scratch; several networks of one evaluation are trained together"""
    table_3: Table
    """the same with crops and random colour"""
    retrieval: Table
    """nearest videos of the same class: evaluations of one recipe each. Of videos without labels:
    the encoders that are made if no file is named"""
