"""What comes of a folder of videos: the whole way from names to the index, in a process of its own.

The process tells what its ffmpeg took, and can be ended if it hangs.
"""

import contextlib
import io
import logging
import os
import re
import resource
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from vie.datasets.layouts.folders import read_folders
from vie.frames.extract import Shard, extract_shard, read_rejected
from vie.frames.ffmpeg import FrameSettings
from vie.frames.index import build_index, load_index
from vie.frames.manifest import class_names, write_manifest
from vie.runtime.errors import VieError

SETTINGS = {"fps": 25, "shorter_side": 96, "quality": 3, "timeout_seconds": 20, "max_seconds": 8}
SEEN = (32, 24)  # pixels, width and height, at which pictures are compared


@dataclass
class Outcome:
    """What came of the entries of a folder; names are those of the entries."""

    refusal: str = ""  # the layout's message, if it refused the folder
    log: str = ""
    listed: list[str] = field(default_factory=list)
    indexed: dict[str, np.ndarray] = field(default_factory=dict)  # (n, 24, 32, 3) uint8
    shapes: dict[str, tuple[int, int]] = field(default_factory=dict)  # width, height
    rejected: list[tuple[str, str]] = field(default_factory=list)  # name, reason
    crash: str = ""  # a traceback
    left: list[str] = field(default_factory=list)  # processes or files that stay
    kilobytes: int = 0  # the largest ffmpeg so far in this process


def be_quiet() -> None:
    """No progress bars of a thousand cases."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def read_all(videos: Path) -> Outcome:
    """Read a folder of class folders into an index beside it."""
    outcome, told = Outcome(), io.StringIO()
    handler = logging.StreamHandler(told)
    logging.getLogger().addHandler(handler)
    try:
        _read(videos, outcome)
    except Exception:
        outcome.crash = traceback.format_exc()
    logging.getLogger().removeHandler(handler)
    outcome.log = told.getvalue()
    outcome.kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with contextlib.suppress(ChildProcessError):  # there is none, as it should be
        outcome.left.append(f"process {os.waitpid(-1, os.WNOHANG)}")
    return outcome


def _read(videos: Path, outcome: Outcome) -> None:
    home = videos.parent
    try:
        found = read_folders(videos, Path(), "all")
        write_manifest(found, class_names(found), home / "manifest.parquet")
    except VieError as error:
        outcome.refusal = str(error)
        return
    name_of = {video.video: _entry(videos, video.path) for video in found}
    outcome.listed = sorted(name_of.values())
    made = [home / "frames" / f"0.{end}" for end in ("tar", "parquet", "rejected.csv")]
    made[0].parent.mkdir()
    shard = Shard(home / "manifest.parquet", 0, 1, *made)
    extract_shard(shard, videos, FrameSettings(**SETTINGS), processes=2)
    tar, table, rejected = made
    outputs = [home / name for name in ("index.parquet", "index.sizes.npy", "rejected.csv")]
    build_index(shard.manifest, [tar], [table], [rejected], *outputs, min_frames=3)
    outcome.left += [p.name for p in tar.parent.iterdir() if p not in made]
    rows = read_rejected(home / "rejected.csv")
    outcome.rejected = [(name_of[row["video"]], row["reason"]) for row in rows]
    index = load_index(home / "index.parquet")
    for i, video in enumerate(index.videos.to_pylist()):
        jpegs = index.read_frames(i, range(int(index.n_frames[i])))
        outcome.indexed[name_of[video]] = np.stack([_pixels(jpeg) for jpeg in jpegs])
        outcome.shapes[name_of[video]] = int(index.widths[i]), int(index.heights[i])


def _entry(videos: Path, path: str) -> str:
    """The name of the entry that a path is about; what cannot be printed is written as \\x0a."""
    name = os.path.basename(path)
    if os.path.lexists(videos / path):
        return name
    coded = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), os.fsencode(name))
    return os.fsdecode(coded)


def _pixels(jpeg: bytes) -> np.ndarray:
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    return np.asarray(picture.resize(SEEN, Image.Resampling.BOX))


def compare(found: np.ndarray, wanted: np.ndarray, off: float) -> str:
    """Frames of a video (n, ...) against those of the undamaged one (m, ...), in a word or two.

    Two pictures are the same where their mean difference is at most `off`. The count may be one
    off, and a picture may come one frame early or late.
    """
    n, m = len(found), len(wanted)
    if n < m - 1:
        return "short"
    distance = np.abs(found[:, None].astype(np.int16) - wanted[None]).mean((2, 3, 4))  # (n, m)
    same = distance <= off
    near = np.abs(np.arange(min(n, m))[:, None] - np.arange(m)) <= 1
    if (same[:m] & near).any(1).all():
        return "right" if n <= m + 1 else "longer"
    moved = same[:m].any(1) & ~(same[:m] & near).any(1)
    return "moved" if moved.any() else "wrong pictures"
