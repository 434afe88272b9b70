"""Frames against the pixels that the videos were made of; nothing is decoded by the same code."""

import io
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.frames.encoding import run_ffmpeg
from vie.frames import process as module
from vie.frames.contents import reading_seconds
from vie.frames.ffmpeg import FrameSettings, extract_jpegs, ffmpeg_executable
from vie.frames.jpeg import split_jpegs
from vie.frames.unusable import UnusableVideoError
from vie.runtime.errors import VieError

SETTINGS = {"fps": 25, "quality": 2, "timeout_seconds": 60, "max_seconds": 60}
H264 = ("-c:v", "libx264", "-crf", "8", "-pix_fmt", "yuv420p")


def pictures(n: int, width: int, height: int) -> np.ndarray:
    """(n, height, width, 3) uint8: four coloured quarters, one of them brighter in every frame."""
    frames = np.zeros((n, height, width, 3), dtype=np.uint8)
    h, w = height // 2, width // 2
    frames[:, :h, :w] = (200, 60, 50)
    frames[:, :h, w:] = (50, 170, 70)
    frames[:, h:, :w] = (60, 70, 190)
    frames[:, h:, w:] = np.linspace(20, 230, n).astype(np.uint8)[:, None, None, None]
    return frames


def encode(path, frames, *codec, rate=25, before=()):
    _, height, width, _ = frames.shape
    raw = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {rate} -i pipe:0".split()
    written = ("-threads", 1, *codec, f"file:{path}")
    run_ffmpeg(*before, *raw, *written, content=frames.tobytes())
    return path


def decode(jpegs):
    return np.stack([np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")) for jpeg in jpegs])


def close(found, wanted, tolerance=6):
    """Quarter by quarter, away from the edges that 4:2:0 smears."""
    assert found.shape == wanted.shape
    _, height, width, _ = wanted.shape
    for top in (0, height // 2):
        for left in (0, width // 2):
            inside = np.s_[
                :,
                top + height // 8 : top + height * 3 // 8,
                left + width // 8 : left + width * 3 // 8,
            ]
            a, b = found[inside].mean((1, 2)), wanted[inside].mean((1, 2))  # (T, 3)
            assert np.abs(a - b).max() < tolerance, (top, left, np.abs(a - b).max())


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.mp4", H264),
        ("x.avi", ("-c:v", "mpeg4", "-q:v", "2")),
        ("x.webm", ("-c:v", "libvpx-vp9", "-crf", "10", "-b:v", "0", "-deadline", "realtime")),
        ("x.mkv", ("-c:v", "libx265", "-crf", "8", "-x265-params", "pools=1:log-level=error")),
        ("x.ts", H264),
        ("x.flv", H264),
    ],
)
def test_containers_and_codecs(tmp_path, name, codec):
    truth = pictures(30, 96, 64)
    frames = extract_jpegs(
        encode(tmp_path / name, truth, *codec), FrameSettings(shorter_side=64, **SETTINGS)
    )
    assert (len(frames.jpegs), frames.width, frames.height) == (30, 96, 64)
    close(decode(frames.jpegs), truth)


@pytest.mark.parametrize(
    ("size", "shorter_side", "expected"),
    [
        ((101, 77), 77, (101, 77)),
        ((101, 77), 40, (52, 40)),
        ((77, 101), 40, (40, 52)),
        ((340, 256), 320, (425, 320)),
        ((64, 64), 33, (33, 33)),
    ],
)
def test_sizes(tmp_path, size, shorter_side, expected):
    video = encode(tmp_path / "x.avi", pictures(5, *size), "-c:v", "mpeg4", "-q:v", "2")
    frames = extract_jpegs(video, FrameSettings(shorter_side=shorter_side, **SETTINGS))
    assert (frames.width, frames.height) == expected
    close(decode(frames.jpegs), pictures(5, *expected))


def test_rotation_is_applied(tmp_path):
    truth = pictures(6, 96, 64)
    plain = encode(tmp_path / "plain.mp4", truth, *H264)
    content = bytearray(plain.read_bytes())
    at = content.index(b"tkhd") + 44  # its matrix: no option of ffmpeg writes it in all versions
    content[at : at + 20] = struct.pack(">5i", 0, -65536, 0, 65536, 0)
    (turned := tmp_path / "turned.mp4").write_bytes(content)
    frames = extract_jpegs(turned, FrameSettings(shorter_side=64, **SETTINGS))
    assert (frames.width, frames.height) == (64, 96)
    close(decode(frames.jpegs), np.rot90(truth, 1, (1, 2)))


def test_pixels_that_are_not_square(tmp_path):
    video = encode(tmp_path / "x.mp4", pictures(5, 64, 64), "-vf", "setsar=3/2", *H264)
    frames = extract_jpegs(video, FrameSettings(shorter_side=64, **SETTINGS))
    assert (frames.width, frames.height) == (96, 64)
    close(decode(frames.jpegs), pictures(5, 96, 64))


def test_colours_of_high_definition_matrix(tmp_path):
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    to_709 = ("-vf", "scale=out_color_matrix=bt709:out_range=tv")
    video = encode(tmp_path / "x.mp4", pictures(5, 96, 64), *to_709, *tags, *H264)
    close(
        decode(extract_jpegs(video, FrameSettings(shorter_side=64, **SETTINGS)).jpegs),
        pictures(5, 96, 64),
    )


def test_variable_frame_rate(tmp_path):
    # Five frames at 25 fps, then five that last three ticks each; shown times decide.
    times = "setpts=if(lt(N\\,5)\\,N\\,5+(N-5)*3)/25/TB"
    truth = pictures(10, 64, 64)
    video = encode(tmp_path / "x.mkv", truth, "-vf", times, "-fps_mode", "vfr", *H264)
    found = decode(extract_jpegs(video, FrameSettings(shorter_side=64, **SETTINGS)).jpegs)
    expected = [0, 1, 2, 3, 4, *np.repeat([5, 6, 7, 8, 9], 3)]
    assert 18 <= len(found) <= 20  # how long the last frame lasts is the container's to say
    close(found, truth[expected[: len(found)]])


@pytest.mark.parametrize("rate", [10, 29.97, 50])
def test_other_frame_rates(tmp_path, rate):
    n = round(rate * 2)
    video = encode(tmp_path / "x.mp4", pictures(n, 64, 64), *H264, rate=rate)
    found = decode(extract_jpegs(video, FrameSettings(shorter_side=64, **SETTINGS)).jpegs)
    assert abs(len(found) - 50) <= 1
    # The bright quarter runs evenly through its range, so it tells the time of each frame.
    level = found[:, 40:60, 40:60].mean((1, 2, 3))
    expected = np.interp(np.arange(len(found)) / 25, np.arange(n) / rate, np.linspace(20, 230, n))
    assert np.abs(level - expected).max() < 210 / n + 4


def test_first_frame_that_comes_late_is_not_padded(tmp_path):
    video = encode(tmp_path / "x.mkv", pictures(10, 64, 64), "-vf", "setpts=PTS+2/TB", *H264)
    assert len(extract_jpegs(video, FrameSettings(shorter_side=64, **SETTINGS)).jpegs) == 10


def test_the_default_quality_is_what_ffmpeg_does_when_not_told(tmp_path):
    """The release's command, which names files; its tables of quantisation frame by frame."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 96, 128, 3), dtype=np.uint8)
    video = encode(tmp_path / "noise.mp4", noise.repeat(2, 1).repeat(2, 2), *H264)
    plain = f"-y -v error -i {video} -vf scale=-1:192,fps=25 {tmp_path}/%06d.jpg"
    subprocess.run([ffmpeg_executable(), *plain.split()], check=True)
    files = [path.read_bytes() for path in sorted(tmp_path.glob("*.jpg"))]
    theirs = [Image.open(io.BytesIO(jpeg)).quantization for jpeg in files]
    settings = FrameSettings(shorter_side=192, **SETTINGS | {"quality": "default"})
    ours = extract_jpegs(video, settings).jpegs
    found = [Image.open(io.BytesIO(jpeg)).quantization for jpeg in ours]
    assert len(found) == len(theirs) == 12
    assert found == theirs
    assert len({str(one) for one in found}) > 1  # it grows coarser, to keep to a bit rate


def test_same_bytes_every_time(tmp_path):
    video = encode(tmp_path / "x.mp4", pictures(10, 96, 64), *H264)
    first, second = (
        extract_jpegs(video, FrameSettings(shorter_side=48, **SETTINGS)) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    "name", ["-y.mp4", "a;b$(touch x).mp4", "a b [c] 'd'.mp4", "%03d.mp4", "http:a.mp4", "c:|d.mp4"]
)
def test_hostile_names(tmp_path, name, monkeypatch):
    plain = encode(tmp_path / "plain.mp4", pictures(5, 64, 64), *H264)
    plain.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, Path(name)):
        assert len(extract_jpegs(path, FrameSettings(shorter_side=64, **SETTINGS)).jpegs) == 5
    assert os.listdir(tmp_path) == [name]


def reason(path, **settings):
    with pytest.raises(UnusableVideoError) as error:
        extract_jpegs(path, FrameSettings(**{"shorter_side": 64, **SETTINGS, **settings}))
    return str(error.value)


def test_files_that_are_no_videos(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "text.mp4").write_text("<html>404 not found</html>" * 50)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "dangling.mp4").symlink_to("nowhere")
    sound = ["-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac"]
    subprocess.run([ffmpeg_executable(), "-v", "error", *sound, tmp_path / "a.mp4"], check=True)
    assert reason(tmp_path / "none.mp4") == "missing file"
    assert reason(tmp_path / "dangling.mp4") == "missing file"
    assert reason(tmp_path / "empty.mp4") == "empty file"
    assert reason(tmp_path / "folder.mp4") == "not a regular file"
    assert reason(tmp_path / "pipe.mp4") == "not a regular file"
    assert reason(tmp_path / "a.mp4") == "no video stream"
    for name in ("text.mp4", "noise.mp4"):
        assert reason(tmp_path / name).startswith(
            ("cannot be decoded: ", "not a container that is read")
        )
        assert " @ 0x" not in reason(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.mp4", H264),
        ("x.mp4", (*H264, "-movflags", "+faststart")),
        ("x.avi", ("-c:v", "mpeg4", "-q:v", "2")),
        ("x.mkv", H264),
        ("x.flv", H264),
    ],
)
def test_truncated_at_any_byte(tmp_path, name, codec):
    noise = np.random.default_rng(0).integers(256, size=(20, 64, 64, 3), dtype=np.uint8)
    whole = encode(tmp_path / name, noise, *codec).read_bytes()
    for share in (0.1, 0.5, 0.77, 0.95):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        assert reason(tmp_path / name).startswith(("truncated", "cannot be decoded"))


def test_truncated_between_two_packets(tmp_path):
    video = encode(tmp_path / "x.mp4", pictures(20, 64, 64), *H264, "-movflags", "+faststart")
    listing = [ffmpeg_executable(), "-v", "error", "-i", video, "-c", "copy", "-f", "framecrc", "-"]
    lines = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines()
    sizes = [int(line.split(",")[4]) for line in lines if not line.startswith("#")]
    whole = video.read_bytes()
    video.write_bytes(whole[: whole.index(b"mdat") + 4 + sum(sizes[:10])])
    # ffmpeg alone takes this for a good, shorter video.
    assert reason(video).startswith("truncated: ")


def test_damaged_middle_is_not_concealed(tmp_path):
    noise = np.random.default_rng(0).integers(256, size=(20, 64, 64, 3), dtype=np.uint8)
    video = encode(tmp_path / "x.mp4", noise, *H264)
    content = bytearray(video.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xaa" * 3000
    video.write_bytes(content)
    assert reason(video).startswith("cannot be decoded: ")


def test_playlists_are_not_followed(tmp_path):
    secret = encode(tmp_path / "secret.ts", pictures(10, 64, 64), *H264)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        asked = []
        stop = threading.Event()

        def listen():
            while not stop.is_set():
                try:
                    asked.append(server.accept()[0].close())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        for target in (str(secret), "secret.ts", address):
            hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"
            for name, text in (
                ("hls.mp4", hls),
                ("list.m3u8", hls),
                ("concat.mp4", f"ffconcat version 1.0\nfile '{target}'\n"),
                ("dash.mp4", f'<?xml version="1.0"?><MPD><BaseURL>{target}</BaseURL></MPD>'),
            ):
                (tmp_path / name).write_text(text)
                assert reason(tmp_path / name).startswith(
                    ("cannot be decoded: ", "not a container that is read")
                )
        stop.set()
        thread.join()
    assert asked == []


def test_too_long_is_refused_not_cut(tmp_path):
    video = encode(tmp_path / "x.mp4", pictures(30, 64, 64), *H264)
    assert reason(video, max_seconds=1) == "too long: more than 1 s"
    assert (
        len(
            extract_jpegs(video, FrameSettings(shorter_side=64, **SETTINGS | {"max_seconds": 1.2}))[
                0
            ]
        )
        == 30
    )


def test_far_apart_times_are_not_filled_in_for_ever(tmp_path):
    late = ("-vf", "setpts=N*100000/TB", "-fps_mode", "vfr")
    video = encode(tmp_path / "x.mkv", pictures(3, 64, 64), *late, *H264)
    # Filling in would end with another reason: that the time is over.
    assert reason(video, max_seconds=2) == "too long: more than 2 s"


def stand_in(tmp_path, monkeypatch, script):
    """Let a shell script play ffmpeg."""
    fake = tmp_path / "fake"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(module, "ffmpeg_executable", lambda: str(fake))
    video = tmp_path / "x.mp4"
    video.write_bytes(b"some bytes")
    return video


def test_a_large_file_may_be_read_for_longer(tmp_path):
    with (tmp_path / "x.mp4").open("wb") as file:
        file.truncate(2 * 10**9)
    assert reading_seconds(tmp_path / "x.mp4", 60) == 160
    assert reading_seconds(tmp_path / "gone.mp4", 60) == 60


def test_hanging_process_is_killed_with_its_children(tmp_path, monkeypatch):
    child = tmp_path / "child"
    video = stand_in(tmp_path, monkeypatch, f"sleep 100 & echo $! > {child}; wait")
    start = time.monotonic()
    assert reason(video, timeout_seconds=0.5) == "timed out after 0.5 s"
    assert time.monotonic() - start < 50  # the child would sleep for 100 s
    status = f"/proc/{child.read_text().strip()}/status"
    for _ in range(50):  # the kernel may take a moment; a zombie counts as ended
        if not os.path.exists(status) or "State:\tZ" in Path(status).read_text():
            break
        time.sleep(0.1)
    else:
        pytest.fail("the child of the hanging process still runs")


def test_endless_output_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_OUTPUT_BYTES", 2**22)
    assert reason(stand_in(tmp_path, monkeypatch, "cat /dev/zero")).startswith("too large")


def test_endless_messages_do_not_fill_memory(tmp_path, monkeypatch):
    video = stand_in(tmp_path, monkeypatch, "head -c 50000000 /dev/zero | tr '\\0' x >&2; exit 1")
    assert len(reason(video)) < 300


@pytest.fixture
def heeds_interrupts():
    """A shell's job in the background ignores SIGINT, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_crash_and_kill_are_told_apart(tmp_path, monkeypatch, heeds_interrupts):
    assert reason(stand_in(tmp_path, monkeypatch, "kill -SEGV $$")).endswith("with signal 11")
    for end in ("kill -INT $$", "kill -TERM $$", "exit 255"):
        video = stand_in(tmp_path, monkeypatch, end)
        with pytest.raises(VieError, match="killed from outside") as error:
            extract_jpegs(video, FrameSettings(shorter_side=64, **SETTINGS))
        assert not isinstance(error.value, UnusableVideoError)


def jpeg(seed, **options):
    noise = np.random.default_rng(seed).integers(256, size=(24 + seed, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", **options)
    return file.getvalue()


def test_split_jpegs():
    # An embedded thumbnail has an end marker of its own; restart markers lie inside the scan.
    thumbnail = b"Exif\0\0" + jpeg(7)
    wanted = [jpeg(0), jpeg(1, exif=thumbnail), jpeg(2, restart_marker_blocks=1), jpeg(3)]
    stream = b"".join(wanted)
    for length in (len(stream), 1000, 7):  # of the pieces that it comes in
        pieces = [stream[i : i + length] for i in range(0, len(stream), length)]
        found, sizes = zip(*split_jpegs(pieces), strict=True)
        assert list(found) == wanted
        assert sizes == ((40, 24), (40, 25), (40, 26), (40, 27))
    assert list(split_jpegs([])) == []


@pytest.mark.parametrize("cut", [1, 2, 10, 200, 700])
def test_split_jpegs_names_the_frame_that_is_not_whole(cut):
    with pytest.raises(UnusableVideoError, match="frame 1 is not a whole JPEG"):
        list(split_jpegs([jpeg(0), jpeg(1)[:-cut]]))
    with pytest.raises(UnusableVideoError, match="frame 1 is not a whole JPEG"):
        list(split_jpegs([jpeg(0), b"x" * cut]))
