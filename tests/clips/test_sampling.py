"""Clip sampling against the protocol's tables, written out frame by frame."""

import collections

import numpy as np
import pytest

from vie.clips.sampling import SAMPLINGS, Sampling, sampling, wrap
from vie.runtime.errors import VieError

# Every clip that a kind may take from a video of n frames, from the words of protocol section 2.
# A clip of "ends" takes as many frames as it has, times the spacing.
EVERY_CLIP = {
    "single": lambda n: [(f,) for f in range(n)],
    "slow": lambda n: [(s, s + 16, s + 32, s + 48) for s in range(n - 48)],
    "slowfast": lambda n: [tuple(range(s, s + 61, 4)) for s in range(n - 64)],
    "3dresnet": lambda n: [tuple(range(s, s + 16)) for s in range(n - 16)],
}


@pytest.mark.parametrize("kind", EVERY_CLIP)
@pytest.mark.parametrize("n_frames", [67, 80])
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


def test_trn_takes_one_frame_of_each_bin_of_a_fixed_grid():
    rng, n_frames = np.random.default_rng(1), 65  # bins at 0, 12, ... 60: the last has 5 frames
    clips = np.stack([SAMPLINGS["trn"].train(n_frames, rng) for _ in range(9000)])
    bins = clips // 12
    assert (np.diff(bins, axis=1) == 1).all()
    first = np.bincount(bins[:, 0])
    assert len(first) == 3  # of 6 bins, the first three can be the first of four
    assert abs(first - 3000).max() < 5 * np.sqrt(3000)
    # Within a bin every frame is as likely as the others, and independent of the other bins.
    assert abs((clips[:, 0] % 12).mean() - 5.5) < 0.2
    assert abs(np.diff(clips, axis=1)[:, 0].mean() - 12) < 0.3
    assert np.diff(clips, axis=1).min() == 1
    assert clips.max() == 64


def test_trn_tests_the_middle_of_each_bin():
    clips = SAMPLINGS["trn"].test(48, 1)
    assert clips.tolist() == [[6, 18, 30, 42]]


# First frames of five clips of 250, as the release's own loader gave them (protocol section 2).
FIRST = {
    "single": [25, 75, 125, 175, 225],
    "trn": [42, 78, 114, 150, 186],
    "slow": [33, 67, 101, 134, 168],
    "slowfast": [0, 64, 128, 192, 6],
    "3dresnet": [0, 58, 117, 175, 234],
}


@pytest.mark.parametrize("kind", FIRST)
def test_test_clips_start_where_the_releases_do(kind):
    clips = SAMPLINGS[kind].test(250, 5)
    assert clips.shape == (5, SAMPLINGS[kind].frames)
    assert clips[:, 0].tolist() == FIRST[kind]


@pytest.mark.parametrize("n_frames", [100, 250, 299, 1000])
@pytest.mark.parametrize("clips", [2, 3, 10])
def test_test_clips_by_the_protocols_formulas(n_frames, clips):
    """In whole numbers, which round once."""
    c = np.arange(clips)
    found = {kind: SAMPLINGS[kind].test(n_frames, clips) for kind in FIRST}
    assert (found["single"][:, 0] == n_frames * (2 * c + 1) // (2 * clips)).all()
    slow = (n_frames - 48) * (c + 1) // (clips + 1)
    assert (found["slow"] == slow[:, None] + [0, 16, 32, 48]).all()
    for kind, frames, stride in (("slowfast", 16, 4), ("3dresnet", 16, 1)):
        length = max(n_frames, clips * frames * stride)
        starts = (length - frames * stride) * c // (clips - 1)
        expected = (starts[:, None] + np.arange(frames) * stride) % n_frames
        assert (found[kind] == expected).all()
    first = (-(-n_frames // 12) - 3) // (clips + 1) * (c + 1)
    low = 12 * (first[:, None] + np.arange(4))
    assert (found["trn"] == (low + np.minimum(low + 12, n_frames)) // 2).all()


@pytest.mark.parametrize("kind", SAMPLINGS)
def test_one_clip_lies_in_the_middle(kind):
    chosen = SAMPLINGS[kind]
    [clip] = chosen.test(251, 1)
    assert abs((clip[0] + clip[-1]) / 2 - 125) <= max(1, chosen.bin)


def test_3drotnet_sees_16_frames_a_second():
    clip = SAMPLINGS["3dresnet_16fps"].test(250, 1)[0]
    assert len(clip) == 16
    assert abs((clip[-1] - clip[0]) / 15 - 25 / 16) < 1 / 15
    assert set(np.diff(clip).tolist()) == {1, 2}


@pytest.mark.parametrize(
    ("kind", "n_frames"),
    [
        (k, n)
        for k, last in (("slow", 48), ("slowfast", 64), ("3dresnet", 16))
        for n in (3, 16, last)
    ],
)
def test_short_videos_are_looped_from_any_frame(kind, n_frames):
    chosen, rng = SAMPLINGS[kind], np.random.default_rng(2)
    offsets = np.arange(chosen.frames) * int(chosen.stride)
    seen = set()
    for _ in range(40 * n_frames):
        clip = chosen.train(n_frames, rng)
        assert (clip == (clip[0] + offsets) % n_frames).all()
        seen.add(int(clip[0]))
    # The release repeats the video until it is longer than what a clip takes.
    taken = 48 if kind == "slow" else chosen.frames * int(chosen.stride)
    assert seen == set(range(n_frames - taken % n_frames))
    clips = chosen.test(n_frames, 5)
    assert (clips == (clips[:, :1] + offsets) % n_frames).all()


@pytest.mark.parametrize("n_frames", [3, 4, 7, 30, 47])
def test_short_videos_have_smaller_bins(n_frames):
    chosen, rng = SAMPLINGS["trn"], np.random.default_rng(2)
    drawn = np.stack([chosen.train(n_frames, rng) for _ in range(200)])
    assert drawn.min() >= 0
    assert drawn.max() < n_frames
    if n_frames > 4:
        assert (np.diff(drawn // (n_frames // 4), axis=1) == 1).all()
    assert chosen.test(n_frames, 5).max() < n_frames


def test_loop_by_example():
    assert wrap(np.array([0, 2, 3, 7]), 3).tolist() == [0, 2, 0, 1]


def test_own_sampling_and_errors():
    assert sampling({"frames": 8, "stride": 8}) == Sampling(8, 8)
    with pytest.raises(VieError, match="'fast' is unknown; known: single"):
        sampling("fast")
    with pytest.raises(VieError, match="bin must fit"):
        Sampling(4, 2, bin=3)
    with pytest.raises(VieError, match="test_starts 'middle': use one of: inside, ends, parts"):
        Sampling(4, test_starts="middle")


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
    # Testing: the longest window, evenly spaced inside.
    assert SAMPLINGS["opn"].test(27, 3).tolist() == [[s, s + 5, s + 10, s + 15] for s in (3, 6, 9)]


def test_windows_are_drawn_in_proportion_to_the_motion_inside_them():
    rng, n_frames, window = np.random.default_rng(4), 24, 10
    motion = np.random.default_rng(0).uniform(0, 1, n_frames) ** 3
    chosen = Sampling(4, windows=(window,))
    draws = 40_000
    starts = collections.Counter(int(chosen.train(n_frames, rng, motion)[0]) for _ in range(draws))
    # Window s has the frames s ... s + 9 and the motion from each to the next inside it.
    inside = [sum(motion[t] for t in range(s, s + window - 1)) for s in range(15)]
    above = np.array(inside) - min(inside)  # the window where least moves is never drawn
    expected = above / above.sum() * draws
    found = np.array([starts[s] for s in range(15)])
    assert found.sum() == draws
    assert found[expected == 0].sum() == 0
    found, expected = found[expected > 0], expected[expected > 0]
    chi2 = ((found - expected) ** 2 / expected).sum()
    assert chi2 < 13 + 5 * np.sqrt(2 * 13)


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
