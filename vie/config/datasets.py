"""Datasets: where they lie and how their frames are stored."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vie.config.clip_frames import FPS, QUALITIES
from vie.config.fields import Count, Model, Natural, OneOf, Seed, Share, Side, Text, real, whole
from vie.config.layouts import LAYOUTS, OFFICIAL_NAMES

Generated = Annotated[int, *whole(ge=1, le=10_000)]
Groups = Annotated[int, *whole(ge=1, le=1000)]
Jobs = Annotated[int, *whole(ge=1, le=10_000)]


class Generator(Model):
    """An embedded dataset: the workflow writes its videos, in the dataset's layout."""

    dataset_seed: Seed
    """seed of the dataset; another seed gives another dataset of the same kind"""
    train_videos_per_class: Generated | None = None
    """kinetics: training videos of each class"""
    val_videos_per_class: Generated | None = None
    """kinetics: validation videos of each class"""
    scene: Annotated[float, *real(ge=0.5, le=1)] | None = None
    """kinetics: videos in scenes, of other classes: figures also sway, other strokes pass by, and
    covers hide parts. The number is the share of videos whose background goes with how the figure
    sways; 0.5: it tells nothing. Left out: no scenes (docs/embedded-dataset.md)"""
    train_groups: Annotated[int, *whole(ge=2, le=1000)] | None = None
    """ucf101, hmdb51: groups of each class that a split trains on"""
    test_groups: Groups | None = None
    """ucf101, hmdb51: groups of each class that a split tests on"""
    clips_per_group: Groups | None = None
    """ucf101, hmdb51: videos of each group"""
    train_images_per_class: Generated | None = None
    """imagefolder: training images of each class"""
    val_images_per_class: Generated | None = None
    """imagefolder: validation images of each class"""


# Of videos; images have none of these.
OF_VIDEOS: dict[str, Any] = {
    "fps": 25,
    "quality": 3,
    "timeout_seconds": 60,
    "max_seconds": 30,
    "damaged": 0,
    "max_pixels": 50_000_000,
}


class Frames(Model):
    """How videos become JPEG frames. Images (layout imagefolder) have shorter_side alone."""

    fps: Annotated[float, *real(ge=FPS[0], le=FPS[1])] | None = None
    """frames per second (paper's release: 25; default: 25)"""
    shorter_side: Side = 128
    """pixels of a frame's shorter side (paper's release: 320). Images are made smaller, never
    larger: those that are small enough keep their bytes"""
    quality: (
        Annotated[int, *whole(ge=QUALITIES[0], le=QUALITIES[1])] | Literal["default"] | None
    ) = None
    """ffmpeg's JPEG quality, from 2 (best) to 31 (default: 3). default: what ffmpeg does when not
    told, which aims at 200 kbit/s and gives coarse frames (paper's release)"""
    timeout_seconds: Annotated[float, *real(ge=1, le=10**6)] | None = None
    """a video that takes longer to decode is rejected (default: 60)"""
    max_seconds: Annotated[float, *real(ge=0.001, le=86_400)] | None = None
    """a video that plays longer is rejected; where a list names some seconds of a longer file, only
    these count (default: 30)"""
    max_pixels: Annotated[int, *whole(ge=64 * 64, le=500_000_000)] | None = None
    """a video whose frames have more pixels is rejected (default: 50000000; 8K film has 33
    million). The job asks for memory for such a frame in each of its threads, 20 bytes a pixel"""
    damaged: Annotated[float, *real(ge=0, le=1)] | None = None
    """share of a video's frames that may be damaged: with more of them it is rejected. Damaged are
    frames at which ffmpeg reports an error; a file whose parts do not fit is rejected whatever the
    share (default: 0)"""


class Shards(Model):
    """Shards of each split; each is one job and one tar file."""

    train: Jobs | None = None
    """shards of the training videos"""
    val: Jobs | None = None
    """shards of the validation videos"""
    all: Jobs | None = None
    """shards of all videos, for datasets that networks are finetuned on"""


class Cut(Model):
    """Pieces of long videos; each piece is an instance of its own."""

    seconds: Annotated[int, *whole(ge=1, le=86_400)]
    """length of a piece; what is left at the end of a video is a piece if it is at least half as
    long"""
    overlap: Count = 0
    """seconds that a piece shares with the next one"""


class Dataset(Model):
    """Where a dataset lies and how its frames are stored."""

    layout: Annotated[str, OneOf(LAYOUTS)]
    """how videos and annotations lie on disk"""
    official_name: Annotated[str, OneOf(OFFICIAL_NAMES)] | None = None
    """name of this dataset in publications. Tables then show published results beside yours, and
    the sizes of ucf101 and hmdb51 are checked. Leave out for other data"""
    videos: (
        Text
        | Annotated[
            list[Annotated[Text, Field(description="a folder or a list file")]], Field(min_length=1)
        ]
        | None
    ) = None
    """folder of the videos, or of the images, relative to the dataset's root if roots has one.
    kinetics: it holds the folders train and val, or what copies call them (docs/paper-scale.md);
    imagefolder: it holds train and val; flat: videos lie anywhere in it, and it may be a list of
    folders, or a list file, .txt or .csv (docs/own-videos.md); the others: the class folders. Leave
    out with generator"""
    annotations: Text | None = None
    """folder of the annotations, relative to the dataset's root if roots has one. kinetics:
    train.csv and val.csv or validate.csv; ucf101: classInd.txt and the lists of the splits; hmdb51:
    a list per class and split; imagefolder: labels of a flat val, or lists of all images, a folder
    or a file (docs/paper-scale.md). Leave out with generator, with the layout folders, and with
    imagefolder where all images lie in class folders"""
    missing: Literal["error", "reject"] | None = None
    """what a listed video without a file is. error: the job stops (default of ucf101 and hmdb51);
    reject: it becomes a row of rejected.csv (default of kinetics). folders has no lists, and
    imagefolder always rejects, so leave it out there"""
    generator: Generator | None = None
    cut: Cut | None = None
    """flat: videos that are longer than a piece are cut into pieces"""
    val_share: Share | None = None
    """flat: share of the videos that validates, in whole folders or recordings (default: 0.1)"""
    dataset_seed: Seed | None = None
    """flat: seed of the draw of these videos (default: 0)"""
    frames: Frames = Field(default_factory=Frames)
    shards: Shards = Shards()
    """default: those of the layout"""
    min_frames: Natural | None = None
    """a video with fewer frames is rejected (paper's release: 3; default: 3, and 1 for images)"""

    @model_validator(mode="after")
    def _fill_in(self) -> "Dataset":
        facts = LAYOUTS[self.layout]
        self.missing = self.missing or facts.missing
        if not self.shards.model_fields_set:
            split = facts.splits[0]
            self.shards = Shards.model_validate({one: 4 if one == "train" else 1 for one in split})
        if facts.finds:
            self.val_share = self.val_share or 0.1
            self.dataset_seed = self.dataset_seed or 0
        self.min_frames = self.min_frames or (1 if facts.images else 3)
        if not facts.images:
            given = self.frames.model_dump(exclude_none=True)
            self.frames = Frames.model_validate(OF_VIDEOS | given)
        return self
