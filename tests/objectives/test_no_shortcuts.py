"""Pretext tasks cannot be solved without looking at what is shown.

Videos whose content says nothing about order or rotation go through the data path: ffmpeg, JPEG,
decoding, cropping, resizing. Whatever order or rotation could still be read from them would be a
trace of numbering, compression, padding or interpolation. Every classifier here also has to find
such a trace where there is one.
"""

import itertools
import subprocess

import numpy as np
import pytest
import torch

from vie.clips.crops import Crop, crop_frames
from vie.clips.cutting import decode
from vie.clips.loader import drop_channels
from vie.clips.sampling import Sampling
from vie.datasets.synthetic.render import CLASSES, render
from vie.datasets.synthetic.write_videos import encode
from vie.frames.ffmpeg import FrameSettings, extract_jpegs, ffmpeg_executable
from vie.objectives.order_prediction import orders
from vie.objectives.rotation import Rotation

SIZE = 64
OPN = Sampling(4, windows=(31,))
DOUBT = 3  # standard errors that chance may be missed by; a trace shows at more than twice that


def through_the_data_path(video, count, height):
    """The `count` frames (H, W, 3) uint8 of a video file, as they come out of JPEG frames."""
    settings = {"fps": 25, "shorter_side": height, "quality": 3}
    jpegs = extract_jpegs(
        video, FrameSettings(timeout_seconds=60, max_seconds=60, **settings)
    ).jpegs
    assert len(jpegs) == count
    return [decode(jpeg, height) for jpeg in jpegs]


def windows(frames, rng, count):
    """Clips (count, 4, 3, SIZE, SIZE) uint8 as OPN is shown them, each from a square."""
    found = []
    for _ in range(count):
        clip = OPN.train(len(frames), rng, np.ones(len(frames)))
        shifts = rng.integers(-4, 5, size=(4, 2))
        crop = Crop(0.85, rng.random(), rng.random(), bool(rng.integers(2)), 4 / SIZE)
        cut = crop_frames([frames[f] for f in clip], crop, SIZE, shifts)
        found.append(drop_channels(cut, rng).transpose(0, 1).numpy())
    return np.stack(found)


def statistics(frame):
    """What compression may change along a video: levels, sharpness, blocks, borders."""
    across, down = np.diff(frame, axis=-1), np.diff(frame, axis=-2)
    blocks = [np.abs(d).mean((0, 1)) for d in (across, down.swapaxes(-1, -2))]
    return np.array(
        [
            *(frame.mean(), frame.std(), np.abs(across).mean(), np.abs(down).mean()),
            *(np.abs(np.diff(frame, n=2, axis=axis)).mean() for axis in (-1, -2)),
            *(block[7::8].mean() - block.mean() for block in blocks),
            *(np.abs(frame[..., edge, :]).mean() for edge in (0, -1)),
        ]
    )


def hits(features, labels, groups):
    """Which rows a least-squares classifier gets right, (N,) bool: trained on the even groups it
    is asked about the odd ones, and the other way round."""
    classes, right = np.eye(labels.max() + 1)[labels], np.zeros(len(labels), dtype=bool)
    for odd in (0, 1):
        train, test = groups % 2 != odd, groups % 2 == odd
        centre, spread = features[train].mean(0), features[train].std(0) + 1e-9
        x = np.concatenate([(features - centre) / spread, np.ones((len(features), 1))], 1)
        weights = np.linalg.solve(
            x[train].T @ x[train] + np.eye(x.shape[1]), x[train].T @ classes[train]
        )
        right[test] = (x[test] @ weights).argmax(1) == labels[test]
    return right


def deviation(right, groups, chance):
    """How many standard errors an accuracy lies above chance, (N,) bool of rows in groups.

    Rows of one group are right or wrong together: the error is that of a mean over groups.
    """
    accuracy = np.bincount(groups, right) / np.bincount(groups)  # (groups,)
    return (accuracy.mean() - chance) / (accuracy.std(ddof=1) / np.sqrt(len(accuracy)))


def which_came_first(clips, fade=1.0):
    """Deviation from chance of telling the first frame of a clip from the last by statistics,
    where levels of the last are multiplied by `fade`."""
    features, labels, groups = [], [], []
    for video, several in enumerate(clips):
        for clip in several:
            first, last = statistics(clip[0] * 1.0), statistics(clip[3] * fade)
            features += [first - last, last - first]
            labels += [0, 1]
            groups += [video, video]
    labels, groups = np.array(labels), np.array(groups)
    return deviation(hits(np.stack(features), labels, groups), groups, 0.5)


def nearest_neighbours_in_order(clips):
    """Deviation from chance of the order in which neighbours are most alike: leftovers of a frame
    in the next would show here. Chance 1 / 12; an order and its reverse are equally long."""
    shown, classes = orders(4)
    right, groups = [], []
    for video, several in enumerate(clips):
        for clip in several:
            sharp = clip - clip.mean((2, 3), keepdims=True)
            apart = np.zeros((4, 4))
            for a, b in itertools.combinations(range(4), 2):
                apart[a, b] = apart[b, a] = np.abs(sharp[a] - sharp[b]).mean()
            lengths = [sum(apart[o[i], o[i + 1]] for i in range(3)) for o in shown.tolist()]
            right.append(bool(classes[int(np.argmin(lengths))] == classes[0]))
            groups.append(video)
    return deviation(np.array(right), np.array(groups), 1 / 12)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """{kind: videos x (n, 4, 3, SIZE, SIZE)}: as filmed, and with frames shuffled before they
    were encoded, so that the content has no order."""
    folder = tmp_path_factory.mktemp("videos")
    found = {"filmed": [], "shuffled": []}
    for number in range(48):
        rng = np.random.default_rng(number)
        pixels = render(CLASSES[number % len(CLASSES)], 5, number)
        mixed = pixels[rng.permutation(len(pixels))]
        for kind, content, count in (("filmed", pixels, 6), ("shuffled", mixed, 24)):
            encode(content, folder / "video.mp4")  # H.264, as the embedded dataset
            frames = through_the_data_path(folder / "video.mp4", len(content), 80)
            found[kind].append(windows(frames, rng, count))
    return found


@pytest.mark.slow
def test_order_is_not_in_the_compression(clips):
    none = which_came_first(clips["shuffled"])
    assert abs(none) < DOUBT
    # A trace that the same classifier finds: levels that fall by 2 % within a window.
    assert which_came_first(clips["shuffled"], fade=0.98) - none > DOUBT


@pytest.mark.slow
def test_order_is_not_in_what_one_frame_leaves_in_the_next(clips):
    assert nearest_neighbours_in_order(clips["shuffled"]) < DOUBT
    # Of the videos as they were filmed the same chain reads the order: that is the task.
    assert nearest_neighbours_in_order(clips["filmed"]) > 2 * DOUBT


def noise(frames, height, width, rng):
    """Isotropic noise of a few pixels, (T, height, width) uint8: the same in every direction."""
    field = rng.normal(size=(frames, height, width))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij"))
    smooth = np.fft.ifft2(np.fft.fft2(field) * np.exp(-((4 * frequency) ** 2))).real
    return (127 + 30 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def write_noise(path, frames, rng):
    """A video of noise, 80 x 96, whose planes are as stored: 4:2:0 without loss.

    H.264 treats rows and columns differently, and so does a conversion to 4:2:0 that is not
    careful; neither is this data path's.
    """
    import ffmpeg

    planes = [noise(frames, *size, rng) for size in ((80, 96), (40, 48), (40, 48))]
    stored = np.concatenate([plane.reshape(frames, -1) for plane in planes], 1)  # (T, bytes)
    source = ffmpeg.input("pipe:0", format="rawvideo", pix_fmt="yuv420p", s="96x80", framerate=25)
    stream = source.output(str(path), **{"c:v": "ffv1"}).global_args("-v", "error")
    subprocess.run(stream.compile(cmd=ffmpeg_executable()), input=stored.tobytes(), check=True)


def oriented(image):
    """What a border, an interpolation or a resize may leave in one direction: (C, S, S) -> (n,)."""
    across, down = np.abs(np.diff(image, axis=-1)), np.abs(np.diff(image, axis=-2))
    edges = [image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]]
    steps = [down[:, 0], down[:, -1], across[:, :, 0], across[:, :, -1]]
    fine = [np.abs(np.diff(image, n=2, axis=axis)).mean() for axis in (-1, -2)]
    return np.array(
        [
            *(np.log(across.mean() / down.mean()), np.log(fine[0] / fine[1])),
            *(edge.mean() - image.mean() for edge in edges),
            *(np.log(step.mean() / ((across.mean() + down.mean()) / 2)) for step in steps),
        ]
    )


def turned_how(images):
    """Deviation from chance of a classifier on `oriented`: images (N, C, S, S), each in all four
    rotations, which tend to be right or wrong together."""
    turned = Rotation(1, hidden=0).inputs(torch.from_numpy(images)[:, :, None])[:, :, 0].numpy()
    features = np.stack([oriented(image) for image in turned])  # (4 N, n)
    labels, groups = np.repeat(np.arange(4), len(images)), np.tile(np.arange(len(images)), 4)
    return deviation(hits(features, labels, groups), groups, 0.25)


def test_rotation_leaves_no_trace(tmp_path):
    rng = np.random.default_rng(0)
    write_noise(tmp_path / "video.mkv", 400, rng)
    frames = through_the_data_path(tmp_path / "video.mkv", 400, 80)
    crops = [
        crop_frames([f], Crop(rng.uniform(0.7, 0.88), *rng.random(2), False), SIZE) for f in frames
    ]
    images = torch.cat(crops, 1).transpose(0, 1).double().numpy()  # (400, 3, SIZE, SIZE)
    assert abs(turned_how(images)) < DOUBT
    # Traces that the same classifier finds: a darker border of a single row ...
    marked = images.copy()
    marked[:, :, 0] *= 0.9
    assert turned_how(marked) > 2 * DOUBT
    # ... and frames squeezed to a square, as a resize without regard to their shape would.
    squeezed = [
        crop_frames([np.ascontiguousarray(f[:, ::2])], Crop(0.9, 0, 0, False), SIZE) for f in frames
    ]
    squeezed = torch.cat(squeezed, 1).transpose(0, 1).double().numpy()
    assert turned_how(squeezed) > 2 * DOUBT
