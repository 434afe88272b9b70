"""Clips of longer files, told by videos whose pixels say which frame they are."""

import io
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.frames.encoding import run_ffmpeg
from vie.frames import ffmpeg as module
from vie.frames.contents import video_span
from vie.frames.excerpts import excerpt_of, extract_clip
from vie.frames.extract import Shard, extract_shard, read_rejected
from vie.frames.ffmpeg import FrameSettings, extract_jpegs, ffmpeg_executable
from vie.frames.manifest import Video, write_manifest
from vie.frames.shards import read_shard_table
from vie.frames.unusable import UnusableVideoError

BITS, SIDE = 10, 16  # squares, bright for 1
SETTINGS = FrameSettings(25, SIDE, quality=2, timeout_seconds=60, max_seconds=60)
H264 = "-c:v libx264 -preset veryfast -crf 12 -bf 3 -pix_fmt yuv420p"


def write(path, n=500, rate="25", codec=f"{H264} -g 250"):
    """A video whose frame i shows the number i in binary."""
    bits = (np.arange(n)[:, None] >> np.arange(BITS)) & 1  # (n, BITS)
    row = np.repeat(bits * 190 + 30, SIDE, axis=1).astype(np.uint8)  # (n, BITS * SIDE)
    frames = np.broadcast_to(row[:, None, :], (n, SIDE, BITS * SIDE))
    raw = f"-f rawvideo -pix_fmt gray -s {BITS * SIDE}x{SIDE} -r {rate} -i pipe:0 -threads 1"
    content = np.ascontiguousarray(frames).tobytes()
    run_ffmpeg(*raw.split(), *codec.split(), path, content=content)
    return path


def shown(jpegs):
    """The number that each frame shows."""
    found = []
    for jpeg in jpegs:
        pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"), dtype=float)
        squares = pixels.reshape(SIDE, BITS, SIDE)[4:-4, :, 4:-4]  # (8, BITS, 8)
        bits = squares.mean((0, 2)) > 125  # (BITS,)
        found.append(int((bits << np.arange(BITS)).sum()))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """500 frames in 20 s, two key frames."""
    return write(tmp_path_factory.mktemp("whole") / "x.mp4")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.mp4", f"{H264} -g 250"),
        ("open.mp4", f"{H264} -g 40 -x264-params open-gop=1"),
        ("parts.mp4", f"{H264} -movflags frag_keyframe+empty_moov"),
        ("x.mkv", "-c:v libx265 -g 60 -crf 12 -pix_fmt yuv420p -x265-params log-level=error"),
        ("x.webm", "-c:v libvpx-vp9 -g 128 -crf 15 -b:v 0 -deadline realtime -cpu-used 8"),
        ("x.flv", H264),
        ("x.ts", f"{H264} -g 50"),  # no index
        ("x.mpg", "-c:v mpeg2video -bf 2 -q:v 2 -pix_fmt yuv420p"),
        ("x.avi", "-c:v mpeg4 -bf 2 -q:v 2 -pix_fmt yuv420p"),  # no times
        ("h264.avi", H264),
    ],
)
def test_excerpts_are_exact_on_the_frame(tmp_path, name, codec):
    video = write(tmp_path / name, codec=codec)
    timeless = name == "x.mpg"  # its last three frames, even where all of it is decoded
    exact = 0.12 if timeless else 0.041
    assert video_span(video, timeout_seconds=60)[1] == pytest.approx(20, abs=exact)
    for start, end in ((0, 3), (7, 11), (13, 19 if timeless else 20)):
        jpegs = extract_jpegs(video, SETTINGS, (start, end)).jpegs
        assert shown(jpegs) == list(range(25 * start, 25 * end)), (start, end)


@pytest.mark.parametrize("rate", ["30", "30000/1001", "12"])
def test_other_rates(tmp_path, rate):
    video = write(tmp_path / "x.mkv", n=240, rate=rate)
    seconds = 1001 / 30000 if "/" in rate else 1 / int(rate)
    assert video_span(video, timeout_seconds=60)[1] == pytest.approx(240 * seconds, abs=0.01)
    jpegs = extract_jpegs(video, SETTINGS, (2, 6)).jpegs
    times = np.array(shown(jpegs)) * seconds
    assert len(times) == 100
    assert np.abs(times - (2 + np.arange(100) / 25)).max() < max(seconds, 1 / 25)


def test_the_second_before_the_jump_does_not_matter(whole, monkeypatch):
    """Frames are the same wherever decoding starts."""
    found = []
    for early in (0, 2, 10, 100):
        monkeypatch.setattr(module, "SEEK_EARLY", early)
        found.append(extract_jpegs(whole, SETTINGS, (12, 14)).jpegs)
    assert all(one == found[-1] for one in found)


@pytest.mark.parametrize(
    ("length", "start", "end", "wanted"),
    [
        (10.0, 0, 10, None),  # the clip itself
        (10.1, 140, 150, None),
        (7.3, 140, 150, None),  # as some are
        (12.0, 140, 150, None),
        (12.1, 140, 150, "beyond the end: seconds 140 to 150 of a file that plays 12.1 s"),
        (12.1, 0, 10, (0, 10)),
        (300.0, 140, 150, (140, 150)),
        (150.0, 140, 150, (140, 150)),
        (149.1, 140, 150, (140, 150)),  # annotated in whole seconds
        (148.9, 140, 150, "beyond the end"),
        (100.0, 140, 150, "beyond the end"),
    ],
)
def test_which_seconds_of_a_file_are_the_clip(length, start, end, wanted):
    if isinstance(wanted, str):
        with pytest.raises(UnusableVideoError, match=wanted):
            excerpt_of(length, start, end, only_clip_in_file=True)
    else:
        assert excerpt_of(length, start, end, only_clip_in_file=True) == wanted
    if wanted is None:
        with pytest.raises(UnusableVideoError, match="not the only clip of its file"):
            excerpt_of(length, start, end, only_clip_in_file=False)


def test_a_clip_that_was_cut_without_encoding_it_anew_is_the_clip(tmp_path, whole):
    """As the crawlers' first version cut them: from the key frame before, which mp4 hides."""
    cut = tmp_path / "cut.mp4"
    how = ("-ss", "12", "-t", "6", "-i", whole, "-c", "copy")
    subprocess.run([ffmpeg_executable(), "-v", "error", *how, cut], check=True)
    assert video_span(cut, timeout_seconds=60)[1] == pytest.approx(6, abs=0.2)
    frames = extract_clip(cut, 12, 18, SETTINGS, only_clip_in_file=True)
    found = shown(frames.jpegs)
    assert found[0] == 300
    assert 150 <= len(found) <= 155


def test_clips_of_files_in_a_shard(tmp_path, whole):
    """Several clips of one file, a file that is the clip, and such as cannot be used."""
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "long.mp4").symlink_to(whole)
    write(videos / "short.mp4", n=100)
    (videos / "two.mp4").symlink_to("short.mp4")
    clips = [
        Video("long a", "long.mp4", "c", 2, 6),
        Video("long b", "long.mp4", "c", 14, 18),
        Video("long c", "long.mp4", "c", 18, 22),
        Video("long d", "long.mp4", "c", 5, 15),
        Video("gone", "gone.mp4", "c", 5, 15),
        Video("short", "short.mp4", "c", 140, 144),
        Video("two a", "two.mp4", "c", 140, 144),
        Video("two b", "two.mp4", "c", 150, 154),
    ]
    write_manifest(clips, ["c"], tmp_path / "manifest.parquet")
    kept, refused = {}, {}
    for shard in range(2):  # clips of a file in other shards count, too
        tar, table, rejected = (tmp_path / f"{shard}.{end}" for end in ("tar", "parquet", "csv"))
        extract_shard(
            Shard(tmp_path / "manifest.parquet", shard, 2, tar, table, rejected),
            videos,
            replace(SETTINGS, max_seconds=5),  # of the clip, not of the file
            processes=2,
        )
        refused |= {row["video"]: row["reason"] for row in read_rejected(rejected)}
        content = tar.read_bytes()
        for row in read_shard_table(table).to_pylist():
            places = zip(row["offsets"], row["sizes"], strict=True)
            kept[row["video"]] = shown([content[at : at + size] for at, size in places])
    assert kept == {
        "long a": list(range(50, 150)),
        "long b": list(range(350, 450)),
        "short": list(range(100)),
    }
    assert refused.pop("long c").startswith("clip beyond the end: seconds 18 to 22 of a file")
    assert refused.pop("two a").startswith("not the only clip of its file: the file plays 4.0 s")
    assert refused.pop("two b").startswith("not the only clip of its file")
    assert refused == {"long d": "too long: more than 5 s", "gone": "missing file"}


def test_a_clip_that_cannot_be_read_whole_is_refused(whole, monkeypatch):
    """As where a jump lands late."""
    from vie.frames import excerpts

    def late(video, settings, excerpt, contents):
        return extract_jpegs(video, settings, (excerpt[0] + 3, excerpt[1]))

    monkeypatch.setattr(excerpts, "extract_jpegs", late)
    with pytest.raises(UnusableVideoError, match=r"clip incomplete: 1\.0 of 4\.0 s from second 7"):
        extract_clip(whole, 7, 11, SETTINGS, only_clip_in_file=True)


def test_files_that_are_no_videos_have_no_length(tmp_path):
    (tmp_path / "x.mp4").write_text("no video")
    with pytest.raises(UnusableVideoError, match="cannot be decoded"):
        video_span(tmp_path / "x.mp4", timeout_seconds=60)
    with pytest.raises(UnusableVideoError, match="missing file"):
        video_span(tmp_path / "y.mp4", timeout_seconds=60)
    tone = ["-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac"]
    sound = tmp_path / "z.mp4"
    subprocess.run([ffmpeg_executable(), "-v", "error", *tone, sound], check=True)
    with pytest.raises(UnusableVideoError, match="no video stream"):
        video_span(sound, timeout_seconds=60)
