"""The stand-ins for UCF101 and HMDB51: what they show, and that the real readers read them."""

import collections
import subprocess

import numpy as np
import pytest

from vie.datasets.layouts import LAYOUTS
from vie.datasets.synthetic import actions, appearance
from vie.datasets.synthetic.action_files import FILMS, WRITERS
from vie.datasets.synthetic.actions import HMDB51, UCF101, render_action
from vie.datasets.synthetic.render import CLASSES, FRAMES, HEIGHT, WIDTHS
from vie.frames.ffmpeg import FrameSettings, extract_jpegs, ffmpeg_executable
from vie.frames.unusable import UnusableVideoError

SETTINGS = {"dataset_seed": 3, "train_groups": 2, "test_groups": 1, "clips_per_group": 2}
FRAME = {"fps": 25, "shorter_side": 80, "quality": 3, "timeout_seconds": 30, "max_seconds": 9}


def bright(frames):
    """(T,) number of pixels that are clearly brighter than the background, and their mean row."""
    luma = frames.astype(np.float64).mean(3)
    weight = luma - np.median(luma, axis=(1, 2), keepdims=True) > 60
    rows = np.arange(luma.shape[1])[None, :, None]
    count = weight.sum((1, 2))
    return count, (weight * rows).sum((1, 2)) / count


def test_classes_are_not_those_of_pretraining():
    assert not set(actions.FIGURES) & set(appearance.FIGURES)
    labels = [action.label for action in (*UCF101, *HMDB51)]
    assert len(set(labels)) == len(labels) == 18
    assert not set(labels) & set(CLASSES)


@pytest.mark.parametrize("action", [*UCF101, *HMDB51], ids=lambda action: action.label)
def test_motion_is_the_one_named(action):
    changes = []
    for clip in range(3):
        frames = render_action(action, "test", 5, 100, clip)
        assert FRAMES[0] <= len(frames) <= FRAMES[1]
        assert frames.shape[1] == HEIGHT
        assert frames.shape[2] in WIDTHS
        area, row = bright(frames)
        third = len(area) // 3
        grows = np.log(area[-third:].mean() / area[:third].mean())
        falls = row[-third:].mean() - row[:third].mean()
        changes.append(grows if action.motion in ("approaching", "receding") else falls / 20)
    sign = 1 if action.motion in ("approaching", "sinking") else -1
    assert sign * np.mean(changes) > 0.25


def test_clips_of_a_group_share_their_figure_and_differ_otherwise():
    one, two = (render_action(UCF101[0], "test", 1, 7, clip) for clip in (0, 1))
    other = render_action(UCF101[0], "test", 1, 8, 0)
    again = render_action(UCF101[0], "test", 1, 7, 0)
    assert np.array_equal(one, again)
    assert one.shape != two.shape or not np.array_equal(one, two)
    # Same group number, clip and path, other figure: only what belongs to the group differs.
    assert other.shape == one.shape
    assert not np.array_equal(other, one)


@pytest.fixture(scope="module", params=["ucf101", "hmdb51"])
def written(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    WRITERS[request.param](SETTINGS, root / "videos", root / "annotations", 2)
    return request.param, root


def test_the_readers_of_the_real_datasets_read_them(written):
    name, root = written
    layout = LAYOUTS[name]
    videos = layout.read(root / "videos", root / "annotations", "all")
    layout.compare(root / "videos", videos)
    classes = {"ucf101": 10, "hmdb51": 8}[name]
    groups = 3 + (name == "hmdb51")  # HMDB51's splits leave some videos out
    assert len(videos) == classes * groups * 2
    tested = []
    for number in (1, 2, 3):
        members = layout.assign(videos, root / "annotations", number)
        counts = collections.Counter(member.subset for member in members)
        assert counts == {"train": classes * 4, "test": classes * 2}
        by_group = collections.defaultdict(set)
        for member in members:
            by_group[member.group].add(member.subset)
        assert all(len(parts) == 1 for parts in by_group.values())
        tested.append({m.video for m in members if m.subset == "test"})
    assert not tested[0] & tested[1]
    assert not tested[1] & tested[2]


def test_names_are_awkward_where_the_real_ones_are(written):
    name, root = written
    files = [path.name for path in (root / "videos").rglob("*.avi")]
    if name == "ucf101":
        assert (root / "annotations" / "trainlist01.txt").read_bytes().count(b"\r\n") == 40
        spelt = {path.name.split("_")[1] for path in (root / "videos" / UCF101[0].label).iterdir()}
        assert spelt == {"Approachingbell"} != {UCF101[0].label}
    else:
        for letter in "#&;()[]'$%!~^+=@,{}":
            assert any(letter in film for film in FILMS), letter
        assert any(letter in file for file in files for letter in "#&;()[]'")


def test_files_are_mpeg4_in_avi_and_one_is_broken(written):
    _, root = written
    broken = []
    for path in sorted((root / "videos").rglob("*.avi")):
        assert path.read_bytes()[8:12] == b"AVI "
        try:
            frames = extract_jpegs(path, FrameSettings(**FRAME))
        except UnusableVideoError as error:
            broken.append(str(error))
            continue
        assert FRAMES[0] <= len(frames.jpegs) <= FRAMES[1]
    assert len(broken) == 1
    assert "truncated" in broken[0]
    argv = [ffmpeg_executable(), "-hide_banner", "-i", str(path)]
    shown = subprocess.run(argv, capture_output=True, text=True, check=False).stderr
    assert "Video: mpeg4" in shown


@pytest.mark.slow
def test_same_bytes_twice(written, tmp_path):
    name, root = written
    WRITERS[name](SETTINGS, tmp_path / "videos", tmp_path / "annotations", 1)
    for path in root.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(root)).read_bytes()
