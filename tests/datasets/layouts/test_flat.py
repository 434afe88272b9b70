import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vie.datasets.finding import Found
from vie.datasets.layouts.flat import FlatSettings, cut_up, recordings, validation
from vie.runtime.errors import VieError


def videos(*paths):
    return [Found(path, path) for path in paths]


def val(found, share=0.1, seed=0):
    return validation(found, FlatSettings(None, share, seed))


@given(
    length=st.floats(0.1, 5000),
    seconds=st.integers(1, 60),
    overlap=st.integers(0, 59),
)
def test_pieces_are_of_one_length_and_nothing_is_lost(length, seconds, overlap):
    overlap = min(overlap, seconds - 1)
    pieces = cut_up(Found("a.mp4", "a.mp4"), length, {"seconds": seconds, "overlap": overlap})
    if len(pieces) == 1:
        assert (pieces[0].start, pieces[0].end, pieces[0].id) == (0, 0, "a.mp4")
        assert length < 1.5 * seconds
        return
    assert pieces[0].start == 0
    assert length <= pieces[-1].end < length + 1
    assert all(one.end - one.start == seconds for one in pieces[:-1])
    assert 0.5 * seconds - 1e-6 <= length - pieces[-1].start < 1.5 * seconds + 1e-6
    for one, after in itertools.pairwise(pieces):
        assert one.end - after.start == overlap
    assert len({one.id for one in pieces}) == len(pieces)


def test_a_row_of_a_list_is_cut_within_its_times():
    row = Found("a.mp4@5.5-30.25", "a.mp4", "run", 5.5, 30.25)
    pieces = cut_up(row, 30.25, {"seconds": 10, "overlap": 0})
    assert [(one.start, one.end) for one in pieces] == [(5.5, 15.5), (15.5, 30.25)]
    assert {one.label for one in pieces} == {"run"}


def test_recordings_by_name_by_format_and_by_folder():
    names = ["talk_part1.mp4", "talk_part2.mp4", "v_Run_g01_c01.avi", "v_Run_g01_c02.avi"]
    names += ["X_000010_000020.mp4", "X_000030_000040.mp4", "film.mp4", "film.webm"]
    names += ["video_001.mp4", "video_002.mp4", "clip 3.mp4", "clip 4.mp4"]
    of = recordings(videos(*names))
    pairs = [of[names[i]] == of[names[i + 1]] for i in range(0, len(names), 2)]
    assert pairs == [True, True, True, True, False, False]
    # The same names in another folder are other recordings.
    assert of["film.mp4"] != recordings(videos("b/film.mp4"))["b/film.mp4"]
    many = videos(*(f"day{i}/{j}.mp4" for i in range(12) for j in range(5)))
    assert set(recordings(many).values()) == {f"day{i}" for i in range(12)}
    # With labels a folder is mostly a class.
    assert len(set(recordings([one._replace(label="x") for one in many]).values())) == 60


def test_every_class_is_trained_and_validated_on():
    found = [
        Found(f"class{i}/{j}.mp4", f"class{i}/{j}.mp4", f"class {i}")
        for i in range(20)
        for j in range(10)
    ]
    chosen, _ = val(found)
    assert len(chosen) == 20
    assert {one.label for one in found if one.id in chosen} == {one.label for one in found}
    single = [Found(f"{i}.mp4", f"{i}.mp4", f"class {i}") for i in range(4)]
    with pytest.raises(VieError, match="every class has a single recording"):
        val(single)


@given(
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=30),
    share=st.floats(0.02, 0.9),
    seed=st.integers(0, 5),
)
def test_validation_takes_whole_recordings(sizes, share, seed):
    found = videos(*(f"r{i}_part{j}.mp4" for i, n in enumerate(sizes) for j in range(n)))
    chosen, left_out = val(found, share, seed)
    assert (chosen, left_out) == val(found[::-1], share, seed)
    of = recordings(found)
    assert not {of[one] for one in chosen} & {of[v.id] for v in found if v.id not in chosen}
    assert 0 < len(chosen) < len(found)
    assert not left_out
    if len(chosen) != min(sizes):  # else all were too large, and the smallest was taken
        assert len(chosen) <= share * len(found) + max(sizes) / 2


def test_validation_depends_on_the_seed_and_has_about_its_share():
    found = videos(*(f"{i}.mp4" for i in range(1000)))
    first, second = val(found)[0], val(found, seed=1)[0]
    assert len(first) == len(second) == 100
    assert 0 < len(first & second) < 40


def test_more_videos_change_little_of_the_draw():
    found = videos(*(f"{i}.mp4" for i in range(200)))
    before, after = val(found)[0], val([*found, *videos("new.mp4")])[0]
    assert len(before & after) >= len(before) - 1


def test_one_recording_gives_its_end_and_shares_no_second():
    pieces = cut_up(Found("a.mp4", "a.mp4"), 100, {"seconds": 10, "overlap": 4})
    chosen, left_out = val(pieces, 0.2)
    first = min(one.start for one in pieces if one.id in chosen)
    trained = [one for one in pieces if one.id not in chosen | left_out]
    assert len(chosen) == round(0.2 * len(pieces))
    assert left_out
    assert trained
    assert all(one.end <= first for one in trained)


def test_a_whole_file_overlaps_with_its_pieces():
    pieces = [Found("a.mp4@0-10", "a.mp4", "", 0, 10), Found("a.mp4@10-20", "a.mp4", "", 10, 20)]
    with pytest.raises(VieError, match="share seconds with those that would validate"):
        val([Found("a.mp4", "a.mp4"), pieces[1]])
    assert val([Found("a.mp4", "a.mp4"), *pieces])[1] == {"a.mp4"}


def test_a_single_video_is_an_error():
    with pytest.raises(VieError, match="a single video cannot be divided"):
        val(videos("a.mp4"))
