"""AVI: its frames have no times, and what it says of their number is not always so."""

import struct

import pytest

from tests.frames.test_excerpts import SETTINGS, shown, write
from tests.frames.test_reading import ffmpeg, reason
from vie.frames.contents import read_contents
from vie.frames.ffmpeg import extract_jpegs

CODECS = ["-c:v mjpeg -q:v 3 -pix_fmt yuvj420p", "-c:v mpeg4 -q:v 3 -bf 2", "-c:v libx264 -bf 2"]


def chunks(content, name=b"00dc"):
    """(Byte, length) of each frame of an AVI of one track."""
    at, end = content.index(b"movi") + 4, content.index(b"idx1")
    while at < end:
        length = struct.unpack_from("<I", content, at + 4)[0]
        if content[at : at + 4] == name:
            yield at, length
        at += 8 + length + length % 2


@pytest.fixture(params=CODECS, ids=["mjpeg", "mpeg4", "h264"])
def video(request, tmp_path):
    return write(tmp_path / "x.avi", n=50, codec=request.param)


def test_sound_may_start_late(tmp_path, video):
    sound = ("-itsoffset", "1.5", "-f", "lavfi", "-i", "sine=d=2", "-c:v", "copy")
    ffmpeg("-i", video, *sound, tmp_path / "late.avi")
    assert len(extract_jpegs(tmp_path / "late.avi", SETTINGS).jpegs) in (49, 50)


def test_a_length_that_nobody_filled_in(tmp_path, video):
    content = bytearray(video.read_bytes())
    at = content.index(b"strh") + 8 + 32
    for count in (0, 2**30, 2**32 - 1):  # as of a program that was ended, or that wrote to a pipe
        struct.pack_into("<I", content, at, count)
        video.write_bytes(content)
        assert shown(extract_jpegs(video, SETTINGS).jpegs) == list(range(50))


def test_empty_frames_at_the_end_are_not_missing(video):
    content = bytearray(video.read_bytes())
    for at, length in list(chunks(content))[-20:]:
        padded = length + length % 2
        content[at + 4 : at + 16] = struct.pack("<I4sI", 0, b"JUNK", padded - 8)
    index = content.index(b"idx1") + 8
    for entry in range(index + 30 * 16, index + 50 * 16, 16):
        struct.pack_into("<I", content, entry + 12, 0)
    video.write_bytes(content)
    assert read_contents(video, timeout_seconds=60).fault is None


def test_frames_that_are_listed_and_not_there(video):
    content = bytearray(video.read_bytes())
    for at, length in list(chunks(content))[20:23]:
        content[at : at + 8 + length] = bytes(8 + length)
    video.write_bytes(content)
    assert reason(video).startswith(("truncated: ", "cannot be decoded: "))


def test_frames_that_only_the_header_counts(video):
    content = video.read_bytes()
    (at, _), end = list(chunks(content))[29], content.index(b"idx1")
    content = content.replace(b"idx1", b"JUNK")
    video.write_bytes(content)
    assert read_contents(video, timeout_seconds=60).fault is None
    video.write_bytes(content[:at] + bytes(end - at) + content[end:])
    assert read_contents(video, timeout_seconds=60).fault == "truncated: 29 of 50 frames"


def test_a_tag_of_another_kind_may_follow_and_frames_may_not(video):
    content = video.read_bytes()
    video.write_bytes(content + b"ID3\x03" + bytes(range(1, 256)) * 8)
    assert shown(extract_jpegs(video, SETTINGS).jpegs) == list(range(50))
    video.write_bytes(content + content[len(content) // 2 :])
    assert "is not the start of a RIFF" in reason(video)
