"""What holds of clip sampling whatever its numbers and the video's length are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vie.clips.sampling import Sampling
from vie.clips.windows import windows


@st.composite
def samplings(draw):
    """Any sampling by stride and bins, or by windows."""
    frames = draw(st.integers(1, 20))
    if draw(st.booleans()):
        lengths = draw(st.lists(st.integers(frames, 40), min_size=1, max_size=3))
        return Sampling(frames, windows=tuple(lengths))
    stride = draw(st.one_of(st.integers(1, 20), st.fractions(1, 20, max_denominator=16)))
    return Sampling(frames, float(stride), draw(st.integers(1, int(stride))))


lengths, seeds = st.integers(1, 300), st.integers(0, 2**32 - 1)


@given(samplings(), lengths, seeds)
def test_training_clips_lie_inside_the_video(sampling, n_frames, seed):
    motion = np.random.default_rng(seed).uniform(0, 1, n_frames)
    clip = sampling.train(n_frames, np.random.default_rng(seed), motion)
    assert clip.shape == (sampling.frames,)
    assert clip.dtype == np.int64
    assert ((clip >= 0) & (clip < n_frames)).all()
    if n_frames >= sampling.span:  # nothing wraps
        assert (np.diff(clip) >= 0).all()
        assert clip[-1] - clip[0] < sampling.span


@given(samplings(), lengths, st.integers(1, 10))
def test_test_clips_start_first_and_end_last(sampling, n_frames, clips):
    found = sampling.test(n_frames, clips)
    assert found.shape == (clips, sampling.frames)
    assert ((found >= 0) & (found < n_frames)).all()
    if clips > 1 and n_frames >= sampling.span:
        steps = found - found[:, :1]
        assert (steps == steps[0]).all()  # one clip, moved
        assert (np.diff(found[:, 0]) >= 0).all()
        assert found[-1, 0] - found[0, 0] == n_frames - sampling.span
        assert np.ptp(np.diff(found[:, 0])) <= 1  # evenly


@given(samplings(), lengths)
def test_one_clip_is_the_middle_of_the_many(sampling, n_frames):
    one, three = sampling.test(n_frames, 1), sampling.test(n_frames, 3)
    np.testing.assert_array_equal(one[0], three[1])


@given(samplings(), lengths, st.integers(1, 40))
def test_windows_leave_no_frame_out(sampling, n_frames, window):
    """Found by their places: each is a clip of one and the same shape, at most a window apart."""
    found = windows(sampling, n_frames, window)
    length = max(window, sampling.span)
    assert len(found) == max(1, -(-n_frames // length))
    assert ((found >= 0) & (found < n_frames)).all()
    if n_frames >= length:
        starts = found[:, 0] - found[0, 0]
        assert (np.diff(starts) <= length).all()
        assert starts[-1] == n_frames - length  # the last window ends with the video
