"""Colours of frames against matrices written down here; PIL decodes the JPEGs."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.frames.encoding import run_ffmpeg
from vie.frames.colours import frame_matrix, jpeg_filters, matrix_of
from vie.frames.contents import read_contents
from vie.frames.ffmpeg import FrameSettings, extract_jpegs
from vie.frames.unusable import UnusableVideoError

WEIGHTS = {  # of red and blue in luma, and a name in ffmpeg
    "bt601": (0.299, 0.114, "smpte170m"),
    "bt709": (0.2126, 0.0722, "bt709"),
    "bt2020": (0.2627, 0.0593, "bt2020nc"),
}
COLOURS = [(180, 140, 80), (200, 60, 50), (50, 170, 70), (60, 70, 190), (30, 90, 120), (20, 20, 20)]


def to_yuv(rgb, matrix, full, bits):
    """(Y, Cb, Cr), rounded to whole numbers."""
    red, blue, _ = WEIGHTS[matrix]
    r, g, b = np.array(rgb) / 255
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    step, half = 2 ** (bits - 8), 2 ** (bits - 1)
    if full:
        levels = np.array([y, cb, cr]) * (2**bits - 1) + [0, half, half]
    else:
        levels = np.array([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr]) * step
    return levels.round().astype(int)


def to_rgb(yuv, matrix, full, bits):
    """Exact, of 255."""
    red, blue, _ = WEIGHTS[matrix]
    step, half = 2 ** (bits - 8), 2 ** (bits - 1)
    if full:
        y, cb, cr = (yuv - np.array([0, half, half])) / (2**bits - 1)
    else:
        y, cb, cr = (yuv / step - [16, 128, 128]) / [219, 224, 224]
    r, b = y + (2 - 2 * red) * cr, y + (2 - 2 * blue) * cb
    return np.array([r, (y - red * r - blue * b) / (1 - red - blue), b]) * 255


def flat(path, yuv, size, pixels, tags=""):
    """A file with one frame for each of some (Y, Cb, Cr), without loss."""
    width, height = size
    across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[pixels[3:6].replace("j", "")]
    sizes = [width * height, *[-(-width // across) * -(-height // down)] * 2]
    kind = np.uint16 if "10" in pixels else np.uint8
    raw = b"".join(
        np.full(n, level, kind).tobytes()
        for levels in yuv
        for n, level in zip(sizes, levels, strict=True)
    )
    return written(path, raw, size, pixels + ("le" if "10" in pixels else ""), tags)


def written(path, raw, size, pixels, tags="", codec=("-c:v", "ffv1")):
    argv = ["-f", "rawvideo", "-pix_fmt", pixels]
    argv += ["-s", f"{size[0]}x{size[1]}", "-r", "25", "-i", "pipe:0"]
    if tags:
        argv += ["-vf", f"setparams={tags}"]
        argv += ["-color_range", "pc" if "full" in tags else "tv"]  # else it is converted
    run_ffmpeg(*argv, *codec, f"file:{path}", content=raw)
    return path


def colours_of(video, side):
    """Least and largest (frames, 3) RGB of each frame."""
    frames = extract_jpegs(video, FrameSettings(25, side, 2, timeout_seconds=60, max_seconds=60))
    found = [np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")) for jpeg in frames.jpegs]
    return np.stack([f.min((0, 1)) for f in found]), np.stack([f.max((0, 1)) for f in found])


def check(video, wanted, sides, tolerance=1.9):
    """A JPEG's own rounding is up to 1.4 levels of RGB, and PIL's half a level."""
    for side in sides:
        for found in colours_of(video, side):
            assert np.abs(found - np.clip(wanted, 0, 255)).max() < tolerance, (side, found, wanted)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p10", "yuv444p"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", list(WEIGHTS))
def test_matrix_and_range_are_those_of_the_tags(tmp_path, matrix, full, pixels):
    bits = 10 if "10" in pixels else 8
    levels = [to_yuv(colour, matrix, full, bits) for colour in COLOURS]
    tags = f"colorspace={WEIGHTS[matrix][2]}:range={'full' if full else 'limited'}"
    video = flat(tmp_path / "x.mkv", levels, (160, 90), pixels, tags)
    check(video, [to_rgb(one, matrix, full, bits) for one in levels], (32, 57, 90, 200))


@pytest.mark.parametrize("lines", [144, 718, 720, 1080])
def test_a_missing_matrix_is_that_of_the_lines(tmp_path, lines):
    matrix = "bt709" if lines >= 720 else "bt601"
    levels = [to_yuv(colour, matrix, False, 8) for colour in COLOURS[:2]]
    video = flat(tmp_path / "x.mkv", levels, (lines // 2 * 3, lines), "yuv420p")
    wanted = [to_rgb(one, matrix, False, 8) for one in levels]
    check(video, wanted, (32, 128, 320))


def test_every_size_gives_the_same_colour(tmp_path):
    levels = [to_yuv(COLOURS[0], "bt709", False, 8)] * 2
    tags = "colorspace=bt709:range=limited"
    video = flat(tmp_path / "x.mkv", levels, (3840, 2160), "yuv420p", tags)
    wanted = np.full((2, 3), COLOURS[0])
    check(video, wanted, (16, 32, 80, 128, 255, 320, 720), tolerance=1.1)


@pytest.mark.parametrize("pixels", ["rgb24", "gbrp", "bgra", "yuvj420p"])
def test_formats_that_are_full_range_without_a_tag(tmp_path, pixels):
    colour, n = COLOURS[0], 48 * 64
    planes = {
        "rgb24": bytes(colour) * n,
        "bgra": bytes((*colour[::-1], 255)) * n,
        "gbrp": b"".join(bytes([colour[i]]) * n for i in (1, 2, 0)),
        "yuvj420p": b"".join(
            bytes([level]) * (n // part)
            for level, part in zip(to_yuv(colour, "bt601", True, 8), (1, 4, 4), strict=True)
        ),
    }
    codec = ("-c:v", "mjpeg", "-q:v", "2") if "j" in pixels else ("-c:v", "ffv1")
    video = written(tmp_path / "x.mkv", planes[pixels] * 2, (64, 48), pixels, codec=codec)
    check(video, np.full((2, 3), colour), (32, 48, 77), tolerance=1.1)


@pytest.mark.parametrize(
    ("tags", "wanted"), [("range=limited", 128), ("range=full", 126), ("", 126)]
)
def test_grey(tmp_path, tags, wanted):
    video = written(tmp_path / "x.mkv", bytes([126]) * 64 * 48 * 2, (64, 48), "gray", tags)
    check(video, np.full((2, 3), wanted), (32, 48), tolerance=1.1)


@pytest.mark.parametrize("codec", ["libvpx-vp9 -lossless 1", "libx265 -x265-params lossless=1"])
def test_a_tag_of_the_container_counts_where_the_decoder_knows_none(tmp_path, codec):
    levels = [to_yuv(colour, "bt709", False, 8) for colour in COLOURS]
    raw = flat(tmp_path / "raw.mkv", levels, (160, 90), "yuv420p")
    untagged, video = tmp_path / "untagged.mkv", tmp_path / "x.mkv"
    run_ffmpeg("-i", raw, "-c:v", *codec.split(), "-pix_fmt", "yuv420p", untagged)
    run_ffmpeg("-i", untagged, "-c", "copy", "-colorspace", "bt709", "-color_range", "tv", video)
    if "bt709" not in read_contents(video, timeout_seconds=60).track.words:
        pytest.skip("this ffmpeg does not write, or tell, the container's tag")
    for path, matrix in ((untagged, "bt601"), (video, "bt709")):
        check(path, [to_rgb(one, matrix, False, 8) for one in levels], (57, 90))


def joined(tmp_path, *parts):
    """H.264 of one colour, (matrix, whether of full range) in each of the parts."""
    made = []
    for matrix, full in parts:
        levels = [to_yuv(COLOURS[0], matrix, full, 8)] * 10
        tags = f"colorspace={WEIGHTS[matrix][2]}:range={'full' if full else 'limited'}"
        raw = flat(tmp_path / f"{len(made)}.mkv", levels, (160, 96), "yuv420p", tags)
        made.append(tmp_path / f"{len(made)}.ts")
        run_ffmpeg("-i", raw, "-c:v", "libx264", "-qp", "1", made[-1])
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"file {part.name}\n" for part in made))
    run_ffmpeg("-f", "concat", "-i", listed, "-c", "copy", tmp_path / "x.mp4")
    return tmp_path / "x.mp4"


def test_a_range_that_becomes_limited_is_refused(tmp_path):
    """ffmpeg would go on as before."""
    with pytest.raises(UnusableVideoError, match=r"colours change midway: frame \d+ is tagged tv"):
        colours_of(joined(tmp_path, ("bt709", True), ("bt709", False)), 64)


@pytest.mark.parametrize(
    "parts",
    [(("bt601", False), ("bt709", False)), (("bt709", False), ("bt709", True))],
)
def test_colours_that_change_midway_are_followed(tmp_path, parts):
    low, high = colours_of(joined(tmp_path, *parts), 64)
    assert len(low) >= 20
    for found in (low[:9], low[-9:], high[:9], high[-9:]):
        assert np.abs(found - np.array(COLOURS[0])).max() <= 3  # the codec loses some, too


def test_gradients_are_as_good_as_rounding_allows(tmp_path):
    """A ramp keeps its levels: no steps, no shift to either side."""
    ramp = np.broadcast_to(np.linspace(20, 235, 256).round().astype(np.uint8)[:, None], (256, 64))
    pixels = np.stack([ramp.T] * 3, -1)  # (64, 256, 3)
    video = written(tmp_path / "x.mkv", pixels.tobytes() * 2, (256, 64), "rgb24")
    frames = extract_jpegs(video, FrameSettings(25, 64, 2, timeout_seconds=60, max_seconds=60))
    found = np.asarray(Image.open(io.BytesIO(frames.jpegs[0])).convert("RGB")).astype(float)
    assert np.abs(found - pixels).mean() < 1
    assert abs((found - pixels).mean()) < 0.3


@pytest.mark.parametrize(
    ("stream", "matrix"),
    [
        (" (High) (avc1 / 0x31637661), yuv420p(progressive), 1280x720 [SAR 1:1], 2 kb/s", "bt709"),
        (" (High), yuv420p(tv, bt709, progressive), 1920x1080 [SAR 1:1 DAR 16:9]", "auto"),
        (", yuv420p(tv, bt709/unknown/unknown, progressive), 1920x1080, SAR 1:1", "auto"),
        (", yuv420p(tv, unknown/bt709/bt709, progressive), 1920x1080", "bt709"),
        (" (Main), yuv420p10le(tv, bt2020nc/bt2020/smpte2084), 3840x2160", "auto"),
        (" (I420 / 0x30323449), yuv420p, 640x480, 20 fps", "auto"),
        ("", "auto"),
    ],
)
def test_what_ffmpeg_says_of_a_stream(stream, matrix):
    assert f"in_color_matrix={matrix}:" in ",".join(jpeg_filters(90, stream, matrix_of(stream)))


HD, SD = " (High), yuv420p(progressive), 1280x720", " (High), yuv420p(progressive), 640x360"


@pytest.mark.parametrize(
    ("stream", "tag", "pixels", "lines", "used", "matrix"),
    [
        (HD, "unknown", "yuv420p", 720, "bt709", "bt709"),
        (HD, "smpte170m", "yuv420p", 720, "bt709", "bt601"),
        (HD, "unknown", "yuv420p", 360, "bt709", "bt601"),
        (HD, "gbr", "gbrp", 720, "bt709", "bt709"),
        (SD, "unknown", "yuv420p", 360, "auto", "auto"),
        (SD, "bt709", "yuv420p", 360, "auto", "auto"),
        (SD, "unknown", "yuv420p", 720, "auto", "bt709"),
        (SD, "ycgco", "yuv420p", 360, "auto", "auto"),
        (", yuv420p(tv, bt709), 640x360", "unknown", "yuv420p", 360, "auto", "bt709"),
        (", yuv420p(tv, bt709), 640x360", "unknown", "yuv420p", 360, "bt709", "bt709"),
        (", yuv420p(tv, bt470bg), 640x360", "unknown", "yuv420p", 360, "auto", "auto"),
        (", yuv420p10le(tv, bt2020nc/a/b), 640x360", "unknown", "p010le", 360, "auto", "bt2020"),
    ],
)
def test_the_matrix_that_a_frame_needs(stream, tag, pixels, lines, used, matrix):
    assert frame_matrix(stream, used, tag, pixels, lines) == matrix
