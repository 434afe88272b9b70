"""The embedded dataset as files, laid out as Kinetics is: H.264 in class folders, and two CSVs."""

import csv
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vie.datasets.synthetic.render import CLASSES, render
from vie.frames.ffmpeg import ffmpeg_executable
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write
from vie.runtime.progress import progress
from vie.runtime.randomness import generator

FPS = 25
SPLITS = {"train": "train", "val": "validate"}  # folder -> word in the annotation's column
BAD = ("truncated", "empty", "no video stream", "too short", "missing")  # one of each per split
H264 = {"c:v": "libx264", "preset": "veryfast", "crf": 20}
ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Video(NamedTuple):
    """A line of the annotation, and what is written for it.

    Attributes:
        split: "train" or "val".
        label: a name of CLASSES.
        number: of the video in the draw; it alone decides what the video shows.
        youtube_id: 11 letters, unique.
        start: of the excerpt, in whole seconds.
        bad: a name of BAD, or "" for a good video.
    """

    split: str
    label: str
    number: int
    youtube_id: str
    start: int
    bad: str = ""

    @property
    def end(self) -> int:
        """Kinetics' excerpts are 10 s; the files may be shorter, as theirs may."""
        return self.start + 10

    @property
    def path(self) -> str:
        """Relative to the folder of videos."""
        return f"{self.split}/{self.label}/{self.youtube_id}_{self.start:06d}_{self.end:06d}.mp4"


def write_embedded(settings: dict, videos: Path, annotations: Path, processes: int) -> None:
    """Write `videos/<split>/<class>/<id>_<start>_<end>.mp4` and `annotations/{train,val}.csv`.

    Both folders are replaced; they appear when they are whole. The same settings give the same
    bytes with the same ffmpeg.

    Args:
        settings: draw (seed of everything in the dataset), train_videos_per_class and
            val_videos_per_class (good videos; bad ones come on top).
        videos, annotations: folders.
        processes: videos rendered and encoded at once.

    Raises:
        VieError: ffmpeg is missing or fails, or a number of videos is below 1.
    """
    listed = plan(settings)
    draw = settings["dataset_seed"]
    write_videos(functools.partial(_write, draw=draw), listed, Path(videos), processes)
    annotations = Path(annotations)
    for split in SPLITS:
        _write_annotation(annotations / f"{split}.csv", [v for v in listed if v.split == split])


def write_videos(write: Callable, listed: Sequence, folder: Path, processes: int) -> None:
    """Write videos to a folder, which is replaced and appears when it is whole.

    Args:
        write: (video, root=folder) writes one video to root / video.path.
        listed: the videos.
        folder: to write.
        processes: videos rendered and encoded at once.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    temporary.chmod(0o755)  # mkdtemp makes folders private
    try:
        for parent in {(temporary / video.path).parent for video in listed}:
            parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(processes) as pool:
            done = pool.map(functools.partial(write, root=temporary), listed, chunksize=8)
            label = f"write videos of {folder.parent.name}"
            for _ in progress(done, total=len(listed), label=label, unit="videos"):
                pass
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def plan(settings: dict) -> list[Video]:
    """Every video of the dataset, good and bad, in the order of the annotations."""
    draw, listed, number = settings["dataset_seed"], [], 0
    for split in SPLITS:
        per_class = settings[f"{split}_videos_per_class"]
        if per_class < 1:
            raise VieError(f"{split}_videos_per_class is {per_class}; it must be at least 1")
        kinds = [("", label) for _ in range(per_class) for label in CLASSES]
        kinds += [(bad, CLASSES[(5 * i) % len(CLASSES)]) for i, bad in enumerate(BAD)]
        for bad, label in kinds:
            rng = generator(draw, "embedded id", instance=number)
            name = "".join(ID_LETTERS[i] for i in rng.integers(len(ID_LETTERS), size=11))
            listed.append(Video(split, label, number, name, int(rng.integers(0, 300)), bad))
            number += 1
    return sorted(listed, key=lambda video: (video.split, video.label, video.youtube_id))


def _write_annotation(path: Path, listed: list[Video]) -> None:
    """The official CSV of a split."""
    with atomic_write(path) as temporary, temporary.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        for video in listed:
            split = SPLITS[video.split]
            rows.writerow([video.label, video.youtube_id, video.start, video.end, split])


def _write(video: Video, *, draw: int, root: Path) -> None:
    path = root / video.path
    if video.bad == "missing":
        return
    if video.bad == "empty":
        path.touch()
    elif video.bad == "no video stream":
        _run(_sound(path), b"")
    else:
        frames = render(video.label, draw, video.number)
        encode(frames[:2] if video.bad == "too short" else frames, path)
        if video.bad == "truncated":
            truncate(path)


def truncate(path: Path) -> None:
    """Leave the first two thirds of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def encode(frames: np.ndarray, path: Path, codec: Mapping[str, object] = H264) -> None:
    """Write (T, H, W, 3) uint8 frames, 25 a second, to a file whose suffix names the container.

    Raises:
        VieError: ffmpeg is missing or fails; the message has its words.
    """
    import ffmpeg

    height, width = frames.shape[1:3]
    source = ffmpeg.input(
        "pipe:0", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=FPS
    )
    stream = source.output(
        str(path),
        **codec,
        **{"flags:v": "+bitexact"},
        pix_fmt="yuv420p",
        threads=1,
        fflags="+bitexact",
        map_metadata=-1,
    )
    _run(stream, frames.tobytes())


def _sound(path: Path):
    """A file with a tone and no picture."""
    import ffmpeg

    tone = ffmpeg.input("sine=frequency=440:duration=2:sample_rate=8000", format="lavfi")
    return tone.output(
        str(path), **{"c:a": "aac", "flags:a": "+bitexact"}, fflags="+bitexact", map_metadata=-1
    )


def _run(stream, content: bytes) -> None:
    stream = stream.global_args("-nostdin", "-hide_banner", "-v", "error", "-y")
    argv = stream.compile(cmd=ffmpeg_executable())
    done = subprocess.run(argv, input=content, capture_output=True, check=False)
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise VieError(f"{argv[-2]}: ffmpeg cannot write it: {words}")
