"""Videos as people have them that were once read wrongly, made anew, and what is right for each."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from tests.frames.encoding import run_ffmpeg
from vie.frames.contents import video_span
from vie.frames.excerpts import extract_clip
from vie.frames.ffmpeg import FrameSettings, extract_jpegs
from vie.frames.unusable import UnusableVideoError

H264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p"
BT709 = "-colorspace bt709 -color_primaries bt709 -color_trc bt709"
SETTINGS = {"fps": 25, "shorter_side": 96, "quality": 2, "timeout_seconds": 60, "max_seconds": 30}


def ffmpeg(path, arguments):
    """A file that ffmpeg makes."""
    run_ffmpeg(*arguments.split(), path)
    return path


def read(path, **changes):
    return extract_jpegs(path, FrameSettings(**SETTINGS | changes))


def pixels(jpegs):
    return np.stack([np.asarray(Image.open(io.BytesIO(jpeg))) for jpeg in jpegs]).astype(int)


def joined(folder, first, second, name):
    """Two videos of 2 s one after the other, without encoding anew."""
    for i, changes in enumerate((first, second)):
        source = "-f lavfi -i testsrc=s=160x120:r=25:d=2"
        one = ffmpeg(folder / f"{i}.mp4", f"{source} {changes} {H264}")
        ffmpeg(folder / f"{i}.ts", f"-i {one} -c copy -bsf:v h264_mp4toannexb -f mpegts")
    (folder / "list.txt").write_text("file 0.ts\nfile 1.ts\n")
    return ffmpeg(folder / name, f"-f concat -i {folder / 'list.txt'} -c copy")


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.ts"])
def test_colours_that_change_midway(tmp_path, name):
    frames = read(joined(tmp_path, "", BT709, name)).jpegs
    assert len(frames) == 100
    shown = pixels(frames)
    # testsrc counts seconds from 0 in both halves: the second one repeats the first.
    assert np.abs(shown[:50] - shown[50:]).mean((1, 2, 3)).max() < 12


@pytest.mark.parametrize("changes", ["-vf scale=120:90", "-vf setsar=4/3"])
def test_a_shape_that_changes_midway_loses_nothing_in_silence(tmp_path, changes):
    with contextlib.suppress(UnusableVideoError):
        assert len(read(joined(tmp_path, "", changes, "x.mp4")).jpegs) == 100


def test_a_second_half_of_zeros(tmp_path):
    source = "-f lavfi -i testsrc2=s=160x120:r=30:d=4"
    codec = "-c:v libvpx -b:v 300k -deadline realtime -cpu-used 8"
    video = ffmpeg(tmp_path / "x.webm", f"{source} {codec}")
    data = video.read_bytes()
    assert abs(len(read(video).jpegs) - 100) <= 1
    video.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with pytest.raises(UnusableVideoError):
        read(video)


def test_ogg_that_is_cut(tmp_path):
    source = "-f lavfi -i testsrc2=s=160x120:r=25:d=8"
    video = ffmpeg(tmp_path / "x.ogv", f"{source} -c:v libtheora -b:v 300k")
    data = video.read_bytes()
    assert len(read(video).jpegs) == 200
    for share in (0.12, 0.3, 0.55, 0.9):
        video.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UnusableVideoError):
            read(video)


HOLD = "if(lt(N\\,5)\\,N/25/TB\\,(20+N/25)/TB)"


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv"])
def test_a_picture_that_stands_still(tmp_path, name):
    """It plays 21 s; its fifth picture stands from 0.16 to 20.2 s, as in a recorded screen."""
    source = "-f lavfi -i testsrc2=s=160x120:r=25:d=1"
    video = ffmpeg(tmp_path / name, f"{source} -vf setpts={HOLD} -fps_mode vfr {H264}")
    settings = FrameSettings(**SETTINGS)
    assert video_span(video, timeout_seconds=60)[1] == pytest.approx(21, abs=0.1)
    whole = pixels(extract_jpegs(video, settings).jpegs)
    assert abs(len(whole) - 525) <= 1
    for start, end in ((5, 15), (15, 21), (0, 10)):
        clip = extract_clip(video, start, end, settings, only_clip_in_file=False)
        wanted = whole[25 * start : 25 * end]
        assert abs(len(clip.jpegs) - 25 * (end - start)) <= 1
        many = min(len(wanted), len(clip.jpegs))
        assert np.abs(pixels(clip.jpegs)[:many] - wanted[:many]).max() <= 4


@pytest.mark.parametrize("side", [80, 128])
def test_a_colour_is_the_same_at_every_size(tmp_path, side):
    video = ffmpeg(
        tmp_path / "x.mkv",
        "-f lavfi -i color=0xB48C50:s=1920x1080:r=25:d=0.12 -vf "
        f"scale=out_color_matrix=bt709:out_range=tv,format=yuv420p -c:v ffv1 {BT709} "
        "-color_range tv",
    )
    # What the file's own numbers mean, as BT.709 defines it.
    raw = ffmpeg(tmp_path / "x.yuv", f"-i {video} -frames:v 1 -f rawvideo").read_bytes()
    n = 1920 * 1080
    luma, blue, red = (raw[i] for i in (0, n, n + n // 4))
    light, b, r = (luma - 16) * 255 / 219, (blue - 128) * 255 / 224, (red - 128) * 255 / 224
    green = light - 0.1873 * b - 0.4681 * r
    wanted = np.array([light + 1.5748 * r, green, light + 1.8556 * b])
    assert np.abs(wanted - (180, 140, 80)).max() < 3  # it is the colour that was asked for
    shown = pixels(read(video, shorter_side=side).jpegs)
    assert np.abs(shown - wanted).max() < 2  # half a level of a JPEG's chroma, and of its luma


def test_a_still_before_the_film(tmp_path):
    film = "-f lavfi -i testsrc2=s=320x180:r=25:d=2"
    still = "-f lavfi -i color=red:s=160x90:r=1:d=1"
    codecs = "-map 1:v -map 0:v -c:v:0 mjpeg -c:v:1 libx264 -pix_fmt yuv420p"
    frames = read(ffmpeg(tmp_path / "x.mp4", f"{film} {still} {codecs}"), shorter_side=180)
    assert (len(frames.jpegs), frames.width, frames.height) == (50, 320, 180)
    red = np.abs(pixels(frames.jpegs) - (254, 0, 0)).mean((1, 2, 3))
    assert red.min() > 40


def test_reasons_are_in_words(tmp_path):
    source = "-f lavfi -i testsrc2=s=160x120:r=25:d=4"
    stream = ffmpeg(tmp_path / "x.ts", f"{source} {H264}")
    stream.write_bytes(stream.read_bytes()[:564])
    flash = ffmpeg(tmp_path / "x.flv", f"{source} {H264}")
    flash.write_bytes(flash.read_bytes()[: flash.stat().st_size // 2])
    for video in (stream, flash):
        with pytest.raises(UnusableVideoError) as caught:
            read(video)
        said = str(caught.value).removeprefix("cannot be decoded: ")
        assert not said.startswith(("Cannot determine format", "Attempted to read"))
