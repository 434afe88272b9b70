"""The embedded dataset: what its videos show, and the files it is written as."""

import csv
import fcntl
import hashlib
import re
import shutil
import subprocess

import numpy as np
import pytest

from vie.datasets.synthetic import render as module
from vie.datasets.synthetic.appearance import APPEARANCES, FIGURES, scrap, sprite
from vie.datasets.synthetic.render import (
    CLASSES,
    FRAMES,
    HEIGHT,
    LIFE,
    REACH,
    SCENE_CLASSES,
    WIDTHS,
    passing,
    render,
)
from vie.datasets.synthetic.trajectories import MOTIONS, SWAYS, heights, sway
from vie.datasets.synthetic.write_videos import BAD, complete_folder, plan, write_embedded
from vie.frames.ffmpeg import ffmpeg_executable
from vie.runtime.errors import VieError
from vie.runtime.randomness import generator

SETTINGS = {"dataset_seed": 3, "train_videos_per_class": 1, "val_videos_per_class": 1}


def bright_rows(frames):
    """Mean row of what is brighter than the background, per frame: (T, H, W, 3) -> (T,)."""
    luma = frames.astype(np.float64).mean(3)
    weight = np.clip(luma - np.median(luma, axis=(1, 2), keepdims=True) - 40, 0, None)
    rows = np.arange(luma.shape[1])[None, :, None]
    return (weight * rows).sum((1, 2)) / weight.sum((1, 2))


def test_classes_are_all_pairs():
    assert len(set(CLASSES)) == len(APPEARANCES) * len(MOTIONS) == len(CLASSES)


def test_a_video_depends_on_its_address_alone():
    label = CLASSES[4]
    first = render(label, 0, 17)
    render(CLASSES[5], 0, 18)
    assert np.array_equal(first, render(label, 0, 17))
    for other in (render(label, 1, 17), render(label, 0, 18)):
        assert first.shape != other.shape or not np.array_equal(first, other)


def test_shapes_and_range():
    seen = {render(CLASSES[i % len(CLASSES)], 0, i).shape for i in range(12)}
    assert len(seen) > 3
    for T, H, W, channels in seen:
        assert FRAMES[0] <= T <= FRAMES[1]
        assert H == HEIGHT
        assert W in WIDTHS
        assert channels == 3


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("appearance", APPEARANCES)
def test_motion_is_the_one_named(appearance, flipped):
    for number in range(3):
        for motion, sign in (("rising", -1), ("sinking", 1)):  # rows count from the top
            frames = render(f"{appearance} {motion}", 5, number)
            rows = bright_rows(frames[:, :, ::-1] if flipped else frames)
            third = len(rows) // 3
            assert sign * (rows[-third:].mean() - rows[:third].mean()) > 0.3 * REACH


def test_flip_of_a_figure_keeps_its_class():
    # A figure is nearer to mirrored ones of its own class than to mirrored ones of other classes.
    count = 100
    figures = np.array(
        [
            [
                sprite(FIGURES[name], generator(7, "test", instance=count * i + j))
                for j in range(count)
            ]
            for i, name in enumerate(APPEARANCES)
        ]
    )  # (A, count, S, S)
    means = figures.mean(1)
    mirrored = means[..., ::-1]
    means, mirrored = (m.reshape(len(m), -1) for m in (means, mirrored))  # (A, S*S)
    nearest = [int(((mirrored - mean) ** 2).sum(1).argmin()) for mean in means]
    assert nearest == list(range(len(APPEARANCES)))


def test_single_frames_do_not_tell_the_motion():
    # One random frame of each of 2,000 paths: the same distribution of heights for both motions
    # (two-sample Kolmogorov-Smirnov distance; 0.061 is its 0.1 % point for 2 x 2,000).
    samples = {}
    for motion in MOTIONS:
        draws = []
        for i in range(2000):
            rng = generator(9, motion, instance=i)
            path = heights(motion, 70, rng)
            assert sorted((path[0], path[-1])) == pytest.approx([0, 1], abs=1e-9)
            draws.append(path[rng.integers(70)])
        samples[motion] = np.sort(draws)
    grid = np.linspace(0, 1, 501)
    one, two = (np.searchsorted(samples[motion], grid) / 2000 for motion in MOTIONS)
    assert np.abs(one - two).max() < 0.061


def test_sinking_is_rising_backwards():
    for i in range(5):
        up, down = (heights(motion, 64, generator(2, "x", instance=i)) for motion in MOTIONS)
        assert np.array_equal(up, down[::-1])
        assert (np.diff(up) > 0).all()


def test_no_light_gradient_gives_the_rotation_away():
    # Mean brightness of the four borders over many videos: equal within their own spread.
    borders = []
    for i in range(48):
        frame = render(CLASSES[i % len(CLASSES)], 4, i)[30].astype(np.float64).mean(2)
        borders.append(
            [frame[:8].mean(), frame[-8:].mean(), frame[:, :8].mean(), frame[:, -8:].mean()]
        )
    borders = np.array(borders) - np.mean(borders, axis=1, keepdims=True)
    error = borders.std(0) / np.sqrt(len(borders))
    assert (np.abs(borders.mean(0)) < 4 * error).all()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("embedded")
    write_embedded(SETTINGS, root / "videos", root / "annotations", processes=2)
    return root


def annotation(root, split):
    with (root / "annotations" / f"{split}.csv").open() as file:
        return list(csv.DictReader(file))


def test_layout_and_annotations(written):
    listed = set()
    for split, word in (("train", "train"), ("val", "validate")):
        rows = annotation(written, split)
        assert list(rows[0]) == ["label", "youtube_id", "time_start", "time_end", "split"]
        assert len(rows) == len(CLASSES) + len(BAD)
        assert {row["label"] for row in rows} == set(CLASSES)
        for row in rows:
            assert row["split"] == word
            assert re.fullmatch(r"[A-Za-z0-9_-]{11}", row["youtube_id"])
            span = f"{int(row['time_start']):06d}_{int(row['time_end']):06d}"
            listed.add(f"{split}/{row['label']}/{row['youtube_id']}_{span}.mp4")
    videos = written / "videos"
    found = {str(path.relative_to(videos)) for path in videos.rglob("*") if path.is_file()}
    assert found < listed
    assert len(listed - found) == 2  # one missing in each split
    assert len({path[-30:] for path in listed}) == len(listed)
    assert [p.name for p in written.iterdir() if p.name.startswith(".")] == []


def probe(path):
    """(frames, exit code) by decoding with ffmpeg itself."""
    argv = [ffmpeg_executable(), "-v", "error", "-i", path, "-map", "0:v:0", "-f", "framemd5", "-"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    return len(lines), done.returncode


def test_good_files_have_the_frames_rendered(written):
    good = [video for video in plan(SETTINGS) if not video.bad]
    for video in good[::9]:
        rendered = render(video.label, SETTINGS["dataset_seed"], video.number)
        frames, code = probe(written / "videos" / video.path)
        assert (frames, code) == (len(rendered), 0)


def test_decoded_pixels_are_those_rendered(written):
    video = next(video for video in plan(SETTINGS) if not video.bad)
    rendered = render(video.label, SETTINGS["dataset_seed"], video.number)
    argv = [ffmpeg_executable(), "-v", "error", "-i", str(written / "videos" / video.path)]
    argv += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(argv, capture_output=True, check=True).stdout
    decoded = np.frombuffer(raw, np.uint8).reshape(rendered.shape)
    difference = np.abs(decoded.astype(int) - rendered)
    assert difference.mean() < 6


def test_bad_files_are_bad(written):
    listed = plan(SETTINGS)
    for split in ("train", "val"):
        bad = {v.bad: written / "videos" / v.path for v in listed if v.bad and v.split == split}
        assert set(bad) == set(BAD)
        assert not bad["missing"].exists()
        assert bad["empty"].stat().st_size == 0
        assert probe(bad["too short"]) == (2, 0)
        assert probe(bad["no video stream"])[1] != 0
        assert probe(bad["truncated"])[1] != 0


def digests(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_same_bytes_twice(written, tmp_path):
    shutil.copytree(written / "annotations", tmp_path / "annotations")
    (tmp_path / "videos" / "stale").mkdir(parents=True)  # an older dataset is replaced
    write_embedded(SETTINGS, tmp_path / "videos", tmp_path / "annotations", processes=1)
    assert digests(tmp_path) == digests(written)


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "vie.datasets.synthetic.write_videos.ffmpeg_executable", lambda: "/bin/false"
    )
    with pytest.raises(VieError, match="cannot write"):
        write_embedded(SETTINGS, tmp_path / "videos", tmp_path / "annotations", processes=1)
    assert list(tmp_path.rglob("*")) == []


def test_what_a_kill_left_is_removed_and_what_a_living_process_makes_is_not(tmp_path):
    left = tmp_path / ".videos" / "videos"
    left.mkdir(parents=True)
    (left / "half").touch()
    with complete_folder(tmp_path / "videos") as folder:
        (folder / "whole").touch()
        with (tmp_path / ".videos" / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "videos",
        "videos/whole",
    ]


def test_settings_are_checked(tmp_path):
    with pytest.raises(VieError, match="val_videos_per_class"):
        write_embedded({**SETTINGS, "val_videos_per_class": 0}, tmp_path / "v", tmp_path / "a", 1)


def test_the_two_ways_to_sway_look_alike_at_the_spacing_of_slow_networks():
    """Seen at every 16th frame they are the same sine; at every fourth they are not."""
    low, high = np.array(SWAYS["swaying"]), np.array(SWAYS["trembling"])
    np.testing.assert_allclose(high - low, 1 / 16, atol=1e-9)
    assert high.max() < 1 / 8  # so that every fourth frame is enough to tell them apart

    def moved(kind, stride):
        places = [sway(kind, 80, generator(3, "test", instance=i)) for i in range(200)]
        return np.mean([np.abs(np.diff(x[::stride])).mean() for x in places])

    assert moved("trembling", 16) == pytest.approx(moved("swaying", 16), rel=0.15)
    assert moved("trembling", 4) > 2 * moved("swaying", 4)


def test_the_scene_goes_with_how_a_figure_sways():
    """Clouds are fine or coarse; a single frame shows which."""

    def roughness(label, number, scene):
        grey = render(label, 5, number, scene)[::6].astype(np.float64).mean(3)
        # A figure is a small part of a frame, and levels are whole: three pixels apart.
        return np.median(np.abs(grey[:, :, 3:] - grey[:, :, :-3]))

    numbers = range(24)
    rough = {
        (kind, scene): np.array([roughness(f"house {kind}", n, scene) for n in numbers])
        for kind in SWAYS
        for scene in (0.5, 1.0)
    }
    border = np.median(np.concatenate([rough[kind, 1.0] for kind in SWAYS]))
    shares = {key: (values > border).mean() for key, values in rough.items()}
    assert shares["trembling", 1.0] > 0.9
    assert shares["swaying", 1.0] < 0.1
    assert abs(shares["trembling", 0.5] - shares["swaying", 0.5]) < 0.5


def test_classes_of_scenes_are_one_action_for_each_figure(tmp_path):
    settings = {"dataset_seed": 0, "train_videos_per_class": 1, "val_videos_per_class": 1}
    listed = plan(settings | {"scene": 0.75})
    good = [video.label for video in listed if not video.bad]
    assert sorted(set(good)) == sorted(SCENE_CLASSES)
    assert len(good) == 2 * len(SCENE_CLASSES) == 2 * len(CLASSES)
    actions = {
        figure: {label.split()[1] for label in SCENE_CLASSES if label.split()[0] == figure}
        for figure in APPEARANCES
    }
    assert [*actions.values()] == [set(MOTIONS), set(SWAYS)] * 6


def test_what_passes_by_is_gone_after_half_a_second():
    """Else it would tell which video a frame is of."""
    rng = generator(7, "test")
    shown = passing(scrap, 1, (14, 24), 10 * LIFE, 88, rng)
    assert shown.shape == (10 * LIFE, HEIGHT, 88)
    assert 0 < shown.mean() < 0.2

    rows = shown.reshape(10 * LIFE, -1)  # (T, H, W) -> (T, H * W)

    def alike(apart):
        one, other = rows[:-apart], rows[apart:]
        return np.mean((one * other).sum(1)) / np.mean((one**2).sum(1))

    assert alike(1) > 0.7
    assert alike(LIFE) < 0.2


@pytest.mark.parametrize(("name", "sign"), [("SCRAPS", 1), ("COVERS", -1)])
def test_strokes_are_added_and_parts_of_figures_hidden(name, sign, monkeypatch):
    """Both change where it is light, as the figure is."""

    def light():
        videos = (render("house swaying", 5, n, 0.75).astype(np.float64) for n in range(6))
        return np.mean([(v > np.median(v) + 60).mean() for v in videos])

    whole = light()
    monkeypatch.setattr(module, name, 0)
    assert sign * (whole - light()) > 0.002
