"""Tracks, changing parameters and standing pictures, told by videos that show their numbers."""

import contextlib

import pytest

from tests.frames.encoding import run_ffmpeg as ffmpeg
from tests.frames.test_excerpts import BITS, H264, SETTINGS, SIDE, shown, write
from vie.frames.contents import frame_size, read_contents, video_span
from vie.frames.excerpts import extract_clip
from vie.frames.ffmpeg import extract_jpegs
from vie.frames.pieces import extract_pieces
from vie.frames.unusable import UnusableVideoError


def reason(video, settings=SETTINGS):
    with pytest.raises(UnusableVideoError) as error:
        extract_jpegs(video, settings)
    return str(error.value)


def joined(tmp_path, name, change):
    """50 frames, then 50 frames with another parameter, joined without encoding anew."""
    parts = []
    for number, how in enumerate(("", change)):
        video = write(tmp_path / f"{number}.mp4", n=50, codec=f"{H264} {how}")
        parts.append(tmp_path / f"{number}.ts")
        ffmpeg("-i", video, "-c", "copy", "-bsf:v", "h264_mp4toannexb", parts[-1])
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"file '{part}'\n" for part in parts))
    ffmpeg("-f", "concat", "-safe", "0", "-i", listed, "-c", "copy", tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.ts"])
@pytest.mark.parametrize(
    "change",
    [
        "-colorspace bt709 -color_primaries bt709 -color_trc bt709",
        "-vf scale=out_range=full -color_range pc",
        f"-vf scale={BITS * SIDE * 2}:{SIDE * 2}:flags=neighbor",
        "-pix_fmt yuv444p",
    ],
    ids=["colours", "range", "size", "format"],
)
def test_no_frame_is_lost_where_parameters_change(tmp_path, name, change):
    video = joined(tmp_path, name, change)
    assert shown(extract_jpegs(video, SETTINGS).jpegs) == [*range(50), *range(50)]


@pytest.mark.parametrize("change", ["-vf setsar=2/1", f"-vf scale={BITS * SIDE}:{SIDE * 3}"])
def test_a_change_of_shape_is_refused(tmp_path, change):
    assert reason(joined(tmp_path, "x.mkv", change)).startswith("frame shape changes: 10.00 and ")


def film_and_still(tmp_path, name, *options):
    """A track of one small picture before a film of 50 frames."""
    film = write(tmp_path / "film.mp4", n=50)
    still = ("-f", "lavfi", "-i", "color=red:s=64x48:r=1:d=1")
    tracks = ("-map", "1:v", "-map", "0:v", "-c:v:0", "mjpeg", "-c:v:1", "copy")
    ffmpeg("-i", film, *still, *tracks, *options, tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.mov"])
@pytest.mark.parametrize("art", [(), ("-disposition:v:0", "attached_pic")])
def test_a_still_picture_is_not_the_video(tmp_path, name, art):
    if art and name == "x.mkv":
        pytest.skip("an attachment there")
    video = film_and_still(tmp_path, name, *art)
    assert shown(extract_jpegs(video, SETTINGS).jpegs) == list(range(50))
    contents = read_contents(video, timeout_seconds=60)
    assert frame_size(video, contents, timeout_seconds=60) == (BITS * SIDE, SIDE)
    assert contents.span()[1] == pytest.approx(2, abs=0.05)


def test_the_default_track_is_read_and_else_the_largest(tmp_path):
    small, large = write(tmp_path / "small.mp4", n=30), tmp_path / "large.mp4"
    ffmpeg("-i", write(tmp_path / "other.mp4", n=50), "-vf", f"scale={BITS * SIDE * 2}:-2", large)
    both = ("-i", small, "-i", large, "-map", "0", "-map", "1", "-c", "copy")
    for name, flags, expected in (
        ("first.mkv", ("default", "0"), 30),
        ("second.mkv", ("0", "default"), 50),
        ("both.mkv", ("default", "default"), 50),
    ):
        options = [x for i, flag in enumerate(flags) for x in (f"-disposition:v:{i}", flag)]
        ffmpeg(*both, *options, "-default_mode", "passthrough", tmp_path / name)
        assert len(extract_jpegs(tmp_path / name, SETTINGS).jpegs) == expected, name


def test_slides_beside_a_film_are_not_the_video(tmp_path):
    """ffmpeg itself calls the first track the default."""
    film, video = write(tmp_path / "film.mp4", n=50), tmp_path / "x.mp4"
    slides = ("-f", "lavfi", "-i", "color=red:s=160x90:r=1:d=2")
    ffmpeg(*slides, "-i", film, "-map", "0", "-map", "1", "-c:v", "libx264", video)
    assert len(extract_jpegs(video, SETTINGS).jpegs) == 50


def test_files_without_moving_pictures(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x48:r=1:d=1", tmp_path / "one.mp4")
    assert reason(tmp_path / "one.mp4") == "no video: a single picture"
    sound = ("-f", "lavfi", "-i", "sine=d=1", "-i", tmp_path / "one.mp4", "-map", "0", "-map", "1")
    cover = ("-c:v", "mjpeg", "-disposition:v:0", "attached_pic")
    ffmpeg(*sound, *cover, tmp_path / "song.mp4")
    assert reason(tmp_path / "song.mp4") == "no video stream: only a cover picture"
    video = write(tmp_path / "x.ts", n=50)
    head = tmp_path / "head.ts"
    head.write_bytes(video.read_bytes()[:564])  # its tables, and the first bytes of a picture
    assert reason(head).startswith(("no frames: ", "cannot be decoded: the file holds only the"))


# Its fifth picture stands from 0.16 s on, or its 40th from 1.56 s on.
HOLDS = [("x.mp4", 5, 20), ("x.mkv", 5, 20), ("x.webm", 40, 40), ("x.mp4", 40, 60)]


@pytest.mark.parametrize(("name", "at", "late"), HOLDS)
def test_clips_where_a_picture_stands_still(tmp_path, name, at, late):
    codec = "-c:v libvpx-vp9 -g 20 -crf 15 -b:v 0 -deadline realtime -cpu-used 8"
    codec = codec if name == "x.webm" else f"{H264} -g 50"
    times = f"-vf setpts='if(lt(N,{at}),N/25/TB,({late}+N/25)/TB)' -fps_mode vfr"
    video = write(tmp_path / name, n=75, codec=f"{times} {codec}")
    assert video_span(video, timeout_seconds=60) == pytest.approx((0, late + 3), abs=0.05)
    clips = [(0, 10), (5, 15), (late - 5, late + 3), (late + 2, late + 3), (1, late - 2)]
    pieces = extract_pieces(video, SETTINGS, clips)
    for (start, end), piece in zip(clips, pieces, strict=True):
        ticks = range(start * 25, end * 25)
        expected = [i if i < at else max(at - 1, i - late * 25) for i in ticks]
        clip = extract_clip(video, start, end, SETTINGS, only_clip_in_file=True)
        assert shown(clip.jpegs) == expected, (start, end)
        assert shown(piece.jpegs) == expected, (start, end)


def test_frames_that_get_lost_where_times_jump(tmp_path):
    # In a transport stream ffmpeg takes a pause of 12 s for a new clock, and loses what follows.
    times = "-vf setpts='if(lte(N,0),N/25/TB,(12+N/25)/TB)' -fps_mode vfr"
    video = write(tmp_path / "x.ts", n=75, codec=f"{times} {H264}")
    found = None
    with contextlib.suppress(UnusableVideoError):
        found = shown(extract_jpegs(video, SETTINGS).jpegs)
    assert found in (None, [0] * 300 + list(range(75)))


def test_tracks_of_other_kinds_do_not_matter(tmp_path):
    video = write(tmp_path / "x.mp4", n=50)
    sound = ("-f", "lavfi", "-i", "sine=d=4")
    for name in ("long.mp4", "long.mkv", "long.ts", "long.avi"):
        ffmpeg("-i", video, *sound, "-c:v", "copy", tmp_path / name)
        contents = read_contents(tmp_path / name, timeout_seconds=60)
        assert contents.fault is None
        assert contents.track.span() == pytest.approx((0, 2), abs=0.13)
        found = shown(extract_jpegs(tmp_path / name, SETTINGS).jpegs)
        assert found == list(range(len(found)))
        assert len(found) in (49, 50)  # how long the last frame lasts is ffmpeg's to say
