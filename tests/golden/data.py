"""Golden numbers of what is made before and after training: lists, frames, clips, tables."""

import io
import subprocess
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

from tests.conftest import write_split
from tests.golden import synthetic
from tests.golden.precision import double_precision
from tests.golden.synthetic import fingerprint
from vie.clips import loader
from vie.clips.color_jitter import apply_color_jitter, draw_color_jitter
from vie.clips.crops import (
    Crop,
    CropPolicy,
    RandomResizedCrop,
    RandomSizedCrop,
    ScaleCrop,
    crop_frames,
)
from vie.clips.sampling import SAMPLINGS
from vie.clips.transform import ClipTransform
from vie.clips.windows import windows
from vie.datasets.finding import find_videos
from vie.datasets.holdout import hold_out
from vie.datasets.layouts import LAYOUTS
from vie.datasets.layouts.flat import FlatSettings, cut_up, validation
from vie.datasets.synthetic import actions
from vie.datasets.synthetic.images import CLASSES as IMAGE_CLASSES
from vie.datasets.synthetic.images import render_image
from vie.datasets.synthetic.render import CLASSES, render
from vie.frames.ffmpeg import FrameSettings, extract_jpegs, ffmpeg_executable
from vie.frames.flow import magnitudes
from vie.frames.images import ImageSettings, image_frames
from vie.frames.index import load_index
from vie.frames.manifest import Video, class_names, read_manifest, write_manifest
from vie.metrics.retrieval import nearest, rank
from vie.metrics.top_k import top_k
from vie.objectives.bank import MemoryBank
from vie.reporting.gallery import drawn
from vie.reporting.statistics import interval
from vie.runtime.randomness import generator, torch_seed

Numbers = dict[str, object]
LENGTHS = (1, 3, 16, 40, 61, 250)  # frames of videos


def sampling(folder: Path) -> Numbers:
    """Frames of training and test clips and of windows, for videos of many lengths."""
    numbers: Numbers = {}
    for name, how in SAMPLINGS.items():
        motion = np.arange(300) % 7 + 0.5
        train = [how.train(n, generator(2, "golden", instance=n), motion) for n in LENGTHS]
        numbers[name] = {
            "train": [frames.tolist() for frames in train],
            "test": [how.test(n, 3).ravel().tolist() for n in LENGTHS],
            "middle": [how.test(n, 1)[0].tolist() for n in LENGTHS],
            "windows": [windows(how, n).sum(1).tolist() for n in LENGTHS],
        }
    return numbers


def crops(folder: Path) -> Numbers:
    """Boxes of crops in frames of two shapes."""
    policies = {
        "random": RandomResizedCrop(224, (256, 320), 256, 0.5),
        "scale": ScaleCrop(112, (1.0, 0.84, 0.71, 0.59, 0.5), 0.5),
        "squeezed": RandomResizedCrop(112, (136, 150), 136, 0.5, squeeze=True),
    }
    return _boxes(policies)


def random_sized(folder: Path) -> Numbers:
    """Boxes of random-sized crops, the second ones rarely within a frame."""
    policies = {
        "paper": RandomSizedCrop(224, (0.2, 1.0), (0.75, 4 / 3), 256),
        "wide": RandomSizedCrop(112, (0.9, 1.0), (1.5, 3.0), 128),
    }
    return _boxes(policies)


def _boxes(policies: dict[str, CropPolicy]) -> Numbers:
    numbers: Numbers = {}
    for name, policy in policies.items():
        drawn = [policy.train_crop(generator(4, name, i), frame_shift=i % 3 * 8) for i in range(8)]
        for shape in ((320, 427), (480, 270)):
            every = [*drawn, policy.centre_crop()]
            numbers[f"{name} {shape}"] = [[*crop.box(*shape), int(crop.flip)] for crop in every]
    return numbers


def resized(folder: Path) -> Numbers:
    """Levels of cut and resized frames: smaller, larger, mirrored, shifted."""
    frames = list(synthetic.pixels(5, 1, 2, 80, 107))
    coarse = list(np.kron(synthetic.pixels(6, 2, 2, 5, 7), np.ones((1, 8, 8, 1))).astype(np.uint8))
    numbers = {}
    for name, cut in {
        "smaller": crop_frames(frames, Crop(0.9, 0.3, 0.6, False), 24),
        "mirrored": crop_frames(frames, Crop(0.7, 1.0, 0.1, True), 24),
        "larger": crop_frames(coarse, Crop(0.5, 0.2, 0.4, False), 33),
        "shifted": crop_frames(
            frames, Crop(0.5, 0.5, 0.5, False, 0.2), 40, np.array([[3, -4], [-2, 5]])
        ),
    }.items():
        numbers[name] = [*cut.shape, *cut[:, :, 3::7, 2::9].flatten().tolist()]
    return numbers


def color_jitter(folder: Path) -> Numbers:
    """The draws, and clips after them."""
    each = [draw_color_jitter(generator(6, "golden", instance=i)) for i in range(12)]
    with double_precision():
        draws = synthetic.draws(np.arange(12), 1, {})
        clips = apply_color_jitter(synthetic.clips(np.arange(12), 2), draws)
    return {
        "factors": [draw.factors.tolist() for draw in each],
        "order": [draw.order.tolist() for draw in each],
        "grey": [bool(draw.grey) for draw in each],
        "clips": [fingerprint([clip]) for clip in clips],
    }


def train_clips(folder: Path) -> Numbers:
    """Every draw of training clips: frames, box, shifts, dropped channels, color jitter."""
    write_split(folder, "train", 9, 4)
    recipe = synthetic.recipe()
    transform = replace(ClipTransform.of(recipe), frame_shift=2, channel_dropping=True)
    numbers: list[object] = []

    def seen(index, instance, frames, crop, size, shifts):
        numbers.append([*frames.tolist(), *crop.box(80, 107)[:3], int(crop.flip), *shifts.ravel()])
        frames = torch.arange(3)[:, None, None, None].expand(3, len(frames), size, size)
        return frames.to(torch.uint8)

    with mock.patch.object(loader, "load_clip", seen):
        dataset = loader.TrainClips(
            folder / "train" / "index.parquet", transform, seed=1, stage="golden"
        )
        batch = dataset[(2, np.array([4, 0, 7]))]
    order = loader.EpochBatchSampler(7, 3, seed=1, stage="golden", first=1, last=6)
    return {
        "draws": [[int(value) for value in clip] for clip in numbers],
        "channels": batch.clips[:, 0, :, 0, 0].tolist(),
        "factors": batch.color_jitter.factors.tolist(),
        "labels": batch.labels.tolist(),
        "order": [[epoch, *instances.tolist()] for epoch, instances in order],
        "seeds": [torch_seed(1, "encoder") % 10**6, torch_seed(1, "noise", 7) % 10**6],
    }


def bank(folder: Path) -> Numbers:
    """The first vectors of a memory bank, and an update in which a video occurs twice."""
    with double_precision():
        memory = MemoryBank(12, 8, momentum=0.5, seed=3)
        first = fingerprint([memory.vectors])
        embeddings = torch.eye(8)[[0, 3, 5]]
        memory.update(torch.tensor([4, 7, 4]), embeddings)
        return {"first": first, "updated": fingerprint([memory.vectors])}


def frames(folder: Path) -> Numbers:
    """Frames of a lossless clip of blocks at another rate and size: levels and how many."""
    blocks = np.kron(synthetic.pixels(5, 1, 20, 6, 8), np.ones((1, 16, 16, 1))).astype(np.uint8)
    path = folder / "clip.mkv"
    argv = [ffmpeg_executable(), "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    argv += ["-s", "128x96", "-r", "12", "-i", "pipe:0", "-c:v", "ffv1", "-pix_fmt", "bgr0"]
    subprocess.run([*argv, str(path)], input=blocks.tobytes(), check=True)
    numbers: Numbers = {}
    for rate in (25, 5):
        jpegs = extract_jpegs(path, FrameSettings(rate, 48, 2, 60, 60)).jpegs
        every = [np.asarray(Image.open(io.BytesIO(jpeg)), dtype=float) for jpeg in jpegs]
        numbers[f"{rate} fps"] = {
            "shape": [len(every), *every[0].shape],
            "levels": [float(frame.mean()) for frame in every],
            # The middles of the blocks, where compression and resizing change little.
            "colors": [float(v) for v in every[3][4::16, 4::16].ravel()],
        }
    return numbers


def images(folder: Path) -> Numbers:
    """Frames of images that are encoded anew: sizes, and colours of the middles of blocks."""
    blocks = np.kron(synthetic.pixels(5, 1, 1, 6, 8)[0], np.ones((24, 24, 1))).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    numbers: Numbers = {}
    for name, mode in (("PNG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGB")):
        path = folder / f"{name}.jpg"
        options = {"exif": exif, "quality": 95} if name == "JPEG" else {"lossless": True}
        Image.fromarray(blocks).convert(mode).save(path, name, **options)
        (jpeg,) = image_frames(path, ImageSettings(72)).jpegs
        levels = np.asarray(Image.open(io.BytesIO(jpeg)), dtype=float)  # (H, W, 3)
        numbers[name] = [*levels.shape, *map(float, levels[6::12, 6::12].ravel())]
    return numbers


def motion(folder: Path) -> Numbers:
    """Optical flow of a square that moves by 3 pixels a frame over dots."""
    dots = np.random.default_rng(0).integers(0, 256, (64, 80), dtype=np.uint8)
    moved = [np.roll(dots, 3 * t, axis=1) for t in range(4)]
    return {"lengths": magnitudes(moved).tolist()}


def index(folder: Path) -> Numbers:
    """Rows of a small index."""
    write_split(folder, "train", 9, 4)
    rows = load_index(folder / "train" / "index.parquet")
    return {
        "videos": rows.videos.to_pylist(),
        "n_frames": rows.n_frames.tolist(),
        "labels": rows.labels.tolist(),
        "shapes": [*rows.widths.tolist(), *rows.heights.tolist()],
    }


def _files(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _tree(layout: str, folder: Path) -> tuple[Path, Path, str]:
    """A tiny dataset of a layout: (folder of videos, its annotations, split)."""
    videos, notes = folder / "videos", folder / "annotations"
    notes.mkdir()
    if layout == "kinetics":
        header = "label,youtube_id,time_start,time_end,split\n"
        lines = "riding a bike,bbbbbbbbbbb,3,13,train\njuggling,ccccccccccc,100,110,train\n"
        (notes / "train.csv").write_text(header + lines + "juggling,aaaaaaaaaaa,0,10,train\n")
        _files(videos / "train", ["riding a bike/bbbbbbbbbbb_000003_000013.mp4"])
        _files(videos / "train", ["juggling/ccccccccccc.mp4"])
        return videos, LAYOUTS[layout].annotations(videos, notes, "train"), "train"
    if layout == "ucf101":
        (notes / "classInd.txt").write_text("1 Bowling\n2 YoYo\n")
        for number in (1, 2):
            first = [f"{c}/v_{c}_g{g:02d}_c01.avi" for c in ("Bowling", "YoYo") for g in (1, 2, 3)]
            test = [name for name in first if f"g{number:02d}" in name]
            train = [f"{n} {1 + ('YoYo' in n)}" for n in first if n not in test]
            (notes / f"trainlist{number:02d}.txt").write_text("\n".join(train) + "\n")
            (notes / f"testlist{number:02d}.txt").write_text("\n".join(test) + "\n")
    if layout == "hmdb51":
        for number in (1, 2):
            flags = [(number + i) % 3 for i in range(6)]
            for label in ("run", "sit"):
                names = [f"Film{i // 2}_{label}_f_nm_np1_ri_med_{i}.avi" for i in range(6)]
                lines = [f"{n} {flag} \n" for n, flag in zip(names, flags, strict=True)]
                (notes / f"{label}_test_split{number}.txt").write_text("".join(lines))
    if layout == "imagefolder":
        _files(videos / "train", ["wolf/1.JPEG", "wolf/deep/2.png", "ant/b.jpg", "ant/c.jpg"])
        return videos, LAYOUTS[layout].annotations(videos, notes, "train"), "train"
    if layout == "folders":
        _files(videos, [f"{label}/{i}.mp4" for label in ("a", "b & c") for i in range(5)])
        notes = videos
    return videos, notes, "all"


def manifest(folder: Path, layout: str) -> Numbers:
    """The manifest of a tiny dataset, class numbers and rows in their order."""
    found = LAYOUTS[layout].read(*_tree(layout, folder))
    write_manifest(found, class_names(found), folder / "manifest.parquet")
    rows = read_manifest(folder / "manifest.parquet").to_pylist()
    return {"videos": [[v for v in row.values() if v is not None] for row in rows]}


def manifest_flat(folder: Path) -> Numbers:
    """Ids, pieces and parts of videos that are looked for; their lengths are given."""
    names = [*(f"day{i % 3}/{i}.mp4" for i in range(9)), "talk_part1.mp4", "talk_part2.mp4"]
    for name in names:
        (folder / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "videos" / name).write_text(name)
    found = find_videos([folder / "videos"]).videos
    cut = {"seconds": 10, "overlap": 2}
    pieces = [one for i, video in enumerate(found) for one in cut_up(video, 4.3 * i, cut)]
    val, _ = validation(pieces, FlatSettings(cut, 0.2, 5))
    return {"videos": [[*one, int(one.id in val)] for one in pieces]}


def split_assignment(folder: Path) -> Numbers:
    """Splits of all layouts that have some, with a third held out."""
    numbers: Numbers = {}
    for layout in ("ucf101", "hmdb51", "folders"):
        (folder / layout).mkdir()
        videos, notes, split = _tree(layout, folder / layout)
        found = LAYOUTS[layout].read(videos, notes, split)
        for number in (1, 2):
            rows = hold_out(LAYOUTS[layout].assign(found, notes, number), 0.3, number)
            numbers[f"{layout} {number}"] = [list(row) for row in rows]
    many = [Video(f"{label}{i}", f"{label}/{i}.mp4", label) for label in "abc" for i in range(20)]
    drawn = LAYOUTS["folders"].assign(many, folder, 3)
    numbers["drawn"] = [list(row)[2] for row in hold_out(drawn, 0.2, 3)]
    return numbers


def videos(folder: Path) -> Numbers:
    """Pixels of the synthetic videos."""
    numbers: Numbers = {}
    for number, label in enumerate((CLASSES[0], CLASSES[-1])):
        pixels = render(label, 5, number)
        numbers[label] = [*pixels.shape, *_levels(pixels)]
    for name, action in (("ucf101", actions.UCF101[0]), ("hmdb51", actions.HMDB51[-1])):
        pixels = actions.render_action(action, name, 5, 2, 7)
        numbers[name] = [*pixels.shape, *_levels(pixels)]
    return numbers


def synthetic_images(folder: Path) -> Numbers:
    """Pixels of the stand-in for ImageNet."""
    numbers: Numbers = {}
    for number, label in enumerate((IMAGE_CLASSES[0], IMAGE_CLASSES[-1])):
        pixels = render_image(label, 5, number)
        numbers[label] = [*pixels.shape, *map(float, pixels[4:80:8, 4:80:8].mean(2).ravel())]
    return numbers


def _levels(pixels: np.ndarray) -> list[float]:
    """Means of blocks of 10 x 20 pixels of three frames."""
    frames = pixels[[0, 9, -1], :80, :80].mean(3)  # (3, 80, 80)
    return [float(v) for v in frames.reshape(3, 8, 10, 4, 20).mean((2, 4)).ravel()]


def tables(folder: Path) -> Numbers:
    """Accuracies with their intervals."""
    right = np.arange(60).reshape(3, 20) % 7 > 2
    groups = [f"g{i // 4}" for i in range(20)]
    scores = (np.arange(40).reshape(8, 5) * 7 % 11).astype(float)
    return {
        "one seed": interval(right[0]),
        "three seeds": interval(right),
        "seeds that differ": interval(np.arange(60).reshape(3, 20) % 13 > 6),
        "groups": interval(right, groups),
        "top_k": [top_k(scores, np.arange(8) % 5, k).tolist() for k in (1, 2, 3)],
    }


def retrieval(folder: Path) -> Numbers:
    """Ranks in a small gallery with ties, neighbours, and the videos that are drawn for a sheet."""
    gallery = (np.arange(240).reshape(60, 4) * 37 % 53 - 26).astype(np.float32)
    queries, labels = gallery[::5] + gallery[3::5], np.arange(60) * 13 % 7
    ranking = rank(queries, labels[::5], gallery, labels)
    rows, cosines = nearest(queries[:3], gallery, 4)
    numbers: Numbers = {f"r{k}": float(ranking.hits(k).mean()) for k in (1, 5, 20)}
    return numbers | {
        "first": ranking.first.tolist(),
        "precision": ranking.precision.tolist(),
        "chance": ranking.chance.tolist(),
        "nearest": rows.tolist(),
        "cosines": cosines.tolist(),
        "drawn": drawn(np.arange(500), 10, 3, "neighbours").tolist(),
    }
