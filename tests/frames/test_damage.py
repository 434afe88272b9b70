"""Files of which a part is missing, wrong or doubled, in every container that can be written."""

import random
import struct
import subprocess

import numpy as np
import pytest

from tests.frames.test_excerpts import write
from tests.frames.test_ffmpeg import decode, encode, pictures
from vie.frames.contents import read_contents
from vie.frames.ffmpeg import FrameSettings, extract_jpegs, ffmpeg_executable
from vie.frames.messages import Line, is_damage, parse, reason
from vie.frames.structure import fault_of
from vie.frames.unusable import UnusableVideoError

SETTINGS = FrameSettings(25, 48, quality=3, timeout_seconds=60, max_seconds=60)
N = 75
KINDS = {
    "vp8.webm": "-c:v libvpx -deadline realtime",
    "vp9.webm": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8",
    "h264.mkv": "-c:v libx264 -pix_fmt yuv420p",
    "hevc.mkv": "-c:v libx265 -x265-params log-level=error:pools=1 -pix_fmt yuv420p",
    "x.ogv": "-c:v libtheora",
    "x.wmv": "-c:v wmv2",
    "x.ts": "-c:v libx264 -pix_fmt yuv420p",
    "x.mpg": "-c:v mpeg2video",
    "x.flv": "-c:v libx264 -pix_fmt yuv420p",
    "x.avi": "-c:v mpeg4",
    "x.mp4": "-c:v libx264 -pix_fmt yuv420p -movflags +faststart",
    "x.gif": "-c:v gif",
    "parts.mp4": "-c:v libx264 -pix_fmt yuv420p -movflags frag_keyframe+empty_moov",
}
SEEN = ("h264.mkv", "hevc.mkv", "x.ogv", "vp8.webm", "vp9.webm")  # by checksums, or as holes
# Nothing in these files tells that the end is missing.
UNNOTICED = {("x.mpg", "cut off"), ("x.ts", "cut off")}


def film(n=N):
    """(n, 48, 64, 3) uint8: a scene that moves, and noise that makes frames long."""
    rng, frames = np.random.default_rng(0), np.zeros((n, 48, 64, 3), np.int64)
    frames += rng.integers(-25, 25, frames.shape)
    for i in range(n):
        frames[i] += 128 + (60 * np.sin(np.arange(64) / 6 + i / 3)).astype(int)[None, :, None]
        frames[i, 10 : 10 + i // 3] += 50
    return frames.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Bytes of one good file of each kind, and its decoded frames."""
    made = {}

    def of(name):
        if name not in made:
            video = tmp_path_factory.mktemp("films") / name
            encode(video, film(), *KINDS[name].split(), "-b:v", "400k", "-g", "25")
            made[name] = (
                video.read_bytes(),
                decode(extract_jpegs(video, SETTINGS).jpegs).astype(int),
            )
        return made[name]

    return of


def damaged(content, how, rng):
    at, n = rng.randrange(len(content) // 10, len(content) * 9 // 10), len(content)
    if how == "zeroed":
        return content[:at] + bytes(2000) + content[at + 2000 :]
    if how == "cut out":
        return content[:at] + content[at + 3000 :]
    if how == "doubled":
        return content[:at] + content[max(at - 20_000, 0) :]
    if how == "cut off":
        return content[:at]
    return content[: n // 2] + bytes(n - n // 2)  # half empty


LOST = ["cut out", "doubled", "cut off", "half empty"]


@pytest.mark.parametrize(
    ("name", "how"),
    [(name, how) for name in KINDS for how in LOST if (name, how) not in UNNOTICED]
    + [(name, "zeroed") for name in SEEN],
)
def test_damage_is_noticed(tmp_path, films, name, how):
    """What is kept has all frames, and those are the right ones."""
    content, truth = films(name)
    assert len(truth) == pytest.approx(N, abs=1)
    (tmp_path / name).write_bytes(damaged(content, how, random.Random(f"{name} {how}")))
    refused = ""
    try:
        frames = decode(extract_jpegs(tmp_path / name, SETTINGS).jpegs)
    except UnusableVideoError as error:
        refused = str(error)
    if refused:
        assert refused.startswith(("truncated: ", "cannot be decoded: ", "no frames: "))
    else:
        assert frames.shape == truth.shape
        assert np.abs(frames - truth).mean((1, 2, 3)).max() < 8


@pytest.mark.parametrize("name", ["x.mp4", "x.flv", "x.avi"])
def test_damage_in_the_first_frames_is_noticed(tmp_path, films, name):
    """The decoder says so before there is a frame, at most places."""
    content, _ = films(name)
    start = content.index({"x.mp4": b"mdat", "x.avi": b"movi", "x.flv": b"filesize"}[name])
    refused = 0
    for at in range(start + 100, start + 2100, 200):
        (tmp_path / name).write_bytes(content[:at] + bytes(1000) + content[at + 1000 :])
        try:
            extract_jpegs(tmp_path / name, SETTINGS)
        except UnusableVideoError as error:
            refused += "damaged" in str(error) or "no key frame" in str(error)
    assert refused >= 5


@pytest.mark.parametrize("name", ["x.ts", "x.mpg"])
def test_zeros_at_the_start_or_end_of_a_stream_are_missing_parts(tmp_path, films, name):
    content, _ = films(name)
    half, video = len(content) // 2, tmp_path / name
    for left, what in (
        (bytes(half) + content[half:], "begins"),
        (content[:half] + bytes(half), "ends"),
    ):
        video.write_bytes(left)
        with pytest.raises(UnusableVideoError, match=f"the file {what} with zeros"):
            extract_jpegs(video, SETTINGS)
    video.write_bytes(content + bytes(1000))
    assert fault_of(video) is None


def test_an_flv_that_is_cut_off_anywhere(tmp_path, films):
    content, _ = films("x.flv")
    video = tmp_path / "x.flv"
    for extra in (b"", bytes(1000)):  # zeros, as of a disk that was given in blocks
        video.write_bytes(content + extra)
        assert fault_of(video) is None
    rng = random.Random(0)
    borders = 0
    for _ in range(100):
        video.write_bytes(content[: rng.randrange(1000, len(content) - 4)])
        borders += fault_of(video) is None
    assert borders <= 3  # a cut between two tags is none


def box(name, *content):
    inside = b"".join(content)
    return struct.pack(">I4s", len(inside) + 8, name) + inside


@pytest.mark.parametrize(
    ("numbers", "good"),
    [
        ([1, 2, 3, 4], True),
        ([1, 1, 2, 2, 3], True),  # each track counts
        ([7, 9, 11, 13], True),
        ([1, 11, 12, 22, 23, 33], True),
        ([1, 2, 3, 5, 6], False),
        ([1, 2, 3, 2, 3], False),
        ([1, 3, 5, 11, 13], False),
    ],
)
def test_fragments_are_numbered(tmp_path, numbers, good):
    video = tmp_path / "x.mp4"
    moofs = [box(b"moof", box(b"mfhd", struct.pack(">II", 0, n))) for n in numbers]
    content = box(b"ftyp") + box(b"moov") + b"".join(moof + box(b"mdat", b"x") for moof in moofs)
    for end in (b"", struct.pack(">I4s", 0, b"mdat") + b"open"):
        video.write_bytes(content + end)
        assert (fault_of(video) is None) == good
    video.write_bytes(content[:-1])
    assert fault_of(video).reason.startswith("truncated: ")
    for end in (bytes(1000), b"no box, but something else"):
        video.write_bytes(content + end)
        assert "is not the start of a part" in fault_of(video).reason


def test_damage_is_allowed_up_to_a_share(tmp_path, films):
    content, truth = films("x.ts")
    at = len(content) // 2 // 188 * 188
    video = tmp_path / "x.ts"
    video.write_bytes(content[:at] + content[at + 4 * 188 :])
    with pytest.raises(UnusableVideoError, match=rf"[1-9]\d* of {N} frames are damaged \("):
        extract_jpegs(video, SETTINGS)
    allowed = FrameSettings(25, 48, 3, 60, 60, damaged=0.9)
    assert len(extract_jpegs(video, allowed).jpegs) == len(truth)


@pytest.mark.parametrize("name", ["h264.mkv", "hevc.mkv"])
def test_a_flipped_bit_is_noticed_where_there_are_checksums(tmp_path, films, name):
    content, _ = films(name)
    rng = random.Random(name)
    for _ in range(5):
        flipped = bytearray(content)
        flipped[rng.randrange(len(content) // 4, len(content))] ^= 1 << rng.randrange(8)
        (tmp_path / name).write_bytes(flipped)
        with pytest.raises(UnusableVideoError):
            extract_jpegs(tmp_path / name, SETTINGS)


GOOD = [
    ("parts.mp4", "-c:v libx264 -movflags frag_keyframe+empty_moov"),
    ("live.webm", "-c:v libvpx -deadline realtime -live 1"),
    ("live.mkv", "-c:v libx264 -live 1"),
    ("many.mkv", "-c:v libx264 -cluster_time_limit 100"),
    ("late.mkv", "-c:v libx264 -vf setpts=PTS+2/TB"),
    ("open.ts", "-c:v libx264 -x264-params open-gop=1"),
    ("b.avi", "-c:v mpeg4 -bf 2"),
]


@pytest.mark.parametrize(("name", "codec"), GOOD)
def test_good_files_are_whole(tmp_path, name, codec):
    how = (*codec.split(), "-pix_fmt", "yuv420p", "-g", "25")
    video = encode(tmp_path / name, pictures(75, 64, 48), *how)
    assert fault_of(video) is None
    assert read_contents(video, timeout_seconds=60).fault is None
    assert len(extract_jpegs(video, SETTINGS).jpegs) == 75


def test_room_that_is_left_empty_in_a_webm_is_no_hole(tmp_path):
    how = ("-c:v", "libvpx", "-pix_fmt", "yuv420p", "-deadline", "realtime", "-live", "1")
    video = encode(tmp_path / "x.webm", pictures(75, 64, 48), *how)
    void = b"\xec" + (0x4000 | 600).to_bytes(2, "big") + bytes(600)
    head, rest = video.read_bytes().split(cluster := bytes.fromhex("1F43B675"), 1)
    size, blocks = rest.split(b"\xe7\x81\0", 1)  # its time is 0
    larger = (int.from_bytes(size, "big") + len(void)).to_bytes(len(size), "big")
    video.write_bytes(head + cluster + larger + b"\xe7\x81\0" + void + blocks)
    assert len(extract_jpegs(video, SETTINGS).jpegs) == 75


@pytest.mark.parametrize(("name", "codec"), [("x.wmv", "wmv2"), ("x.avi", "mpeg4")])
def test_zeros_behind_the_end_are_no_damage(tmp_path, name, codec):
    video = encode(tmp_path / name, pictures(75, 64, 48), "-c:v", codec, "-pix_fmt", "yuv420p")
    with video.open("ab") as file:
        file.write(bytes(2048))
    assert len(extract_jpegs(video, SETTINGS).jpegs) == 75


@pytest.mark.parametrize("name", ["x.ts", "x.mkv", "x.mp4", "x.flv"])
def test_a_cut_between_key_frames_is_whole(tmp_path, name):
    """By stream copy: what cannot be decoded before the first key frame is no damage."""
    video = write(tmp_path / name, n=100, codec="-c:v libx264 -g 40 -bf 3 -pix_fmt yuv420p")
    cut = tmp_path / f"cut_{name}"
    how = ("-ss", "0.7", "-copyinkf", "-c", "copy")
    done = [ffmpeg_executable(), "-v", "error", "-i", str(video), *how, str(cut)]
    subprocess.run(done, check=True)
    assert len(extract_jpegs(cut, SETTINGS).jpegs) >= 55


@pytest.mark.parametrize(
    "head",
    [
        b"OggS",
        b"\x1a\x45\xdf\xa3",
        b"GIF89a",
        b"RIFF",
        b"0&\xb2u\x8ef\xcf\x11",
        b"FLV",
        b"\0\0\0\x08ftyp",
    ],
)
def test_any_bytes_are_looked_at_in_bounded_time(tmp_path, head, monkeypatch):
    monkeypatch.setattr("vie.frames.structure.MOST_PARTS", 1000)
    rng = random.Random(0)
    # Empty parts without end, and noise after a right beginning.
    empty = {b"OggS": b"OggS" + bytes(23), b"GIF89a": b"!\xff\0"}.get(head, b"\xec\x80")
    for content in (head + empty * 20_000, head, *(head + rng.randbytes(500) for _ in range(200))):
        (tmp_path / "x").write_bytes(content)
        fault_of(tmp_path / "x")


def test_lines_of_ffmpeg_are_taken_apart():
    line = "[vist#0:0/h264 @ 0x55] [dec:h264 @ 0x5f] [error] Error submitting packet: Invalid"
    assert parse(line) == Line("dec:h264", "error", "Error submitting packet: Invalid")
    assert parse("[error] no one") == Line("", "error", "no one")
    assert parse("Consider this") == Line("", "", "Consider this")
    assert is_damage(parse("[in#0/mpegts @ 0x5] [warning] Packet corrupt (stream = 0, dts = 9)."))
    assert not is_damage(parse("[h264 @ 0x5] [warning] deprecated pixel format"))
    assert not is_damage(parse("[hevc @ 0x5] [error] SEI type 5 size 9 truncated at 8"))


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("moov atom not found", "cannot be decoded: no video, or one without its index"),
        (
            "Cannot determine format of input 0:0 after EOF",
            "cannot be decoded: the file holds only",
        ),
        ("Attempted to read next track in single-track mode.", "truncated: "),
        ("Output file does not contain any stream", "no video stream"),
        ("Format not on whitelist 'mov'", "not a container that is read: "),
        ("something new", "cannot be decoded: something new"),
    ],
)
def test_riddles_have_words(said, wanted):
    assert reason(f"{said}\nmore\n").startswith(wanted)
    assert "more" not in reason(f"{said}\nmore\n")
    assert reason("") == "cannot be decoded: ffmpeg does not say why"
