"""Motion against known shifts, and windows on a video that moves only in its second half."""

import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from vie.clips.crops import RandomResizedCrop
from vie.clips.loader import TrainClips, loader
from vie.clips.sampling import SAMPLINGS
from vie.clips.transform import ClipTransform
from vie.frames.extract import write_rejected
from vie.frames.flow import magnitudes, write_shard_motion
from vie.frames.index import Index, build_index, load_index
from vie.frames.manifest import Video, class_names, write_manifest
from vie.frames.motion import Motion, join_motion
from vie.frames.parquet import write_array, write_table
from vie.frames.shards import TABLE_SCHEMA, ShardWriter
from vie.runtime.errors import VieError

SIDE = 96
LENGTHS = {"short": 2, "walk": 40, "still": 24, "late": 60}  # frames
SHARDS = (("walk", "short"), ("late", "still"))


def texture(size=SIDE + 80, seed=0):
    """Smooth noise, (size, size) uint8."""
    import cv2

    noise = np.random.default_rng(seed).uniform(0, 255, (size, size)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def view_at(x, y=20):
    return texture()[y : y + SIDE, x : x + SIDE]


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (1, 0), (0, 2), (3, 4)])
def test_a_shift_has_its_length(dx, dy):
    frames = [view_at(10 + t * dx, 5 + t * dy) for t in range(4)]
    found = magnitudes(frames)
    assert found.dtype == np.float32
    assert found[3] == 0
    assert found[:3] * SIDE == pytest.approx(np.hypot(dx, dy), abs=0.1)


def frames_of(video):
    """`walk` moves by a pixel a frame, `late` by two in its second half, the others not at all."""
    for t in range(LENGTHS[video]):
        moved = {"walk": t, "late": max(0, 2 * (t - 30))}.get(video, 0)
        yield view_at(moved)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Two shards of four videos, one of which is too short for the index."""
    folder = tmp_path_factory.mktemp("motion")
    (folder / "frames").mkdir()
    videos = [Video(name, f"{name}.mp4", "c") for name in ("walk", "late", "short", "still")]
    write_manifest(videos, class_names(videos), folder / "manifest.parquet")
    manifest = {row["video"]: row for row in pq.read_table(folder / "manifest.parquet").to_pylist()}
    files = {"tars": [], "tables": [], "rejected": []}
    for number, names in enumerate(SHARDS):
        tar = folder / "frames" / f"{number}-of-2.tar"
        rows = []
        with tar.open("wb") as file:
            writer = ShardWriter(file)
            for name in names:
                jpegs = []
                for frame in frames_of(name):
                    buffer = io.BytesIO()
                    Image.fromarray(np.stack([frame] * 3, -1)).save(buffer, "JPEG", quality=95)
                    jpegs.append(buffer.getvalue())
                shape = {"width": SIDE, "height": SIDE}
                rows.append({**manifest[name], **shape, **writer.add(name, jpegs)})
            writer.finish()
        schema = TABLE_SCHEMA.with_metadata(
            {"fps": "25", "shorter_side": str(SIDE), "quality": "3", "shards": "2"}
        )
        write_table(pa.Table.from_pylist(rows, schema=schema), tar.with_suffix(".parquet"))
        write_rejected([], tar.with_suffix(".rejected.csv"))
        files["tars"].append(tar)
        files["tables"].append(tar.with_suffix(".parquet"))
        files["rejected"].append(tar.with_suffix(".rejected.csv"))
    build_index(
        folder / "manifest.parquet",
        *files.values(),
        folder / "index.parquet",
        folder / "index.sizes.npy",
        folder / "rejected.csv",
        min_frames=3,
    )
    motions = []
    for tar, table in zip(files["tars"], files["tables"], strict=True):
        motions.append(folder / f"{tar.stem}.npy")
        write_shard_motion(tar, table, motions[-1], processes=2)
    paths = (folder / "index.parquet", files["tars"], files["tables"], motions)
    join_motion(*paths, folder / "motion.npy")
    return folder, paths


def test_motion_of_shards_in_the_order_of_the_index(split):
    folder, _ = split
    index = load_index(folder / "index.parquet")
    motion = Motion(folder / "motion.npy", index)
    assert index.videos.to_pylist() == ["late", "still", "walk"]  # the short one is left out
    late, still, walk = (motion.of(i) * SIDE for i in range(3))
    assert [len(walk), len(late), len(still)] == [40, 60, 24]
    assert walk[:-1] == pytest.approx(1, abs=0.15)
    assert late[30:-1] == pytest.approx(2, abs=0.2)
    assert late[:29].max() < 0.1
    assert still.max() < 0.1
    assert walk[-1] == late[-1] == still[-1] == 0
    again = pickle.loads(pickle.dumps(motion))
    assert np.array_equal(again.of(1), motion.of(1))
    assert len(pickle.dumps(motion)) < 1000  # a worker is sent the path, not the numbers


def test_windows_go_where_a_video_moves(split):
    """A video that stands still for its first half: nearly all windows touch the second."""
    folder, _ = split
    index = load_index(folder / "index.parquet")
    motion = Motion(folder / "motion.npy", index).of(0)
    rng = np.random.default_rng(0)
    clips = np.stack([SAMPLINGS["opn"].train(60, rng, motion) for _ in range(2000)])
    # A window of 16 from frame 15 on ends in frame 30, the last that has not moved.
    assert (clips[:, 3] > 30).mean() > 0.98
    uniform = np.stack([SAMPLINGS["opn"].train(60, rng, np.ones(60)) for _ in range(2000)])
    assert (uniform[:, 3] > 30).mean() < 0.65


def test_batches_use_the_motion_and_cannot_do_without(split, monkeypatch):
    folder, _ = split
    real = Index.read_frames
    transform = ClipTransform(
        SAMPLINGS["opn"],
        RandomResizedCrop(32, (40, 48), 40),
        {"strength": 0, "hue": 0, "grey": 0},
        frame_shift=3,
    )
    settings = {"seed": 0, "stage": "s"}
    key = (0, np.array([0, 2]))
    index = folder / "index.parquet"
    clips = TrainClips(index, transform, motion=folder / "motion.npy", **settings)
    assert clips[key].clips.shape == (2, 3, 4, 32, 32)
    # The frames that two worker processes ask for: those of the video's own motion.
    asked = []
    monkeypatch.setattr(
        type(clips.index),
        "read_frames",
        lambda self, i, frames: asked.append((i, frames)) or real(self, i, frames),
    )
    for epoch in range(60):
        clips[epoch, np.array([0, 2])]
    late = [max(frames) for i, frames in asked if i == 0]
    walk = [max(frames) for i, frames in asked if i == 2]
    assert np.mean(np.array(late) > 30) > 0.95
    assert np.mean(np.array(walk) > 30) < 0.6
    batches = list(loader(clips, [(e, np.array([0, 2])) for e in range(3)], 2, clips=2))
    assert all(
        torch.equal(b.clips, clips[e, np.array([0, 2])].clips) for e, b in enumerate(batches)
    )
    with pytest.raises(VieError, match="motion of the video is not known"):
        TrainClips(folder / "index.parquet", transform, **settings)[key]


def test_motion_of_another_index_is_refused(split, tmp_path):
    _folder, (index, tars, tables, motions) = split
    loaded = load_index(index)
    write_array(np.zeros(124, np.float32), tmp_path / "motion.npy", "another index")
    with pytest.raises(VieError, match=r"motion\.npy: .* damaged or of another run; delete"):
        Motion(tmp_path / "motion.npy", loaded)
    np.save(tmp_path / "plain.npy", np.zeros(124, np.float32))
    with pytest.raises(VieError, match=r"plain\.npy: .* no seal"):
        Motion(tmp_path / "plain.npy", loaded)
    with pytest.raises(VieError, match=r"absent\.npy: no such file"):
        Motion(tmp_path / "absent.npy", loaded)
    with pytest.raises(VieError, match="in another shard of"):
        join_motion(index, tars[::-1], tables, motions, tmp_path / "out.npy")
    with pytest.raises(VieError, match=r"1-of-2\.npy: .* of another run; delete"):
        join_motion(index, tars, tables, motions[::-1], tmp_path / "out.npy")
    (tmp_path / "torn.npy").write_bytes(motions[0].read_bytes()[:-9])
    with pytest.raises(VieError, match=r"torn.npy: cannot be read: .*; delete"):
        join_motion(index, tars, tables, [tmp_path / "torn.npy", motions[1]], tmp_path / "out.npy")
    with pytest.raises(VieError, match="are in none of its shards"):
        join_motion(index, tars[:1], tables[:1], motions[:1], tmp_path / "out.npy")
    assert not (tmp_path / "out.npy").exists()
