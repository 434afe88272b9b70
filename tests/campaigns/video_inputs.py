"""Inputs of the campaign of damaged videos: small videos, damage, what is no video, bombs, links.

Each function is given a random.Random and leaves one entry in a class folder.
"""

import functools
import io
import os
import pickle
import random
import socket
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vie.frames.ffmpeg import ffmpeg_executable

FRAMES, WIDTH, HEIGHT = 75, 128, 96  # of every video, at 25 frames per second
X264 = "-c:v libx264 -preset veryfast -g 12 -pix_fmt yuv420p"
# {container and codec: (extension, arguments of ffmpeg)}; half of them have sound.
KINDS = {
    "mp4/H.264": (".mp4", f"{X264} -c:a aac"),
    "fragmented mp4": (".mp4", f"{X264} -movflags frag_keyframe+empty_moov+default_base_moof"),
    "mov/MJPEG": (".mov", "-c:v mjpeg -q:v 8 -pix_fmt yuvj420p -an"),
    "mkv/H.264": (".mkv", f"{X264} -c:a aac"),
    "mkv/HEVC": (".mkv", "-c:v libx265 -preset ultrafast -x265-params keyint=12:log-level=error"),
    "webm/VP8": (".webm", "-c:v libvpx -b:v 300k -deadline realtime -g 12 -c:a libopus"),
    "webm/VP9": (".webm", "-c:v libvpx-vp9 -b:v 300k -deadline realtime -cpu-used 8 -g 12 -an"),
    "avi/MPEG-4": (".avi", "-c:v mpeg4 -q:v 5 -g 12 -bf 2 -c:a libmp3lame"),
    "avi/MJPEG": (".avi", "-c:v mjpeg -q:v 8 -pix_fmt yuvj420p -an"),
    "ts/H.264": (".ts", f"{X264} -c:a aac"),
    "mpg/MPEG-1": (".mpg", "-c:v mpeg1video -q:v 5 -g 12 -c:a mp2"),
    "flv/H.264": (".flv", f"{X264} -c:a aac"),
    "flv/FLV1": (".flv", "-c:v flv -q:v 5 -g 12 -an"),
    "ogv/Theora": (".ogv", "-c:v libtheora -b:v 300k -g 12 -c:a libvorbis"),
    "wmv/WMV2": (".wmv", "-c:v wmv2 -q:v 5 -g 12 -c:a wmav2"),
    "mxf/MPEG-2": (".mxf", "-c:v mpeg2video -q:v 5 -g 12 -an"),
    "gif": (".gif", "-an"),
}
LISTED = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".flv", ".ogv", ".wmv")
FAMILY = ("-f lavfi -i sine=r=44100:d=3", f"-f rawvideo -pix_fmt rgb24 -s {WIDTH}x{HEIGHT} -r 25")


@dataclass(frozen=True)
class Input:
    """One entry of a class folder, and what may come of it."""

    name: str  # of the entry
    what: str  # for the report, in a word or two
    like: str | None = None  # the undamaged video that its frames must be those of
    may_grow: bool = False  # there may be more frames than these
    any_file: bool = True  # a file: it may not be passed over
    strange_name: bool = False  # the layout may refuse it, naming it


@dataclass
class Sources:
    """Undamaged videos, made when they are first asked for."""

    folder: Path  # for the videos
    url: str  # of a server that must never be asked
    secret: Path  # a file outside that must never be read
    lacking: set[str] = field(default_factory=set)  # kinds that this ffmpeg cannot write

    def kind(self, rng: random.Random) -> str:
        """One that this ffmpeg can write."""
        while not self.path(name := rng.choice(sorted(KINDS))):
            pass
        return name

    def path(self, kind: str) -> Path | None:
        """The video of a kind."""
        extension, arguments = KINDS[kind]
        path = self.folder / (kind.replace("/", " ") + extension)
        if not path.exists() and kind not in self.lacking:
            sound, raw = FAMILY
            before = f"{raw} -i pipe:0 {sound}".split()
            if not write(path, [*before, *arguments.split()], moving_pictures().tobytes()):
                self.lacking.add(kind)
        return None if kind in self.lacking else path

    def bytes_of(self, kind: str) -> bytes:
        return self.path(kind).read_bytes()

    def made(self, name: str, arguments: str) -> bytes | None:
        """The bytes of a video that ffmpeg makes; None: it cannot."""
        path = self.folder / name
        done = path.exists() or write(path, arguments.split())
        return path.read_bytes() if done else None


@functools.cache
def moving_pictures() -> np.ndarray:
    """(FRAMES, HEIGHT, WIDTH, 3) uint8: waves whose phases no two near frames share, and noise."""
    t, y, x = np.ogrid[:FRAMES, :HEIGHT, :WIDTH]
    wave = 55 * np.sin(x / 14 + 0.7 * t) + 45 * np.sin(y / 11 + 1.9 * t)
    colour = np.array([150, 120, 90]) + 30 * np.sin(x / 30 + y / 20)[..., None]
    noise = np.random.default_rng(0).normal(0, 8, (HEIGHT, WIDTH, 1))
    return np.clip(wave[..., None] + colour + noise, 0, 255).astype(np.uint8)


def write(path: Path, arguments: list[str], stdin: bytes = b"") -> bool:
    """Run ffmpeg with one file as output; False: it cannot."""
    argv = [ffmpeg_executable(), "-y", "-v", "error", *arguments, "-threads", "1"]
    part = path.with_name(f"part {path.name}")
    done = subprocess.run([*argv, f"file:{part}"], input=stdin, capture_output=True)
    if done.returncode == 0:
        part.rename(path)
    return done.returncode == 0


def piece(rng: random.Random, size: int) -> slice:
    """Some bytes of a file: often few, sometimes half of it."""
    length = min(rng.choice((1, 16, 188, 2000, 3000, size // 10, size // 3, size // 2)), size)
    start = rng.randrange(size - length + 1)
    return slice(start, start + length)


def truncated(rng: random.Random, data: bytes, _: bytes) -> bytes:
    return data[: rng.choice((0, 1, 12, len(data) - 1, *(rng.randrange(len(data)),) * 8))]


def zeroed(rng: random.Random, data: bytes, _: bytes) -> bytes:
    part = piece(rng, len(data))
    return data[: part.start] + bytes(part.stop - part.start) + data[part.stop :]


def flipped(rng: random.Random, data: bytes, _: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 10, 100))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def shuffled(rng: random.Random, data: bytes, _: bytes) -> bytes:
    size = rng.choice((188, 512, 1024, 4096))
    blocks = [data[i : i + size] for i in range(0, len(data), size)]
    for _ in range(rng.choice((1, 1, 3, 20))):
        i, j = rng.randrange(len(blocks)), rng.randrange(len(blocks))
        blocks[i], blocks[j] = blocks[j], blocks[i]
    return b"".join(blocks)


def cut_out(rng: random.Random, data: bytes, _: bytes) -> bytes:
    part = piece(rng, len(data))
    return data[: part.start] + data[part.stop :]


def duplicated(rng: random.Random, data: bytes, _: bytes) -> bytes:
    part = piece(rng, len(data))
    place = rng.choice((part.stop, rng.randrange(len(data))))
    return data[:place] + data[part] + data[place:]


def appended(rng: random.Random, data: bytes, other: bytes) -> bytes:
    more = (data[piece(rng, len(data))], data, other, rng.randbytes(5000), bytes(5000))
    return data + rng.choice(more)


def other_head(rng: random.Random, data: bytes, other: bytes) -> bytes:
    length = rng.choice((4, 8, 12, 64, 512, 2048))
    return other[:length] + data[length:]


def unharmed(_: random.Random, data: bytes, __: bytes) -> bytes:
    return data


# {damage: (function, whether frames may be added)}
DAMAGE = {
    "truncated": (truncated, False),
    "zeroed": (zeroed, False),
    "flipped": (flipped, False),
    "shuffled": (shuffled, False),
    "cut out": (cut_out, False),
    "duplicated": (duplicated, True),
    "appended": (appended, True),
    "other head": (other_head, False),
    "other extension": (unharmed, False),
}


def damaged(rng: random.Random, folder: Path, sources: Sources) -> Input:
    """A video with one kind of damage."""
    kind, other, damage = sources.kind(rng), sources.kind(rng), rng.choice(sorted(DAMAGE))
    change, may_grow = DAMAGE[damage]
    data = change(rng, sources.bytes_of(kind), sources.bytes_of(other))
    extension = KINDS[kind][0]
    if damage == "other extension" or extension not in LISTED:
        extension = rng.choice(LISTED)
    (folder / f"bad{extension}").write_bytes(data)
    return Input(f"bad{extension}", damage, like=kind, may_grow=may_grow)


class Harmful:
    """Unpickling writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return os.mkdir, (str(self.path),)


def archive(kind: str, secret: Path) -> bytes:
    """A small archive with a path that leads out of it."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("../../escaped.txt", secret.read_text())
    else:
        with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as file:
            file.addfile(tarfile.TarInfo("../escaped.txt"))
    return buffer.getvalue()


def no_video(rng: random.Random, folder: Path, sources: Sources) -> Input:
    """A file of another kind with a video's name: it may name files or hosts."""
    target = rng.choice((f"{sources.url}/x.mp4", sources.secret.as_uri(), str(sources.secret)))
    target = rng.choice((target, "file:///etc/passwd", "good.avi", "../../secret.mp4"))
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n"
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="video/mp4">'
        f'<Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )
    contents = {
        "m3u8": hls.encode(),
        "m3u8 key": hls.replace(
            "#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF'
        ).encode(),
        "m3u": f"#EXTM3U\n{target}\n".encode(),
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\nduration 3\n".encode(),
        "concat list": f"file '{target}'\nfile 'good.avi'\n".encode(),
        "dash": mpd.encode(),
        "smooth": f'<SmoothStreamingMedia Url="{target}"/>'.encode(),
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"
        b"a=rtpmap:96 H264/90000\n",
        "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'.encode(),
        "ram": f"{target}\n".encode(),
        "mov reference": b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  "
        + reference_movie(target.encode()),
        "subtitles": b"1\n00:00:01,000 --> 00:00:02,000\nword\n\n" * 20,
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>'.encode(),
        "text": rng.choice(("not found\n", "ä" * 3000, "<!doctype html><h1>404</h1>\n")).encode(),
        "noise": rng.randbytes(rng.choice((1, 10, 5000, 100_000))),
        "zeros": bytes(rng.choice((1, 1000, 100_000))),
        "pickle": pickle.dumps(Harmful(folder / "unpickled")),
        "zip": archive("zip", sources.secret),
        "tar": archive("gz", sources.secret),
        "program": b"\x7fELF" + rng.randbytes(3000),
        "script": b"#!/bin/sh\nmkdir unpickled\n",
    }
    what = rng.choice(sorted(contents))
    name = rng.choice((f"bad{rng.choice(LISTED)}", "bad%03d.mp4", "bad*.mkv"))
    (folder / name).write_bytes(contents[what])
    return Input(name, what)


def reference_movie(target: bytes) -> bytes:
    """A QuickTime film that says where another film is."""

    def box(name: bytes, content: bytes) -> bytes:
        return (len(content) + 8).to_bytes(4, "big") + name + content

    where = bytes(4) + b"url " + (len(target) + 1).to_bytes(4, "big") + target + b"\0"
    return box(b"moov", box(b"rmra", box(b"rmda", box(b"rdrf", where))))


SPECIAL = ("loop", "far loop", "dangling", "fifo", "socket", "folder", "zeros", "terminal")
SPECIAL += ("link to a video", "link to text", "link to fifo", "link to folder", "link to good")
SPECIAL += ("own memory", "unreadable", "class loop", "class dangling", "class fifo")


def link_or_special(rng: random.Random, folder: Path, sources: Sources) -> Input:
    """An entry that is no plain file."""
    path, outside = folder / "bad.mp4", folder.parent.parent / "outside.mp4"
    what = rng.choice(SPECIAL)
    places = {
        "loop": "bad.mp4",
        "dangling": "gone.mp4",
        "link to text": str(sources.secret),
        "link to fifo": "pipe",
        "link to folder": "..",
        "zeros": "/dev/zero",
        "terminal": "/dev/tty",
        "own memory": "/proc/self/mem",
        "link to good": "good.avi",
    }
    if what in places:
        path.symlink_to(places[what])
    if what == "link to fifo":
        os.mkfifo(folder / "pipe")
    elif what == "far loop":
        path.symlink_to("more.mp4")
        (folder / "more.mp4").symlink_to("bad.mp4")
    elif what == "link to a video":
        outside.write_bytes(sources.bytes_of("avi/MPEG-4"))
        path.symlink_to(outside)
        return Input(path.name, what, like="avi/MPEG-4")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            here = os.open(folder, os.O_RDONLY)  # a socket's path has at most 107 bytes
            one.bind(f"/proc/self/fd/{here}/bad.mp4")
            os.close(here)
    elif what == "folder":
        path.mkdir()
    elif what == "unreadable":  # root can read it
        path.write_bytes(sources.bytes_of("avi/MPEG-4"))
        path.chmod(0)
        return Input(path.name, what, like="avi/MPEG-4")
    elif what == "class loop":
        (folder.parent / "b").symlink_to("b")
    elif what == "class dangling":
        (folder.parent / "b").symlink_to("gone")
    elif what == "class fifo":
        os.mkfifo(folder.parent / "b")
    return Input("b" if what.startswith("class") else path.name, what, any_file=False)


STEMS = ("-i", "http:x", "concat:a|b", "%03d", "a'b", 'a"b', "a b", "[a]", "*", "=1+1", "$HOME")
STEMS += (
    "a;b",
    "a,b",
    "ä",
    "a\u0308",
    "🎬",
    " a",
    "a ",
    "a\nb",
    "a\tb",
    "a\\b",
    "\udcff",
    "#a",
    "~",
)
STEMS += (
    "con",
    "a" * 140,
    "a" * 200,
    "a.mp4",
    "..a",
    "@1",
    "file:a",
    "pipe:0",
    "data:,a",
    "\u202eb",
)


def strange_name(rng: random.Random, folder: Path, sources: Sources) -> Input:
    """A good video under a name that programs may read as something else."""
    name = rng.choice(STEMS) + ".avi"
    with open(os.fsencode(folder / name), "wb") as file:
        file.write(sources.bytes_of("avi/MPEG-4"))
    return Input(name, "strange name", like="avi/MPEG-4", strange_name=True)
