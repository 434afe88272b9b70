"""Clips out of an index, batch by batch: decoded, cropped, uint8 (design: colour comes later).

Every draw comes from the address (seed, stage, epoch, instance, clip), so batches do not depend
on the number of workers, on a resume or on the order of arrival.
"""

import itertools
import logging
import math
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from vie.clips.color_jitter import ColorJitterDraws, draw_color_jitter
from vie.clips.crops import Crop
from vie.clips.cutting import UndecodableError, cut_clip
from vie.clips.transform import ClipTransform
from vie.config.settings import too_many
from vie.frames.index import Index, load_index
from vie.frames.motion import Motion
from vie.runtime import distributed
from vie.runtime.errors import VieError
from vie.runtime.randomness import generator
from vie.runtime.signals import held_back
from vie.runtime.threads import batches_ahead
from vie.runtime.workers import ADVICE, LEFT_TO_PARENT, Watch, serve_parent

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """What a worker hands over."""

    clips: Tensor  # (V * B, 3, T, H, W) uint8: V views of B videos, view by view
    instances: Tensor  # (B,) int64, rows of the index
    labels: Tensor  # (B,) int64, classes
    color_jitter: ColorJitterDraws | None  # of each clip; None for clips without colour noise


def load_clip(
    index: Index,
    instance: int,
    frames: np.ndarray,
    crop: Crop,
    size: int,
    shifts: np.ndarray | None = None,
) -> Tensor:
    """(3, T, size, size) uint8 of one clip; a frame that occurs twice is decoded once.

    `frames` (T,) are numbers of frames, `shifts` (T, 2) as in `crop_frames`.

    Raises:
        VieError: a frame is not there, or cannot be decoded.
    """
    try:
        return cut_clip(partial(index.read_frames, instance), frames, crop, size, shifts)
    except UndecodableError as error:
        raise index.undecodable(instance, error.frame, error) from error


def drop_channels(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """Replace all channels of every frame by one of them, drawn for each frame.

    (3, T, H, W) -> the same shape; protocol section 9.
    """
    T = clip.shape[1]
    kept = torch.from_numpy(rng.integers(3, size=T))
    return clip[kept, torch.arange(T)].expand_as(clip)  # (T, H, W) -> (3, T, H, W)


class ClipDataset(Dataset[Batch]):
    """Whole batches of clips by key, from the videos of an index.parquet."""

    def __init__(self, index: Path, transform: ClipTransform) -> None:
        self.index, self.transform = load_index(index), transform

    def _batch(
        self, clips: Tensor, instances: np.ndarray, draws: ColorJitterDraws | None = None
    ) -> Batch:
        labels = torch.from_numpy(self.index.labels[instances])
        return Batch(clips, torch.from_numpy(instances), labels, draws)


class TrainClips(ClipDataset):
    """Random clips; a key is (epoch, [instances of the batch]).

    Args:
        seed, stage: of the address of every draw.
        motion: motion.npy beside the index, for a sampling that asks where videos move.
        n_views: clips of each video in a batch. Draws of view v are those of clip v of the address,
            so the first view is the same however many there are.
    """

    def __init__(
        self,
        index: Path,
        transform: ClipTransform,
        *,
        seed: int,
        stage: str,
        motion: Path | None = None,
        n_views: int = 1,
    ) -> None:
        super().__init__(index, transform)
        self.seed, self.stage, self.n_views = seed, stage, n_views
        self.motion = Motion(motion, self.index) if motion else None

    def __getitem__(self, key: tuple[int, np.ndarray]) -> Batch:
        epoch, instances = key
        transform, shift = self.transform, self.transform.frame_shift
        draws, size = [], transform.geometry.size
        shape = (self.n_views * len(instances), 3, transform.sampling.frames, size, size)
        clips = _room(shape)
        every = itertools.product(range(self.n_views), map(int, instances))
        for place, (view, instance) in enumerate(every):
            rng = generator(self.seed, self.stage, epoch, instance, view)
            n_frames = int(self.index.n_frames[instance])
            motion = self.motion.of(instance) if self.motion else None
            frames = transform.sampling.train(n_frames, rng, motion)
            crop = transform.geometry.train_crop(rng, shift)
            if transform.color_jitter is not None:
                draws.append(draw_color_jitter(rng, **transform.color_jitter))
            shifts = rng.integers(-shift, shift + 1, size=(len(frames), 2)) if shift else None
            clip = load_clip(self.index, instance, frames, crop, size, shifts)
            clips[place] = drop_channels(clip, rng) if transform.channel_dropping else clip
        # V * B draws -> one with a leading dimension V * B
        stacked = [torch.from_numpy(np.stack(part)) for part in zip(*draws, strict=True)]
        rows = np.asarray(instances, dtype=np.int64)
        return self._batch(clips, rows, ColorJitterDraws(*stacked) if draws else None)


class VideoClips(ClipDataset):
    """Clips without noise, of one video after the other; a key is [videos of the batch]."""

    def frames_of(self, n_frames: int) -> np.ndarray:
        """Frames of all clips of a video of `n_frames` -> (clips, T)."""
        raise NotImplementedError

    def __getitem__(self, instances: Sequence[int] | np.ndarray) -> Batch:
        crop, size = self.transform.geometry.centre_crop(), self.transform.geometry.size
        rows = np.asarray(instances, np.int64)
        every = [self.frames_of(int(self.index.n_frames[row])) for row in rows]
        counts = [len(frames) for frames in every]
        clips = _room((sum(counts), 3, every[0].shape[1], size, size))
        places = clips.split(counts)
        for instance, frames, place in zip(rows.tolist(), every, places, strict=True):
            # All clips at once, (clips, T) -> (clips * T,): what several have is decoded once.
            many = load_clip(self.index, instance, frames.ravel(), crop, size)
            # (3, clips * T, H, W) -> (3, clips, T, H, W) -> (clips, 3, T, H, W)
            place.copy_(many.unflatten(1, frames.shape).transpose(0, 1))
        return self._batch(clips, np.repeat(rows, counts))


class TestClips(VideoClips):
    """`clips` evenly spaced clips of every video."""

    __test__ = False  # not a test, whatever pytest makes of the name

    def __init__(self, index: Path, transform: ClipTransform, *, clips: int) -> None:
        super().__init__(index, transform)
        self.clips = clips

    def frames_of(self, n_frames: int) -> np.ndarray:
        """(clips, T)."""
        return self.transform.sampling.test(n_frames, self.clips)


def _room(shape: tuple[int, ...]) -> Tensor:
    """A uint8 tensor to fill; in a worker, memory that the main process reads, as torch's own
    collation does it. (torch would copy any other there.)"""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    shared = torch.UntypedStorage._new_shared(math.prod(shape))
    return torch.empty(0, dtype=torch.uint8).set_(shared).view(shape)


def steps_per_epoch(videos: int, batch: int) -> int:
    """Complete batches in an epoch.

    Raises:
        VieError: there is none.
    """
    if problem := too_many("optimiser.batch", batch, videos, "videos that take part"):
        raise VieError(problem[0])
    return videos // batch


def long_enough(index: Path, min_frames: int) -> np.ndarray:
    """Instances (V,) int64 of the videos with `min_frames` frames or more.

    Raises:
        VieError: there is none.
    """
    counts = load_index(index).n_frames
    found = np.flatnonzero(counts >= min_frames)
    if not len(found):
        raise VieError(f"{index}: no video has the {min_frames} frames of the recipe's min_frames")
    if len(found) < len(counts):
        log.warning(
            "%d of %d videos have fewer than %d frames (the recipe's min_frames) and take no part",
            len(counts) - len(found),
            len(counts),
            min_frames,
        )
    return found


class EpochBatchSampler:
    """Keys of `TrainClips` for steps `first` to `last` - 1: each epoch is its own permutation.

    The incomplete batch at an epoch's end is left out; the permutation decides which videos
    that concerns, so over epochs every video has its turn. Where several processes train, each
    has its share of every batch. `videos` are the instances (V,) that take part, or V where these
    are 0 to V - 1; `seed` and `stage` are of the address of the order.
    """

    def __init__(
        self, videos: int | np.ndarray, batch: int, *, seed: int, stage: str, first: int, last: int
    ) -> None:
        self.videos = np.arange(videos) if isinstance(videos, int) else videos
        self.batch, self.seed, self.stage = batch, seed, stage
        self.first, self.last = first, last
        self.steps_per_epoch = steps_per_epoch(len(self.videos), batch)

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        permutation_of = None
        for step in range(self.first, self.last):
            epoch, position = divmod(step, self.steps_per_epoch)
            if permutation_of != epoch:
                order = generator(self.seed, f"{self.stage}/order", epoch)
                permutation, permutation_of = order.permutation(len(self.videos)), epoch
            chosen = permutation[position * self.batch : (position + 1) * self.batch]
            yield epoch, self.videos[distributed.shard(chosen)]


class _Told(Dataset[Batch | Exception]):
    """A dataset whose errors for the user are results: torch would add a worker's traceback, and
    lose the number of an OSError."""

    def __init__(self, dataset: ClipDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> Batch | Exception:
        try:
            return self.dataset[key]
        except (OSError, VieError) as error:
            return error


def loader(
    dataset: ClipDataset, order: Iterable[Any], workers: int, *, clips: int
) -> Iterator[Batch]:
    """Batches of `dataset` for the keys in `order`, made by `workers` processes (0: this one).

    A batch has about `clips` clips, which says how much memory those that wait take.

    Raises:
        VieError: a batch cannot be made, or a worker was killed.
        OSError: a file cannot be read now.
    """
    transform = dataset.transform
    batch_bytes = clips * 3 * transform.sampling.frames * transform.geometry.size**2
    batches = DataLoader(
        _Told(dataset),
        batch_size=None,  # a key is a whole batch
        sampler=order,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=batches_ahead(workers, batch_bytes) if workers else None,
        worker_init_fn=serve_parent if workers else None,
    )
    for batch in _from_workers(batches) if workers else batches:
        if isinstance(batch, Exception):
            raise batch
        yield batch


def _from_workers(batches: DataLoader[Batch | Exception]) -> Iterator[Batch | Exception]:
    """What processes make; they end with the iterator."""
    try:
        iterator = _start(batches)
    except OSError as error:
        raise VieError(
            f"cannot start {batches.num_workers} processes that load data ({error}). {ADVICE}"
        ) from error
    watch = Watch(iterator._workers)
    try:
        while True:
            watch.check()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            except Exception:  # torch's own, or of a connection, if a worker has died
                watch.check(patience=1)
                raise
            yield batch
    finally:
        if watch.problem:  # its clean-up could wait for ever for what the dead worker has held
            _left_alone.append(iterator)
        watch.close()


_left_alone: list[Any] = []


def _start(batches: DataLoader[Batch | Exception]) -> Any:
    """torch's iterator over what processes make.

    torch handles SIGCHLD from the first one on: it raises in the middle of whatever the main thread
    does when a worker ends. `Watch` notices as well, and torch's handler is taken out.
    """
    before = signal.getsignal(signal.SIGCHLD)
    with held_back(*LEFT_TO_PARENT):
        iterator = iter(batches)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
    return iterator


def video_batches(videos: np.ndarray, clips: int, at_most: int = 128) -> list[np.ndarray]:
    """Videos (V,) in order, in batches of about `at_most` clips: keys of `TestClips`."""
    size = max(1, at_most // clips)
    return [videos[i : i + size] for i in range(0, len(videos), size)]
