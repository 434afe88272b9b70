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
from vie.clips.loader import decode, drop_channels
from vie.clips.sampling import Sampling
from vie.datasets.synthetic.render import CLASSES, render
from vie.datasets.synthetic.write_videos import encode
from vie.frames.ffmpeg import extract_jpegs, ffmpeg_executable
from vie.objectives.order_prediction import orders
from vie.objectives.rotation import Rotation

SIZE = 64
OPN = Sampling(4, windows=(31,))


def through_the_data_path(video, count, height):
    """The `count` frames (H, W, 3) uint8 of a video file, as they come out of JPEG frames."""
    settings = {"fps": 25, "shorter_side": height, "quality": 3}
    jpegs = extract_jpegs(video, timeout_seconds=60, max_seconds=60, **settings).jpegs
    assert len(jpegs) == count
    return [decode(jpeg, height) for jpeg in jpegs]


def windows(frames, rng, count=6):
    """Clips (count, 4, 3, SIZE, SIZE) float64 as OPN is shown them, each from a square."""
    found = []
    for _ in range(count):
        clip = OPN.train(len(frames), rng, np.ones(len(frames)))
        shifts = rng.integers(-4, 5, size=(4, 2))
        crop = Crop(0.85, rng.random(), rng.random(), bool(rng.integers(2)), 4 / SIZE)
        cut = crop_frames([frames[f] for f in clip], crop, SIZE, shifts)
        found.append(drop_channels(cut, rng).transpose(0, 1).double().numpy())
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


def fitted_accuracy(features, labels, groups):
    """Least-squares classifier, trained on even groups, tested on odd ones: (accuracy, tests)."""
    classes = np.eye(labels.max() + 1)[labels]
    train, test = groups % 2 == 0, groups % 2 == 1
    centre, spread = features[train].mean(0), features[train].std(0) + 1e-9
    x = np.concatenate([(features - centre) / spread, np.ones((len(features), 1))], 1)
    weights = np.linalg.solve(
        x[train].T @ x[train] + np.eye(x.shape[1]), x[train].T @ classes[train]
    )
    return ((x[test] @ weights).argmax(1) == labels[test]).mean(), test.sum()


def which_came_first(clips):
    """Accuracy of telling the first frame of a clip from the last by their statistics."""
    features, labels, groups = [], [], []
    for video, several in enumerate(clips):
        for clip in several:
            first, last = statistics(clip[0]), statistics(clip[3])
            features += [first - last, last - first]
            labels += [0, 1]
            groups += [video, video]
    accuracy, tests = fitted_accuracy(np.stack(features), np.array(labels), np.array(groups))
    return accuracy, tests / 2  # a pair and its mirror image are one test


def chain_accuracy(clips):
    """Accuracy of the order in which neighbours are most alike: leftovers of a frame in the next
    would show here. Chance 1 / 12; an order and its reverse are equally long."""
    shown, classes = orders(4)
    hits = []
    for several in clips:
        for clip in several:
            sharp = clip - clip.mean((2, 3), keepdims=True)
            apart = np.zeros((4, 4))
            for a, b in itertools.combinations(range(4), 2):
                apart[a, b] = apart[b, a] = np.abs(sharp[a] - sharp[b]).mean()
            lengths = [sum(apart[o[i], o[i + 1]] for i in range(3)) for o in shown.tolist()]
            hits.append(classes[int(np.argmin(lengths))] == classes[0])
    return float(np.mean(hits)), len(hits)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """{kind: videos x (6, 4, 3, SIZE, SIZE)}: as filmed, and with their frames shuffled before they
    were encoded, so that the content has no order."""
    folder = tmp_path_factory.mktemp("videos")
    found = {"filmed": [], "shuffled": []}
    for number in range(48):
        rng = np.random.default_rng(number)
        pixels = render(CLASSES[number % len(CLASSES)], 5, number)
        mixed = pixels[rng.permutation(len(pixels))]
        for kind, content in (("filmed", pixels), ("shuffled", mixed)):
            encode(content, folder / "video.mp4")  # H.264, as the embedded dataset
            frames = through_the_data_path(folder / "video.mp4", len(content), 80)
            found[kind].append(windows(frames, rng))
    return found


def deviation(accuracy, chance, tests):
    """How many standard errors an accuracy lies above chance."""
    return (accuracy - chance) / np.sqrt(chance * (1 - chance) / tests)


def test_order_is_not_in_the_compression(clips):
    accuracy, tests = which_came_first(clips["shuffled"])
    assert abs(deviation(accuracy, 0.5, tests)) < 3
    # A trace that the same classifier finds: levels that fall by 6 % within a window.
    fading = [
        several * np.linspace(1, 0.94, 4)[:, None, None, None] for several in clips["shuffled"]
    ]
    assert deviation(*_with_chance(which_came_first(fading), 0.5)) > 3


def test_order_is_not_in_what_one_frame_leaves_in_the_next(clips):
    accuracy, tests = chain_accuracy(clips["shuffled"])
    assert deviation(accuracy, 1 / 12, tests) < 3
    # Of the videos as they were filmed the same chain reads the order: that is the task.
    assert deviation(*_with_chance(chain_accuracy(clips["filmed"]), 1 / 12)) > 10


def _with_chance(found, chance):
    return found[0], chance, found[1]


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


def rotation_accuracy(images):
    """Of a classifier on `oriented`: images (N, C, S, S), each in all four rotations."""
    turned = Rotation(1, hidden=0).inputs(torch.from_numpy(images)[:, :, None])[:, :, 0].numpy()
    features = np.stack([oriented(image) for image in turned])  # (4 N, n)
    labels = np.repeat(np.arange(4), len(images))
    accuracy, tests = fitted_accuracy(features, labels, np.tile(np.arange(len(images)), 4))
    return accuracy, tests / 4  # an image's rotations tend to be right or wrong together


def test_rotation_leaves_no_trace(tmp_path):
    rng = np.random.default_rng(0)
    write_noise(tmp_path / "video.mkv", 400, rng)
    frames = through_the_data_path(tmp_path / "video.mkv", 400, 80)
    crops = [
        crop_frames([f], Crop(rng.uniform(0.7, 0.88), *rng.random(2), False), SIZE) for f in frames
    ]
    images = torch.cat(crops, 1).transpose(0, 1).double().numpy()  # (400, 3, SIZE, SIZE)
    accuracy, tests = rotation_accuracy(images)
    assert abs(deviation(accuracy, 0.25, tests)) < 3
    # Traces that the same classifier finds: a darker border of a single row ...
    marked = images.copy()
    marked[:, :, 0] *= 0.9
    assert deviation(*_with_chance(rotation_accuracy(marked), 0.25)) > 10
    # ... and frames squeezed to a square, as a resize without regard to their shape would.
    squeezed = [
        crop_frames([np.ascontiguousarray(f[:, ::2])], Crop(0.9, 0, 0, False), SIZE) for f in frames
    ]
    squeezed = torch.cat(squeezed, 1).transpose(0, 1).double().numpy()
    assert deviation(*_with_chance(rotation_accuracy(squeezed), 0.25)) > 10
