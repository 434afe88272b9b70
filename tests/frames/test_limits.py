"""Limits of a process of ffmpeg: pixels, memory, and what happens when it is killed."""

import sys
import threading
import time

import pytest

from tests.frames.encoding import run_ffmpeg
from vie.config.datasets import OF_VIDEOS
from vie.frames import process
from vie.frames.ffmpeg import FrameSettings, extract_jpegs, ffmpeg_executable
from vie.frames.process import MAX_PIXELS, Turns, max_memory
from vie.frames.unusable import UnusableVideoError
from vie.workflow import resources

SETTINGS = {"fps": 25, "shorter_side": 48, "quality": 3, "timeout_seconds": 60, "max_seconds": 60}


def video(path, size, *codec, frames=3, source="testsrc2="):
    drawn = ("-f", "lavfi", "-i", f"{source}s={size}:r=25")
    run_ffmpeg(*drawn, "-frames:v", frames, *codec, path)
    return path


def reason(path, **settings):
    with pytest.raises(UnusableVideoError) as error:
        extract_jpegs(path, FrameSettings(**SETTINGS | settings))
    return str(error.value)


def stand_in(tmp_path, monkeypatch, script):
    """A program in place of ffmpeg."""
    program = tmp_path / "stand_in"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setattr(process, "ffmpeg_executable", lambda: str(program))


@pytest.mark.parametrize("name", ["x.mp4", "x.ts", "x.mkv", "x.avi"])
def test_frames_with_too_many_pixels(tmp_path, name):
    codec = ("-c:v", "mjpeg") if name == "x.avi" else ("-c:v", "libx264", "-pix_fmt", "yuv420p")
    path = video(tmp_path / name, "160x96", *codec)
    wanted = "too large: 160x96 pixels, more than frames.max_pixels allows"
    assert reason(path, max_pixels=160 * 96 - 1) == wanted
    assert extract_jpegs(path, FrameSettings(**SETTINGS, max_pixels=160 * 96)).width == 80


def test_a_bomb_is_refused_by_default(tmp_path):
    bomb = video(tmp_path / "x.avi", "8192x8192", "-c:v", "mjpeg", frames=2, source="color=red:")
    assert bomb.stat().st_size < 10**7
    assert reason(bomb).startswith("too large: 8192x8192 pixels")
    assert OF_VIDEOS["max_pixels"] == MAX_PIXELS > 7680 * 4320


def test_memory_is_bounded(tmp_path, monkeypatch):
    # What ffmpeg does with H.264: an allocation fails, and it says that there is no frame.
    stand_in(
        tmp_path,
        monkeypatch,
        f"""#!{sys.executable}
import mmap, sys, time
held = []
try:
    while True:
        held.append(mmap.mmap(-1, 2**24))
except OSError:
    sys.stderr.write("[h264 @ 0x55] [error] no frame!\\n")
    sys.stderr.flush()
    time.sleep(2)
    sys.exit(69)
""",
    )
    monkeypatch.setattr(process, "PROCESS_BYTES", 5 * 10**8)
    (tmp_path / "x.mp4").write_bytes(b"some bytes")
    began = time.monotonic()
    said = reason(tmp_path / "x.mp4", max_pixels=5 * 10**6)
    if sys.platform == "linux":
        assert said == "too large: ffmpeg needs more memory than 600 MB (no frame!)"
    assert time.monotonic() - began < 30


def test_large_frames_with_many_references_fit(tmp_path):
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    many = ("-x264-params", "ref=16:bframes=3:b-pyramid=normal")
    path = video(tmp_path / "x.mp4", "3840x2160", *codec, *many, frames=20, source="color=red:")
    assert len(extract_jpegs(path, FrameSettings(**SETTINGS)).jpegs) == 20


@pytest.mark.parametrize("threads", [1, 4, 16])
@pytest.mark.parametrize("pixels", [2 * 10**6, MAX_PIXELS, 2 * 10**8])
def test_a_job_asks_for_what_its_processes_may_take(threads, pixels):
    dataset = {"layout": "folders", "frames": OF_VIDEOS | {"shorter_side": 128}}
    dataset["frames"]["max_pixels"] = pixels
    # 190 MB of its address space are programs and stacks, at least.
    memory = max_memory(pixels) - 150e6
    assert resources.frames(dataset, threads) * 1e6 >= threads * memory


def killed(tmp_path, monkeypatch, times):
    """ffmpeg that is killed amid its output so many times."""
    stand_in(
        tmp_path,
        monkeypatch,
        f"""#!/bin/sh
case "$*" in *image2pipe*) ;; *) exec "{ffmpeg_executable()}" "$@" ;; esac
echo >> "{tmp_path}/runs"
[ $(wc -l < "{tmp_path}/runs") -gt {times} ] && exec "{ffmpeg_executable()}" "$@"
"{ffmpeg_executable()}" "$@" > "{tmp_path}/output"
head -c 3000 "{tmp_path}/output"
kill -KILL $$
""",
    )


def test_a_killed_process_is_run_again(tmp_path, monkeypatch):
    path = video(tmp_path / "x.mkv", "160x96", "-c:v", "mjpeg", frames=20)
    wanted = extract_jpegs(path, FrameSettings(**SETTINGS))
    killed(tmp_path, monkeypatch, times=1)
    found = extract_jpegs(path, FrameSettings(**SETTINGS))
    assert found == wanted
    assert (tmp_path / "runs").read_text() == "\n" * 2


def test_a_process_that_is_killed_twice_is_one_rejected_video(tmp_path, monkeypatch):
    path = video(tmp_path / "x.mkv", "160x96", "-c:v", "mjpeg", frames=20)
    killed(tmp_path, monkeypatch, times=9)
    assert reason(path).startswith("killed twice while it was read")
    assert (tmp_path / "runs").read_text() == "\n" * 2


def test_turns():
    turns, running, most = Turns(), [], []

    def work(alone):
        with turns.alone() if alone else turns.together():
            running.append(alone)
            time.sleep(0.02)
            most.append(list(running))
            running.remove(alone)

    threads = [threading.Thread(target=work, args=(number % 5 == 2,)) for number in range(15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(most) == 15
    assert all(seen == [True] for seen in most if True in seen)
