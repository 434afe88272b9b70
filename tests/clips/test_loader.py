"""Batches of clips: the right pixels, whoever loads them and wherever a run starts."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vie.clips.crops import Crop
from vie.clips.cutting import decode
from vie.clips.loader import (
    EpochBatchSampler,
    TestClips,
    TrainClips,
    load_clip,
    loader,
    long_enough,
    steps_per_epoch,
    video_batches,
)
from vie.clips.transform import ClipTransform
from vie.frames.index import load_index
from vie.runtime.errors import VieError
from vie.runtime.randomness import generator


def picture(height, width):
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("least", "shape"),
    [(320, (320, 427)), (161, (320, 427)), (160, (160, 214)), (80, (80, 107)), (20, (40, 54))],
)
def test_decode_is_never_smaller_than_needed(least, shape):
    assert decode(picture(320, 427), least).shape == (*shape, 3)


def test_decode_reads_the_pixels_that_pillow_reads():
    jpeg = picture(80, 108)
    theirs = np.asarray(Image.open(io.BytesIO(jpeg))).astype(int)
    assert np.abs(decode(jpeg, 80).astype(int) - theirs).max() <= 2
    # At half the size, about the average of 2x2 pixels.
    halved = theirs.reshape(40, 2, 54, 2, 3).mean((1, 3))
    assert np.abs(decode(jpeg, 40) - halved).mean() < 4


@pytest.mark.parametrize(("reduced", "apart"), [(False, 0), (True, 1)])
def test_frames_are_decoded_in_full_unless_the_crop_allows_less(small_dataset, reduced, apart):
    index = load_index(small_dataset / "train" / "index.parquet")
    crop, frames = Crop(1, 0, 0, False, reduced_decoding=reduced), np.array([0])
    found = load_clip(index, 0, frames, crop, 16)[:, 0].permute(1, 2, 0).numpy()  # (16, 16, 3)
    [jpeg] = index.read_frames(0, frames)
    whole = Image.open(io.BytesIO(jpeg)).crop((0, 0, 40, 40))
    theirs = np.asarray(whole.resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
    assert (np.abs(found - theirs).max() > 3) == bool(apart)


def test_a_clip_is_its_frames_cut_alike(small_dataset):
    from torchvision.transforms import functional

    index = load_index(small_dataset / "train" / "index.parquet")
    crop, frames = Crop(0.9, 0.4, 0.7, True), np.array([3, 0, 3, 11])
    clip = load_clip(index, 5, frames, crop, 32)
    assert clip.shape == (3, 4, 32, 32)
    assert torch.equal(clip[:, 0], clip[:, 2])
    top, left, side, _ = crop.box(40, 52)
    for t, jpeg in enumerate(index.read_frames(5, frames)):
        image = torch.from_numpy(np.array(Image.open(io.BytesIO(jpeg)))).permute(2, 0, 1)
        theirs = functional.resized_crop(image, top, left, side, side, [32, 32], antialias=True)
        theirs = functional.hflip(theirs).int()
        assert (clip[:, t].int() - theirs).abs().max() <= 3


def batches(small_dataset, recipe, *, workers, first=0, last=9, seed=3, clip="slow"):
    transform = ClipTransform.of(recipe, clip)
    clips = TrainClips(small_dataset / "train" / "index.parquet", transform, seed=seed, stage="s")
    order = EpochBatchSampler(24, 5, seed=seed, stage="s", first=first, last=last)
    return list(loader(clips, order, workers, clips=8))


def same(one, other):
    return all(
        torch.equal(a, b)
        for a, b in zip(
            [*one[:3], *one.color_jitter], [*other[:3], *other.color_jitter], strict=True
        )
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_workers(small_dataset, recipe, workers):
    alone = batches(small_dataset, recipe, workers=0)
    together = batches(small_dataset, recipe, workers=workers)
    assert len(alone) == 9
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("of", ["training", "testing"])
def test_a_worker_fills_its_batch_where_the_main_process_reads_it(
    small_dataset, recipe, monkeypatch, of
):
    transform, path = ClipTransform.of(recipe, "slow"), small_dataset / "val" / "index.parquet"
    clips, key = TestClips(path, transform, clips=3), np.array([4, 1])
    if of == "training":
        clips, key = TrainClips(path, transform, seed=0, stage="s"), (2, key)
    alone = clips[key].clips
    assert not alone.is_shared()
    monkeypatch.setattr("vie.clips.loader.get_worker_info", lambda: "a worker")
    together = clips[key].clips
    assert together.is_shared()
    assert torch.equal(alone, together)


def test_batches_do_not_depend_on_the_start(small_dataset, recipe):
    whole = batches(small_dataset, recipe, workers=0)
    rest = batches(small_dataset, recipe, workers=0, first=6)
    assert all(same(a, b) for a, b in zip(whole[6:], rest, strict=True))
    other = batches(small_dataset, recipe, workers=0, seed=4)
    assert not any(torch.equal(a.clips, b.clips) for a, b in zip(whole, other, strict=True))


def test_an_epoch_shows_each_video_at_most_once_and_all_have_their_turn(small_dataset, recipe):
    order = list(EpochBatchSampler(24, 5, seed=0, stage="s", first=0, last=4 * 40))
    seen = np.zeros(24, int)
    for epoch in range(40):
        keys = order[4 * epoch : 4 * epoch + 4]
        assert {e for e, _ in keys} == {epoch}
        videos = np.concatenate([v for _, v in keys])
        assert len(set(videos.tolist())) == 20
        seen[videos] += 1
    # 40 epochs x 20 of 24: binomial around 33.3 with a deviation of 2.4
    assert seen.min() > 33.3 - 5 * 2.4
    assert [steps_per_epoch(24, 5), steps_per_epoch(24, 24)] == [4, 1]
    with pytest.raises(VieError, match="batch: 25 is more than the 24 videos"):
        steps_per_epoch(24, 25)


def test_labels_and_instances_belong_to_the_clips(small_dataset, recipe):
    index = load_index(small_dataset / "train" / "index.parquet")
    for batch in batches(small_dataset, recipe, workers=0):
        assert batch.labels.tolist() == index.labels[batch.instances].tolist()
        names = [index.videos[i].as_py() for i in batch.instances.tolist()]
        assert [int(n.removeprefix("train")) % 4 for n in names] == batch.labels.tolist()


def test_test_clips_go_through_every_video_in_order(small_dataset, recipe):
    path = small_dataset / "val" / "index.parquet"
    transform, index = ClipTransform.of(recipe, "slow"), load_index(path)
    found = list(
        loader(
            TestClips(path, transform, clips=3),
            video_batches(np.arange(8), 3, at_most=9),
            0,
            clips=9,
        )
    )
    assert [len(b.clips) for b in found] == [9, 9, 6]
    clips, instances = torch.cat([b.clips for b in found]), torch.cat([b.instances for b in found])
    assert instances.tolist() == [i for i in range(8) for _ in range(3)]
    crop = transform.geometry.centre_crop()
    frames = transform.sampling.test(int(index.n_frames[6]), 3)
    for number in range(3):
        alone = load_clip(index, 6, frames[number], crop, 32)
        assert torch.equal(clips[6 * 3 + number], alone)


def test_a_damaged_frame_is_named(small_dataset, monkeypatch):
    index = load_index(small_dataset / "train" / "index.parquet")
    broken = b"\xff\xd8 no picture \xff\xd9"
    monkeypatch.setattr(type(index), "read_frames", lambda self, i, frames: [broken])
    name = index.videos[4].as_py()
    with pytest.raises(VieError, match=rf"0-of-1\.tar: frame \d+ of video '{name}' cannot be"):
        load_clip(index, 4, np.array([0]), Crop(1, 0, 0, False), 32)


def test_dropping_channels_leaves_one_of_each_frame(small_dataset, recipe):
    """The same draws of frames and crops with and without: every frame is one of its channels."""
    path = small_dataset / "train" / "index.parquet"
    found, kept = [], []
    for dropping in (False, True):
        transform = ClipTransform.of(recipe, "slow", channel_dropping=dropping)
        clips = TrainClips(path, transform, seed=0, stage="s")
        found.append(torch.cat([clips[e, np.arange(24)].clips for e in range(4)]))
    for whole, dropped in zip(*found, strict=True):
        for t in range(4):
            assert torch.equal(dropped[0, t], dropped[1, t])
            assert torch.equal(dropped[0, t], dropped[2, t])
            kept.append([torch.equal(dropped[0, t], whole[c, t]) for c in range(3)])
    assert all(any(row) for row in kept)
    counts = np.array([row for row in kept if sum(row) == 1]).sum(0)
    assert (counts > 0.25 * counts.sum()).all()  # each channel a third of the time


def test_only_videos_that_are_long_enough_take_part(small_dataset, caplog):
    path = small_dataset / "train" / "index.parquet"
    counts = load_index(path).n_frames
    chosen = long_enough(path, 22)
    assert chosen.tolist() == [i for i, n in enumerate(counts) if n >= 22]
    assert 0 < len(chosen) < 24
    assert f"{24 - len(chosen)} of 24 videos have fewer than 22 frames" in caplog.text
    order = EpochBatchSampler(chosen, 3, seed=0, stage="s", first=0, last=40)
    assert order.steps_per_epoch == len(chosen) // 3
    shown = np.concatenate([videos for _, videos in order])
    assert set(shown.tolist()) == set(chosen.tolist())
    with pytest.raises(VieError, match="no video has the 99 frames"):
        long_enough(path, 99)


def test_views_lie_behind_each_other_and_the_first_is_the_only_one_of_a_single_view(
    small_dataset, recipe
):
    index, key = small_dataset / "train" / "index.parquet", (2, np.array([4, 0, 9]))
    settings = {"seed": 3, "stage": "s"}
    transform = ClipTransform.of(recipe, "slow")
    one = TrainClips(index, transform, **settings)[key]
    three = TrainClips(index, transform, **settings, n_views=3)[key]
    assert three.clips.shape == (9, *one.clips.shape[1:])
    assert torch.equal(three.clips[:3], one.clips)
    assert torch.equal(three.instances, one.instances)
    assert torch.equal(three.labels, one.labels)
    for part, alone in zip(three.color_jitter, one.color_jitter, strict=True):
        assert len(part) == 9
        assert torch.equal(part[:3], alone)
    # View 1 of the second video, by its address.
    rng = generator(3, "s", 2, 0, 1)
    n_frames = int(load_index(index).n_frames[0])
    frames = transform.sampling.train(n_frames, rng)
    crop = transform.geometry.train_crop(rng)
    expected = load_clip(load_index(index), 0, frames, crop, 32)
    assert torch.equal(three.clips[4], expected)
    assert not torch.equal(three.clips[4], three.clips[1])
