"""Some pieces of a video file, from one decoding of it."""

import math
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

from simplejpeg import decode_jpeg_header

from vie.frames.ffmpeg import Frames, FrameSettings, stream_jpegs
from vie.frames.unusable import UnusableVideoError

IN_MEMORY = 32 * 2**20  # bytes of a file's JPEGs; more lie on the disk until they are used
# A piece may lack so many seconds: lengths are rounded up, and frames have a length of their own.
ROUNDED = 1.5


class Spool:
    """A temporary file that goes when nothing refers to it any more."""

    def __init__(self, folder: Path | None = None) -> None:
        place = str(folder) if folder else None  # None: the system's
        self.file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=place)  # noqa: SIM115

    def __del__(self) -> None:
        self.file.close()


class Stored(Sequence[bytes]):
    """JPEGs in a temporary file."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.places: list[tuple[int, int]] = []  # (first byte, bytes) of each

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> list[bytes]: ...
    def __getitem__(self, i: int | slice) -> bytes | list[bytes]:
        if isinstance(i, slice):
            return [self[j] for j in range(len(self))[i]]
        place, size = self.places[i]
        self.spool.file.seek(place)
        return self.spool.file.read(size)


@dataclass
class _Piece:
    start: float  # seconds
    end: float
    jpegs: Stored
    first: int  # frame of the decoded video
    last: int  # the one after its own
    sizes: set[tuple[int, int]] = field(default_factory=set)  # (height, width) of frames

    def frames(self, settings: FrameSettings, fault: str | None) -> Frames | UnusableVideoError:
        """Its frames, or why it has none; a fault matters to pieces that it left incomplete."""
        wanted, read = self.end - self.start, len(self.jpegs) / settings.fps
        few = read < wanted - (min(ROUNDED, wanted / 2) if fault is None else 1 / settings.fps)
        if few or not read:
            return UnusableVideoError(
                fault
                or f"clip incomplete: {read:.1f} of {wanted:.1f} s from second {self.start:g} on "
                "can be read"
            )
        if wanted > settings.max_seconds:
            return UnusableVideoError(f"too long: more than {settings.max_seconds:g} s")
        if len(self.sizes) > 1:
            return UnusableVideoError(f"frame size changes: {sorted(self.sizes)}")
        height, width = min(self.sizes)
        return Frames(self.jpegs, width, height)


def extract_pieces(
    video: Path,
    settings: FrameSettings,
    pieces: Sequence[tuple[float, float]],
    scratch: Path | None = None,
    stream: Callable[[Path, FrameSettings, tuple[float, float]], Iterable[bytes]] = stream_jpegs,
) -> list[Frames | UnusableVideoError]:
    """JPEG frames of the seconds start..end of a video, for each of some pieces.

    The file is decoded once, from the first piece to the last one. Frame i lies i / fps seconds
    after the start of the first piece, and belongs to all pieces whose time it is. If the file is
    broken somewhere, the pieces before that place are whole.

    Args:
        video: a local file.
        settings: `max_seconds` is of each piece, `timeout_seconds` the longest time without a
            frame.
        pieces: (start, end) in seconds.
        scratch: folder for what does not fit into memory; None: the system's.
        stream: gives the JPEGs, as `stream_jpegs` does; what else it raises passes.

    Raises:
        VieError: ffmpeg is missing or was killed from outside.
    """
    first, last = min(start for start, _ in pieces), max(end for _, end in pieces)
    whole = replace(settings, max_seconds=last - first + 1)

    def number(seconds: float) -> int:
        return math.ceil((seconds - first) * settings.fps - 1e-6)

    spool = Spool(scratch)
    found = [_Piece(start, end, Stored(spool), number(start), number(end)) for start, end in pieces]
    waiting, begun = sorted(found, key=lambda piece: -piece.first), list[_Piece]()
    fault = None
    try:
        for frame, jpeg in enumerate(stream(video, whole, (first, last))):
            place, size = (spool.file.tell(), len(jpeg)), decode_jpeg_header(jpeg)[:2]
            spool.file.write(jpeg)
            while waiting and waiting[-1].first <= frame:
                begun.append(waiting.pop())
            begun = [piece for piece in begun if frame < piece.last]
            for piece in begun:
                piece.jpegs.places.append(place)
                piece.sizes.add(size)
    except UnusableVideoError as error:
        fault = str(error)
    return [piece.frames(settings, fault) for piece in found]
