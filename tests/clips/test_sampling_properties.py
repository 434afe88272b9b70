"""What holds of clip sampling whatever its numbers and the video's length are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vie.clips.sampling import Sampling
from vie.clips.windows import WINDOW, windows
from vie.config.clip_frames import TEST_STARTS


@st.composite
def samplings(draw):
    """Any sampling by stride and bins, or by windows."""
    frames = draw(st.integers(1, 20))
    if draw(st.booleans()):
        lengths = draw(st.lists(st.integers(frames, 40), min_size=1, max_size=3))
        return Sampling(frames, windows=tuple(lengths))
    stride = draw(st.one_of(st.integers(1, 20), st.fractions(1, 20, max_denominator=16)))
    bin_, starts = draw(st.integers(1, int(stride))), draw(st.sampled_from(sorted(TEST_STARTS)))
    return Sampling(frames, float(stride), bin_, test_starts=starts)


def long_enough(sampling, n_frames):
    """Whether nothing wraps: clips of "ends" take a stride after their last frame too."""
    taken = sampling.frames * sampling.stride if sampling.test_starts == "ends" else sampling.span
    return n_frames > max(taken, sampling.span)


lengths, seeds = st.integers(1, 300), st.integers(0, 2**32 - 1)


@given(samplings(), lengths, seeds)
def test_training_clips_lie_inside_the_video(sampling, n_frames, seed):
    motion = np.random.default_rng(seed).uniform(0, 1, n_frames)
    clip = sampling.train(n_frames, np.random.default_rng(seed), motion)
    assert clip.shape == (sampling.frames,)
    assert clip.dtype == np.int64
    assert ((clip >= 0) & (clip < n_frames)).all()
    if long_enough(sampling, n_frames):
        assert (np.diff(clip) >= 0).all()
        assert clip[-1] - clip[0] < sampling.span


@given(samplings(), lengths, st.integers(2, 10))
def test_test_clips_are_one_clip_moved_evenly(sampling, n_frames, clips):
    found = sampling.test(n_frames, clips)
    assert found.shape == (clips, sampling.frames)
    assert ((found >= 0) & (found < n_frames)).all()
    enough = clips * sampling.frames * sampling.stride  # so many that no clip of "ends" wraps
    if sampling.bin == 1 and n_frames > enough:
        assert (np.abs(np.diff(found, axis=0) - np.diff(found[:, :1], axis=0)) <= 1).all()
        assert np.ptp(np.diff(found[:, 0])) <= 1
    if sampling.bin > 1 and n_frames > enough:
        assert (np.diff(found[:, 0]) % int(sampling.stride) == 0).all()


@given(samplings(), lengths)
def test_clips_lie_in_the_middle(sampling, n_frames):
    """As many frames before the middle one of three as after it, but for what rounds."""
    found = sampling.test(n_frames, 3)[1]
    spread = sampling.bin == 1 and (sampling.frames > 1 or not sampling.windows)
    if spread and n_frames > 3 * sampling.frames * sampling.stride:
        after = n_frames - 1 - found[-1]
        slack = sampling.stride + 2 if sampling.test_starts == "ends" else 2
        assert abs(found[0] - after) <= slack


@given(samplings(), lengths)
def test_windows_leave_no_frame_out(sampling, n_frames):
    """Found by their places: each is a clip of one and the same shape, at most a window apart."""
    found = windows(sampling, n_frames)
    length = max(WINDOW, sampling.span)
    assert len(found) == max(1, -(-n_frames // length))
    assert ((found >= 0) & (found < n_frames)).all()
    if n_frames >= length:
        starts = found[:, 0] - found[0, 0]
        assert (np.diff(starts) <= length).all()
        assert starts[-1] == n_frames - length  # the last window ends with the video
