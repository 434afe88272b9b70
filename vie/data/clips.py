"""Clips out of an index, batch by batch: decoded, cropped, uint8 (design: colour comes later).

Every draw comes from the address (seed, stage, epoch, instance, clip), so batches do not depend
on the number of workers, on a resume or on the order of arrival.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vie.data.colour import ColourDraws, draw_colour
from vie.data.geometry import Crop, Geometry, centre_crop, crop_frames, train_crop
from vie.data.index import Index, load_index
from vie.data.randomness import generator
from vie.data.sampling import Sampling, sampling
from vie.errors import VieError


class Batch(NamedTuple):
    """What a worker hands over.

    Attributes:
        clips: (B, 3, T, H, W) uint8.
        instances: (B,) int64, rows of the index.
        labels: (B,) int64, classes.
        colour: draws of each clip, or None for test clips.
    """

    clips: Tensor
    instances: Tensor
    labels: Tensor
    colour: ColourDraws | None


@dataclass(frozen=True)
class View:
    """How a video is looked at: which frames, which crop, which colour noise.

    Attributes:
        sampling: frames of a clip.
        geometry: crop and size.
        colour: keyword arguments of `draw_colour`.
    """

    sampling: Sampling
    geometry: Geometry
    colour: dict[str, float]

    @classmethod
    def of(cls, recipe: dict, clip: str | dict | None = None) -> "View":
        """View of a recipe; a readout may replace the recipe's clip sampling."""
        geometry = recipe["geometry"]
        return cls(
            sampling(recipe["clip"] if clip is None else clip),
            Geometry(
                geometry["size"],
                tuple(geometry["train_shorter_side"]),
                geometry["test_shorter_side"],
                geometry["flip"],
            ),
            dict(recipe["colour"]),
        )


def decode(jpeg: bytes, least: float) -> np.ndarray:
    """(H, W, 3) uint8 of a JPEG, decoded at a power-of-two fraction of its size where that keeps
    the shorter side at `least` pixels or more: for small inputs, most of the decoding is saved.
    """
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    fraction = 1
    while min(height, width) // (2 * fraction) >= least and fraction < 8:
        fraction *= 2
    if fraction == 1:
        return simplejpeg.decode_jpeg(jpeg)
    return simplejpeg.decode_jpeg(jpeg, min_height=height // fraction, min_width=width // fraction)


def load_clip(index: Index, instance: int, frames: np.ndarray, crop: Crop, size: int) -> Tensor:
    """(3, T, size, size) uint8 of one clip; a frame that occurs twice is decoded once."""
    unique, back = np.unique(frames, return_inverse=True)
    least = size / crop.scale
    try:
        decoded = [decode(jpeg, least) for jpeg in index.read_frames(instance, unique)]
    except ValueError as error:
        if isinstance(error, VieError):
            raise
        video = index.videos[instance].as_py()
        raise VieError(
            f"{index.path}: video {video!r} has a frame that cannot be decoded ({error}); delete "
            "its shard and the shard's table to have them made again"
        ) from error
    return crop_frames([decoded[i] for i in back], crop, size)


class TrainClips(Dataset):
    """Random clips; a key is (epoch, [instances of the batch])."""

    def __init__(self, index: Path, view: View, *, seed: int, stage: str) -> None:
        self.index, self.view, self.seed, self.stage = load_index(index), view, seed, stage

    def __getitem__(self, key: tuple[int, np.ndarray]) -> Batch:
        epoch, instances = key
        view, clips, draws = self.view, [], []
        for instance in instances:
            rng = generator(self.seed, self.stage, epoch, int(instance))
            frames = view.sampling.train(int(self.index.n_frames[instance]), rng)
            crop = train_crop(view.geometry, rng)
            draws.append(draw_colour(rng, **view.colour))
            clips.append(load_clip(self.index, int(instance), frames, crop, view.geometry.size))
        return Batch(
            torch.stack(clips),  # B x (3, T, H, W) -> (B, 3, T, H, W)
            torch.from_numpy(np.asarray(instances, dtype=np.int64)),
            torch.from_numpy(self.index.labels[instances]),
            ColourDraws(*(torch.from_numpy(np.stack(part)) for part in zip(*draws, strict=True))),
        )


class TestClips(Dataset):
    """Evenly spaced clips of one video after the other; a key is [videos of the batch].

    The batch holds `clips` clips of each video, video by video.
    """

    __test__ = False  # not a test, whatever pytest makes of the name

    def __init__(self, index: Path, view: View, *, clips: int) -> None:
        self.index, self.view, self.clips = load_index(index), view, clips

    def __getitem__(self, instances: np.ndarray) -> Batch:
        view, clips = self.view, []
        crop = centre_crop(view.geometry)
        for instance in instances:
            frames = view.sampling.test(int(self.index.n_frames[instance]), self.clips)
            # All clips at once: neighbouring clips share frames. (clips, T) -> (clips * T,)
            many = load_clip(self.index, int(instance), frames.ravel(), crop, view.geometry.size)
            many = many.unflatten(1, frames.shape)  # (3, clips * T, H, W) -> (3, clips, T, H, W)
            clips.append(many.transpose(0, 1))  # (clips, 3, T, H, W)
        instances = np.repeat(np.asarray(instances, dtype=np.int64), self.clips)
        return Batch(
            torch.cat(clips),
            torch.from_numpy(instances),
            torch.from_numpy(self.index.labels[instances]),
            None,
        )


def steps_per_epoch(videos: int, batch: int) -> int:
    """Complete batches in an epoch.

    Raises:
        VieError: there is none.
    """
    if batch > videos:
        raise VieError(
            f"a batch of {batch} videos cannot be drawn from {videos}: lower optimiser.batch or "
            "use more videos"
        )
    return videos // batch


class TrainOrder:
    """Keys of `TrainClips` for steps `first` to `last` - 1: each epoch is its own permutation.

    The incomplete batch at an epoch's end is left out; the permutation decides which videos
    that concerns, so over epochs every video has its turn.
    """

    def __init__(
        self, videos: int, batch: int, *, seed: int, stage: str, first: int, last: int
    ) -> None:
        self.videos, self.batch, self.seed, self.stage = videos, batch, seed, stage
        self.first, self.last = first, last
        self.steps_per_epoch = steps_per_epoch(videos, batch)

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        permutation_of = None
        for step in range(self.first, self.last):
            epoch, position = divmod(step, self.steps_per_epoch)
            if permutation_of != epoch:
                order = generator(self.seed, f"{self.stage}/order", epoch)
                permutation, permutation_of = order.permutation(self.videos), epoch
            yield epoch, permutation[position * self.batch : (position + 1) * self.batch]


def loader(dataset: Dataset, order: "TrainOrder | list[np.ndarray]", workers: int) -> DataLoader:
    """Batches of `dataset` for the keys in `order`, made by `workers` processes (0: this one)."""
    return DataLoader(
        dataset,
        batch_size=None,  # a key is a whole batch
        sampler=order,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if workers else None,
    )


def video_batches(videos: int, clips: int, at_most: int = 128) -> list[np.ndarray]:
    """Consecutive videos in batches of about `at_most` clips: keys of `TestClips`."""
    size = max(1, at_most // clips)
    return [np.arange(i, min(i + size, videos)) for i in range(0, videos, size)]
