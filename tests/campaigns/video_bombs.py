"""Small videos that ask for much: memory, time, frames."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.video_inputs import X264, Input, Sources

Patch = Callable[[random.Random, bytearray, int], None]


def dimension(rng: random.Random, most: int) -> int:
    return rng.choice((1, 4000, 8192, 16000, most))


def put(data: bytearray, place: int, value: int, length: int, order: str) -> None:
    data[place : place + length] = (value % 256**length).to_bytes(length, order)


def vp8_size(rng: random.Random, data: bytearray, place: int) -> None:
    put(data, place + 3, dimension(rng, 16383), 2, "little")
    put(data, place + 5, dimension(rng, 16383), 2, "little")


def jpeg_size(rng: random.Random, data: bytearray, place: int) -> None:
    put(data, place + 5, dimension(rng, 65535), 2, "big")
    put(data, place + 7, dimension(rng, 65535), 2, "big")


def gif_size(rng: random.Random, data: bytearray, place: int) -> None:
    put(data, 6, dimension(rng, 65535), 2, "little")
    put(data, 8, dimension(rng, 65535), 2, "little")


def gif_delay(rng: random.Random, data: bytearray, place: int) -> None:
    put(data, place + 4, rng.choice((0, 1, 65535)), 2, "little")


def mpeg_size(rng: random.Random, data: bytearray, place: int) -> None:
    put(data, place + 4, dimension(rng, 4095) % 4096 << 12 | dimension(rng, 4095) % 4096, 3, "big")


def theora_size(rng: random.Random, data: bytearray, place: int) -> None:
    put(data, place + 10, dimension(rng, 65535) // 16, 2, "big")
    put(data, place + 12, dimension(rng, 65535) // 16, 2, "big")


def avi_rate(rng: random.Random, data: bytearray, place: int) -> None:
    for start in (place + 20, place + 24, place + 32):  # scale, rate, length
        if rng.random() < 0.5:
            put(data, start, rng.choice((0, 1, 2**31 - 1, 2**32 - 1)), 4, "little")


def box_number(rng: random.Random, data: bytearray, place: int) -> None:
    """Timescale, duration, counts, sizes, whatever it is."""
    start = place + 4 + 4 * rng.randrange(8)
    put(data, start, rng.choice((0, 1, 10**6, 2**31 - 1, 2**32 - 1)), 4, "big")


def matroska_size(rng: random.Random, data: bytearray, place: int) -> None:
    data[place + 2] = rng.randrange(256)


# (kind, bytes before what is changed, change)
PATCHES: tuple[tuple[str, bytes, Patch], ...] = (
    ("webm/VP8", b"\x9d\x01\x2a", vp8_size),
    ("avi/MJPEG", b"\xff\xc0\x00\x11\x08", jpeg_size),
    ("mov/MJPEG", b"\xff\xc0\x00\x11\x08", jpeg_size),
    ("gif", b"GIF89a", gif_size),
    ("gif", b"\x21\xf9\x04", gif_delay),
    ("mpg/MPEG-1", b"\x00\x00\x01\xb3", mpeg_size),
    ("mxf/MPEG-2", b"\x00\x00\x01\xb3", mpeg_size),
    ("ogv/Theora", b"\x80theora", theora_size),
    ("avi/MPEG-4", b"vids", avi_rate),
    *(("mp4/H.264", name, box_number) for name in (b"mdhd", b"mvhd", b"stts", b"stsz", b"ctts")),
    *(("mp4/H.264", name, box_number) for name in (b"stsc", b"stco", b"elst", b"tkhd", b"avc1")),
    *(("fragmented mp4", name, box_number) for name in (b"tfhd", b"trun", b"tfdt", b"mvhd")),
    ("mkv/H.264", b"\xb0", matroska_size),
    ("mkv/HEVC", b"\x23\xe3\x83", matroska_size),  # the time from frame to frame
    ("webm/VP9", b"\x2a\xd7\xb1", matroska_size),  # the unit of times
)
BLACK = "-f lavfi -i color=black:s={size}:r=25:d={seconds}"
SMALL = "-f lavfi -i testsrc2=s=64x48:r=25:d=1"
# {file: arguments of ffmpeg}
MADE = {
    "8192 mjpeg.avi": f"{BLACK.format(size='8192x8192', seconds=0.12)} -c:v mjpeg -q:v 31",
    "8192 h264.mp4": f"{BLACK.format(size='8192x8192', seconds=0.12)} {X264} -preset ultrafast",
    "16 references.mp4": f"{BLACK.format(size='4096x2160', seconds=1)} {X264} -preset ultrafast"
    " -x264-params ref=16:bframes=0:keyint=250",
    "wide pixels.mkv": f"{SMALL} -vf setsar=1000/1 -c:v mpeg4",
    "very wide pixels.mkv": f"{SMALL} -vf setsar=65535/1 -c:v mpeg4",
    "tall pixels.mkv": f"{SMALL} -vf setsar=1/900 -c:v mpeg4",
    "strip.mkv": "-f lavfi -i color=red:s=8000x2:r=25:d=1 -pix_fmt yuv420p -c:v ffv1",
    "days apart.mkv": f"{SMALL} -vf setpts=if(lt(N\\,12)\\,N/25\\,N*86400)/TB -fps_mode vfr {X264}",
    "days apart.mp4": f"{SMALL} -vf setpts=if(lt(N\\,12)\\,N/25\\,N*3600)/TB -fps_mode vfr {X264}",
    "all days apart.mkv": f"{SMALL} -vf setpts=N*86400/TB -fps_mode vfr -c:v mpeg4",
    "million a second.mkv": f"{SMALL} -vf setpts=N/1000000/TB -enc_time_base 1/1000000"
    " -fps_mode vfr -c:v ffv1",
    "thousand a second.avi": f"{SMALL} -vf setpts=N/1000/TB -r 1000 -c:v mjpeg",
    "one in an hour.avi": f"{SMALL} -vf setpts=N*3600/TB -r 1/3600 -c:v mjpeg",
    "late start.mkv": f"{SMALL} -output_ts_offset 1000000 {X264}",
    "early start.mkv": f"{SMALL} -output_ts_offset -5 -avoid_negative_ts disabled {X264}",
}
# Few bytes that are a video each, many times one after the other: up to a million frames.
REPEATED = {
    "16x16.m1v": "-f lavfi -i color=black:s=16x16:r=25:d=40 -c:v mpeg1video -g 1000 -f mpegvideo",
    "16x16.ts": "-f lavfi -i color=black:s=16x16:r=25:d=10 -c:v mpeg1video -g 250",
    "16x16.mpg": "-f lavfi -i color=black:s=16x16:r=25:d=10 -c:v mpeg1video -g 250",
    "16x16.ogv": "-f lavfi -i color=black:s=16x16:r=25:d=10 -c:v libtheora -g 250",
    "16x16.mkv": "-f lavfi -i color=black:s=16x16:r=25:d=10 -c:v mpeg4 -g 250",
    "16x16.gif": "-f lavfi -i color=black:s=16x16:r=25:d=10",
}
MOST = 8 * 2**20  # bytes of a repeated file


def bomb(rng: random.Random, folder: Path, sources: Sources) -> Input:
    """A small file that asks for much."""
    what = rng.choice(("patched", "patched", "patched", "made", "repeated"))
    if what == "patched":
        name, data = patched(rng, sources)
    elif what == "made":
        name = rng.choice(sorted(MADE))
        data = sources.made(name, MADE[name])
    else:
        name = rng.choice(sorted(REPEATED))
        data = sources.made(name, REPEATED[name])
        data = data and data * min(1000, MOST // len(data))
    path = folder / f"bad{rng.choice(('.mp4', '.mkv', '.avi'))}"
    path.write_bytes(data or b"")  # what this ffmpeg cannot write is an empty file
    return Input(path.name, name)


def patched(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """A video with another number in its headers."""
    kind, mark, change = rng.choice(PATCHES)
    if not sources.path(kind):
        return kind, b""
    data = bytearray(sources.bytes_of(kind))
    place = data.find(mark)
    while place >= 0:
        change(rng, data, place)
        place = data.find(mark, place + 1) if rng.random() < 0.9 else -1
    return f"{kind} {mark.decode('latin-1').strip()}", bytes(data)
