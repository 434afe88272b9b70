"""Instances that are not whole videos: which there are, and that their frames are the videos'."""

import numpy as np
import pytest

from vie.frames.index import PARTS, load_index
from vie.frames.instances import instances_of, write_instances
from vie.frames.motion import Motion
from vie.frames.parquet import read_table, write_array, write_table
from vie.runtime.errors import VieError


@pytest.mark.parametrize(
    ("frames", "window", "lengths"),
    [
        (250, 52, [52, 52, 52, 52, 42]),  # Kinetics, section 11 of the protocol
        (250, 130, [130, 120]),
        (100, 40, [40, 40, 20]),  # half a window is one
        (99, 40, [40, 40]),  # less is none
        (15, 40, [15]),  # a short video is an instance
        (40, 40, [40]),
    ],
)
def test_windows_of_a_video(frames, window, lengths):
    videos, first, counts = instances_of(np.array([frames]), {"frames": window})
    assert counts.tolist() == lengths
    assert first.tolist() == [window * i for i in range(len(lengths))]
    assert not videos.any()


def test_a_smaller_share_is_part_of_a_larger_one():
    n_frames = np.arange(3, 203)
    few, more = (instances_of(n_frames, {"share": share})[0] for share in (0.3, 0.7))
    assert (len(few), len(more)) == (60, 140)
    assert set(few) < set(more)
    assert sorted(few) == few.tolist()
    assert few.tolist() != list(range(60))
    assert len(instances_of(n_frames[:2], {"share": 0.01})[0]) == 1
    both = instances_of(n_frames, {"share": 0.3, "frames": 20})
    assert set(both[0]) == set(few)
    for video in few:
        mine = both[0] == video
        assert both[2][mine].tolist() == instances_of(n_frames[[video]], {"frames": 20})[2].tolist()


@pytest.mark.parametrize(
    "settings", [{"share": 0.5}, {"frames": 7}, {"share": 0.7, "frames": 10}], ids=str
)
def test_frames_are_those_of_the_videos(small_dataset, tmp_path, settings):
    """Read through either index, byte by byte; also from another folder, and the motion."""
    source = small_dataset / "train" / "index.parquet"
    out = small_dataset / "train" / "instances" / tmp_path.name / "index.parquet"
    write_instances(source, out, settings)
    whole, parts = load_index(source), load_index(out)
    rows = {video: i for i, video in enumerate(whole.videos.to_pylist())}
    videos, first, counts = instances_of(whole.n_frames, settings)
    assert [rows[video] for video in parts.videos.to_pylist()] == videos.tolist()
    values = np.random.default_rng(0).uniform(size=len(whole.jpegs)).astype(np.float32)
    write_array(values, tmp_path / "motion.npy", whole.seal)
    moves = [Motion(tmp_path / "motion.npy", index) for index in (whole, parts)]
    for i, (video, start, count) in enumerate(zip(videos, first, counts, strict=True)):
        inside = np.arange(count)
        expected = whole.read_frames(video, start + inside)
        assert parts.read_frames(i, inside) == expected
        assert parts.labels[i] == whole.labels[video]
        assert moves[1].of(i).tolist() == moves[0].of(video)[start : start + count].tolist()
        with pytest.raises(VieError, match=rf"has frames 0\.\.{count - 1}"):
            parts.read_frames(i, [count])
    assert (parts.fps, parts.shorter_side) == (whole.fps, whole.shorter_side)
    assert len(parts.read_frames(0, [0, 0])) == 2


def test_an_index_that_was_made_again_is_noticed(small_dataset, tmp_path):
    source = small_dataset / "train" / "index.parquet"
    out = tmp_path / "index.parquet"
    write_instances(source, out, {"frames": 9})
    load_index(out)
    sizes = np.load(small_dataset / "train" / "index.sizes.npy")
    np.save(tmp_path / "other.npy", sizes[:-1])
    table = read_table(out, PARTS, "an index")
    metadata = table.schema.metadata | {b"sizes": b"other.npy"}
    write_table(table.replace_schema_metadata(metadata), out)
    with pytest.raises(VieError, match=r"delete .*other\.npy, and run Snakemake again"):
        load_index(out)
