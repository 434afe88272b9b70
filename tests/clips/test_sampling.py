"""Clip sampling against the protocol's table, written out frame by frame."""

import collections

import numpy as np
import pytest

from vie.clips.sampling import SAMPLINGS, Sampling, sampling, wrap
from vie.runtime.errors import VieError

# Every clip that a kind may take from a video of n frames, from the words of protocol section 2.
EVERY_CLIP = {
    "single": lambda n: [(f,) for f in range(n)],
    "slow": lambda n: [(s, s + 16, s + 32, s + 48) for s in range(n - 48)],
    "slowfast": lambda n: [tuple(range(s, s + 61, 4)) for s in range(n - 60)],
    "3dresnet": lambda n: [tuple(range(s, s + 16)) for s in range(n - 15)],
}


@pytest.mark.parametrize("kind", EVERY_CLIP)
@pytest.mark.parametrize("n_frames", [61, 70])
def test_train_clips_are_uniform_over_all_valid_ones(kind, n_frames):
    expected = EVERY_CLIP[kind](n_frames)
    rng = np.random.default_rng(0)
    draws = 400 * len(expected)
    counts = collections.Counter(
        tuple(SAMPLINGS[kind].train(n_frames, rng).tolist()) for _ in range(draws)
    )
    assert set(counts) == set(expected)
    chi2 = sum((counts[clip] - 400) ** 2 / 400 for clip in expected)
    degrees = len(expected) - 1
    assert chi2 < degrees + 5 * np.sqrt(2 * degrees) + 5


def test_trn_takes_one_frame_of_each_half_second_bin():
    rng, n_frames = np.random.default_rng(1), 50
    clips = np.stack([SAMPLINGS["trn"].train(n_frames, rng) for _ in range(6000)])
    # Starts 0, 1, 2 are valid: bins of 12 frames follow each other for 48 frames.
    possible = [{s + 12 * b + i for s in range(3) for i in range(12)} for b in range(4)]
    for b in range(4):
        assert set(clips[:, b].tolist()) == possible[b]
    # Within bins the frames are independent: a whole bin apart is only the average.
    assert abs(np.diff(clips, axis=1).mean() - 12) < 0.1
    assert np.diff(clips, axis=1).min() == 1
    assert np.diff(clips, axis=1).max() == 23
    # Frame = start + place in the bin, both uniform: variance (3^2 - 1 + 12^2 - 1) / 12.
    assert abs(clips[:, 0].var() - (8 + 143) / 12) < 0.5


def test_trn_tests_the_middle_of_each_bin():
    clips = SAMPLINGS["trn"].test(48, 1)
    assert clips.tolist() == [[6, 18, 30, 42]]


@pytest.mark.parametrize("kind", SAMPLINGS)
def test_test_clips_are_evenly_spaced_from_the_first_frame_to_the_last(kind):
    chosen, n_frames = SAMPLINGS[kind], 250
    clips = chosen.test(n_frames, 5)
    assert clips.shape == (5, chosen.frames)
    starts = clips[:, 0] - chosen.bin // 2
    assert starts[0] == 0
    assert starts[-1] == n_frames - chosen.span
    assert np.ptp(np.diff(starts)) <= 1
    assert clips.max() < n_frames


def test_3drotnet_sees_16_frames_a_second():
    clip = SAMPLINGS["3dresnet_16fps"].test(250, 1)[0]
    assert len(clip) == 16
    assert abs((clip[-1] - clip[0]) / 15 - 25 / 16) < 1 / 15
    assert set(np.diff(clip).tolist()) == {1, 2}


@pytest.mark.parametrize(
    ("kind", "n_frames"),
    [(k, n) for k, chosen in SAMPLINGS.items() for n in (3, 17, 47) if chosen.span > n],
)
def test_short_videos_are_looped(kind, n_frames):
    chosen = SAMPLINGS[kind]
    rng = np.random.default_rng(2)
    clip = chosen.train(n_frames, rng, np.ones(n_frames))
    assert clip.min() >= 0
    assert clip.max() < n_frames
    assert np.array_equal(chosen.test(n_frames, 5)[0], chosen.test(n_frames, 5)[4])
    if chosen.bin == 1 and not chosen.windows:  # without chance: the start is 0
        frames = np.tile(np.arange(n_frames), 100)
        assert np.array_equal(
            clip, frames[np.floor(np.arange(chosen.frames) * chosen.stride).astype(int)]
        )


def test_loop_by_example():
    assert wrap(np.array([0, 2, 3, 7]), 3).tolist() == [0, 2, 0, 1]


def test_own_sampling_and_errors():
    assert sampling({"frames": 8, "stride": 8}) == Sampling(8, 8)
    with pytest.raises(VieError, match="'fast' is unknown; known: single"):
        sampling("fast")
    with pytest.raises(VieError, match="bin must fit"):
        Sampling(4, 2, bin=3)


def test_opn_spreads_four_frames_over_a_window_of_10_or_16():
    rng, n_frames = np.random.default_rng(3), 40
    clips = np.stack(
        [SAMPLINGS["opn"].train(n_frames, rng, np.ones(n_frames)) for _ in range(4000)]
    )
    steps = np.diff(clips, axis=1)
    assert (steps == steps[:, :1]).all()
    assert set(steps[:, 0].tolist()) == {3, 5}
    assert abs((steps[:, 0] == 3).mean() - 0.5) < 0.05
    assert clips.min() == 0
    assert clips.max() == 39
    # Testing: the longest window, evenly spaced starts.
    assert SAMPLINGS["opn"].test(26, 3).tolist() == [[s, s + 5, s + 10, s + 15] for s in (0, 5, 10)]


def test_windows_are_drawn_in_proportion_to_the_motion_inside_them():
    rng, n_frames, window = np.random.default_rng(4), 24, 10
    motion = np.random.default_rng(0).uniform(0, 1, n_frames) ** 3
    chosen = Sampling(4, windows=(window,))
    draws = 40_000
    starts = collections.Counter(int(chosen.train(n_frames, rng, motion)[0]) for _ in range(draws))
    # Window s has the frames s ... s + 9 and the motion from each to the next inside it.
    inside = [sum(motion[t] for t in range(s, s + window - 1)) for s in range(15)]
    expected = np.array(inside) / sum(inside) * draws
    found = np.array([starts[s] for s in range(15)])
    assert found.sum() == draws
    chi2 = ((found - expected) ** 2 / expected).sum()
    assert chi2 < 14 + 5 * np.sqrt(2 * 14)


@pytest.mark.parametrize(("frames", "window"), [(12, 16), (12, 31), (8, 62), (4, 16)])
def test_a_window_is_spread_from_its_first_frame_to_its_last(frames, window):
    chosen = Sampling(frames, windows=(window,))
    expected = [i * (window - 1) // (frames - 1) for i in range(frames)]
    assert chosen.test(window, 1)[0].tolist() == expected
    drawn = chosen.train(window, np.random.default_rng(0), np.ones(window))
    assert drawn.tolist() == expected
    assert (expected[0], expected[-1]) == (0, window - 1)


def test_windows_where_nothing_moves_and_where_the_video_is_short():
    rng = np.random.default_rng(5)
    still = {int(SAMPLINGS["opn"].train(12, rng, np.zeros(12))[0]) for _ in range(300)}
    assert still == {0, 1, 2}  # windows of 10 in 12 frames; a window of 16 loops from 0
    with pytest.raises(VieError, match="motion of the video is not known"):
        SAMPLINGS["opn"].train(30, rng)
    for wrong in ({"frames": 4, "windows": [3]}, {"frames": 4, "windows": [9], "stride": 2}):
        with pytest.raises(VieError, match="a window takes the place of stride and bin"):
            sampling(wrong)
