"""Clips of longer videos: whether a file is the clip, or the video that the clip is a part of.

The files of some copies of Kinetics have no start and end in their names. Such a file may be the
annotated clip or the whole YouTube video; its length tells which.
"""

import math
import time
from dataclasses import replace
from pathlib import Path

from vie.frames.contents import read_contents
from vie.frames.ffmpeg import Frames, FrameSettings, extract_jpegs
from vie.frames.unusable import UnusableVideoError

# Cutting without encoding anew may keep a little more than the clip: a file that is longer than the
# clip by at most so many seconds is the clip.
LONGER = 2.0
# Annotated times are whole seconds: a clip may end so many seconds after its file.
ROUNDED = 1.0


def extract_clip(
    video: Path, start: int, end: int, settings: FrameSettings, *, only_clip_in_file: bool
) -> Frames:
    """JPEG frames of an annotated clip whose file may be longer than the clip.

    A file of at most the clip's length + `LONGER` seconds is the clip, and is read whole. Of a
    longer file the seconds start..end are read, all of them or none. If several clips are annotated
    in a file that is no longer than one of them, it could be any of them, and none is used.

    Args:
        video: a local file.
        start, end: of the clip in the file, in seconds; both 0: the file is the clip.
        settings: both limits in seconds are for the clip in all.
        only_clip_in_file: whether no other clip is annotated in this file.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    if end <= start:
        return extract_jpegs(video, settings)
    began = time.monotonic()
    contents = read_contents(
        video, timeout_seconds=settings.timeout_seconds, max_pixels=settings.max_pixels
    )
    if contents.fault:
        raise UnusableVideoError(contents.fault)
    length = contents.track.span()[1]
    excerpt = excerpt_of(length, start, end, only_clip_in_file=only_clip_in_file)
    left = max(1, math.ceil(settings.timeout_seconds - (time.monotonic() - began)))
    frames = extract_jpegs(video, replace(settings, timeout_seconds=left), excerpt, contents)
    if excerpt:
        read, wanted = len(frames.jpegs) / settings.fps, min(end, length) - start
        if read < wanted - ROUNDED:
            raise UnusableVideoError(
                f"clip incomplete: {read:.1f} of {wanted:.1f} s from second {start} on can be read"
            )
    return frames


def excerpt_of(
    length: float, start: int, end: int, *, only_clip_in_file: bool
) -> tuple[int, int] | None:
    """The seconds of a file of `length` seconds that are the clip start..end; None: all of them.

    Raises:
        UnusableVideoError: the clip lies beyond the file's end, or the file is another clip's.
    """
    if length <= end - start + LONGER:
        if not only_clip_in_file:
            raise UnusableVideoError(
                f"not the only clip of its file: the file plays {length:.1f} s and several clips "
                "are annotated, so which of them it shows is unknown"
            )
        return None
    if length < end - ROUNDED:
        raise UnusableVideoError(
            f"clip beyond the end: seconds {start} to {end} of a file that plays {length:.1f} s"
        )
    return start, end
