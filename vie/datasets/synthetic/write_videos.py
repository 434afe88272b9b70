"""The embedded dataset as files in the layout of Kinetics: H.264 in class folders, and two CSVs."""

import contextlib
import functools
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vie.datasets.layouts.kinetics import COLUMNS
from vie.datasets.synthetic.render import CLASSES, SCENE_CLASSES, render
from vie.frames.process import ffmpeg_executable
from vie.runtime.csv_files import write_rows
from vie.runtime.disk import no_room, writing
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write, exclusive_workdir
from vie.runtime.progress import progress
from vie.runtime.randomness import generator
from vie.runtime.workers import process_pool

FPS = 25
SPLITS = {"train": "train", "val": "validate"}  # folder -> split in the CSV
BAD = ("truncated", "empty", "no video stream", "too short", "missing")  # one of each per split
H264 = {"c:v": "libx264", "preset": "veryfast", "crf": 20}
ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class EmbeddedVideo(NamedTuple):
    """A line of the annotation, and what is written for it."""

    split: str  # "train" or "val"
    label: str  # of CLASSES or SCENE_CLASSES
    number: int  # in the dataset: it decides, with the dataset's seed, what is shown
    youtube_id: str  # 11 letters, unique
    start: int  # of the excerpt, in whole seconds
    bad: str = ""  # a name of BAD, or "" for a good video

    @property
    def end(self) -> int:
        """Clips of Kinetics are annotated with 10 s; files may be shorter, there as here."""
        return self.start + 10

    @property
    def path(self) -> str:
        """Relative to the folder of videos."""
        return f"{self.split}/{self.label}/{self.youtube_id}_{self.start:06d}_{self.end:06d}.mp4"


def write_embedded(
    settings: dict[str, Any], videos: Path, annotations: Path, processes: int
) -> None:
    """Write `videos/<split>/<class>/<id>_<start>_<end>.mp4` and `annotations/{train,val}.csv`.

    The folder of videos is replaced; it appears when it is complete. The same settings give the
    same bytes with the same ffmpeg.

    Args:
        settings: dataset_seed (of everything in the dataset), train_videos_per_class and
            val_videos_per_class (of good videos; bad ones are added); perhaps scene: figures then
            sway, and it is the share of `render`.
        videos, annotations: folders.
        processes: videos rendered and encoded at once.

    Raises:
        VieError: ffmpeg is missing or fails, or a number of videos is below 1.
    """
    listed = plan(settings)
    how: dict[str, Any] = {
        key: settings[key] for key in ("dataset_seed", "scene") if key in settings
    }
    write = functools.partial(_write, how=how)
    write_videos(write, listed, videos, processes)
    for split, word in SPLITS.items():
        here = [video for video in listed if video.split == split]
        rows = [(v.label, v.youtube_id, v.start, v.end, word) for v in here]
        with atomic_write(annotations / f"{split}.csv") as temporary:
            write_rows(temporary, COLUMNS, rows, plain=True)


@contextlib.contextmanager
def complete_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder; it replaces `folder` if the block succeeds.

    What a kill left of it is removed the next time.

    Raises:
        VieError: another process is at it, or the disk is full.
    """
    work = folder.parent / f".{folder.name}"
    with writing(folder), exclusive_workdir(work):
        try:
            temporary = work / folder.name
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)  # the one that had the lock before has removed both
            with writing(folder):  # it looks at the disk while what was written is there
                yield temporary
                if folder.exists():
                    shutil.rmtree(folder)
                temporary.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def write_videos(
    write: Callable[..., None],
    listed: Sequence[Any],
    folder: Path,
    processes: int,
    unit: str = "videos",
) -> None:
    """Write videos to a folder, which is replaced and appears when it is complete.

    `write(video, root=...)` writes one video to root / video.path, in one of the processes.
    """
    with complete_folder(folder) as temporary:
        for parent in {(temporary / video.path).parent for video in listed}:
            parent.mkdir(parents=True, exist_ok=True)
        with process_pool(processes) as pool:
            done = pool.map(functools.partial(write, root=temporary), listed, chunksize=8)
            label = f"write {unit} of {folder.parent.name}"
            for _ in progress(done, total=len(listed), label=label, unit=unit):
                pass


def plan(settings: dict[str, Any]) -> list[EmbeddedVideo]:
    """Every video of the dataset, good and bad, in the order of the annotations.

    Raises:
        VieError: a split has no videos.
    """
    listed: list[EmbeddedVideo] = []
    classes = SCENE_CLASSES if "scene" in settings else CLASSES
    for split in SPLITS:
        per_class = settings[f"{split}_videos_per_class"]
        if per_class < 1:
            raise VieError(f"{split}_videos_per_class is {per_class}; it must be at least 1")
        kinds = [("", label) for _ in range(per_class) for label in classes]
        kinds += [(bad, classes[(5 * i) % len(classes)]) for i, bad in enumerate(BAD)]
        for number, (bad, label) in enumerate(kinds, start=len(listed)):
            rng = generator(settings["dataset_seed"], "embedded id", instance=number)
            name = "".join(ID_LETTERS[i] for i in rng.integers(len(ID_LETTERS), size=11))
            start = int(rng.integers(0, 300))
            listed.append(EmbeddedVideo(split, label, number, name, start, bad))
    return sorted(listed, key=lambda video: (video.split, video.label, video.youtube_id))


def _write(video: EmbeddedVideo, *, how: dict[str, Any], root: Path) -> None:
    path = root / video.path
    if video.bad == "missing":
        return
    if video.bad == "empty":
        path.touch()
    elif video.bad == "no video stream":
        tone = "sine=frequency=440:duration=2:sample_rate=8000"
        _run(path, b"", tone, {"format": "lavfi"}, {"c:a": "aac", "flags:a": "+bitexact"})
    else:
        frames = render(video.label, number=video.number, **how)
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
        VieError: ffmpeg is missing or fails; the message quotes it.
    """
    height, width = frames.shape[1:3]
    raw = {"format": "rawvideo", "pix_fmt": "rgb24", "s": f"{width}x{height}", "framerate": FPS}
    output = {**codec, "flags:v": "+bitexact", "pix_fmt": "yuv420p", "threads": 1}
    _run(path, frames.tobytes(), "pipe:0", raw, output)


def _run(
    path: Path, content: bytes, source: str, read: dict[str, Any], write: dict[str, Any]
) -> None:
    """Run ffmpeg on `content` with options for the source and for the file that it writes."""
    import ffmpeg

    output = ffmpeg.input(source, **read).output(
        str(path), **write, fflags="+bitexact", map_metadata=-1
    )
    stream = output.global_args("-nostdin", "-hide_banner", "-v", "error", "-y")
    argv = stream.compile(cmd=ffmpeg_executable())
    done = subprocess.run(argv, input=content, capture_output=True, check=False)
    if done.returncode != 0:
        if full := no_room(path.parent):
            raise OSError(full.errno, full.strerror, str(path))
        message = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise VieError(f"{path}: ffmpeg cannot write it: {message}")
