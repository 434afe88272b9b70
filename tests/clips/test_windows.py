"""Consecutive windows over whole videos."""

import numpy as np
import pytest
import torch

from vie.clips.crops import RandomResizedCrop
from vie.clips.loader import load_clip, loader
from vie.clips.sampling import SAMPLINGS, Sampling
from vie.clips.transform import ClipTransform
from vie.clips.windows import WindowClips, window_batches, window_counts, windows
from vie.frames.index import load_index


def test_sixteen_consecutive_frames():
    found = windows(SAMPLINGS["3dresnet"], 48)
    assert found.tolist() == [list(range(16)), list(range(16, 32)), list(range(32, 48))]


def test_what_is_left_over_is_covered_by_a_window_that_ends_with_the_video():
    found = windows(SAMPLINGS["3dresnet"], 41)
    assert found[:2].tolist() == [list(range(16)), list(range(16, 32))]
    assert found[2].tolist() == list(range(25, 41))


def test_a_short_video_is_looped():
    assert windows(SAMPLINGS["3dresnet"], 5).tolist() == [[*range(5), *range(5), *range(5), 0]]


@pytest.mark.parametrize("name", SAMPLINGS)
@pytest.mark.parametrize("n_frames", [1, 3, 15, 16, 17, 61, 62, 250])
def test_each_window_is_a_clip_and_every_frame_is_near_one(name, n_frames):
    sampling = SAMPLINGS[name]
    found = windows(sampling, n_frames)
    length = max(16, sampling.span)
    assert found.shape[1] == sampling.frames
    assert 0 <= found.min() <= found.max() < n_frames
    expected = max(1, -(-n_frames // length))  # rounded up
    assert len(found) == expected
    if n_frames >= length:
        # Windows in the order of time, and none begins where the one before has not.
        assert (np.diff(found[:, 0]) > 0).all()
        assert (np.diff(found, axis=1) >= 0).all()
    if sampling.frames == 1 and n_frames % 16 == 0:
        assert found[:, 0].tolist() == list(range(8, n_frames, 16))


def test_longer_clips_have_longer_windows():
    sampling = Sampling(frames=8, stride=4)  # spans 29 frames
    assert windows(sampling, 58)[:, 0].tolist() == [0, 29]
    assert windows(sampling, 60)[:, 0].tolist() == [0, 29, 31]


def test_batches_hold_whole_videos_in_order():
    counts, videos = np.array([30, 30, 30, 200, 1, 2]), np.array([5, 9, 2, 7, 0, 1])
    batches = window_batches(counts, videos)
    assert [b.tolist() for b in batches] == [[5, 9], [2], [7], [0, 1]]


def test_clips_are_the_frames_of_the_windows(small_dataset):
    path = small_dataset / "val" / "index.parquet"
    index = load_index(path)
    transform = ClipTransform(SAMPLINGS["slow"], RandomResizedCrop(16, (20, 24), 20), None)
    videos = np.array([6, 1, 3])
    counts = window_counts(index, videos, transform.sampling)
    batches = list(loader(WindowClips(path, transform), window_batches(counts, videos), 0, clips=8))
    instances = torch.cat([batch.instances for batch in batches])
    assert instances.tolist() == np.repeat(videos, counts).tolist()
    clips = torch.cat([batch.clips for batch in batches])
    assert clips.shape == (counts.sum(), 3, 4, 16, 16)
    wanted = windows(transform.sampling, int(index.n_frames[6]))[-1]
    single = load_clip(index, 6, wanted, transform.geometry.centre_crop(), 16)
    assert torch.equal(clips[counts[0] - 1], single)
