"""Clips of longer videos: whether a file is a clip already, or the video that it was cut from.

The files of some copies of Kinetics have no start and end in their names. Such a file may be the
annotated clip or the whole YouTube video; how long it plays tells.
"""

import math
import time
from pathlib import Path

from vie.frames.ffmpeg import Frames, UnusableVideoError, extract_jpegs, video_seconds

# A clip that was cut without encoding it anew may start or end a little outside: up to so many
# seconds more than the annotated length, a file is taken for the clip.
LONGER = 2.0
# Annotated times are whole seconds: a clip may end so much after its file does.
ROUNDED = 1.0


def extract_clip(
    video: Path, start: int, end: int, *, alone: bool, timeout_seconds: float, **settings
) -> Frames:
    """JPEG frames of an annotated clip whose file may be longer than the clip.

    A file of at most the clip's length + `LONGER` seconds is the clip, and is read whole. Of a
    longer one, the seconds start..end are read, all of them or none. Where several clips have one
    file, a file that is no longer than one of them could be any, and none is used.

    Args:
        video: a local file.
        start, end: of the clip in the file, in seconds; both 0: the file is the clip.
        alone: whether no other clip has this file.
        timeout_seconds: of wall-clock time in all.
        **settings: fps, shorter_side, quality and max_seconds, as for `extract_jpegs`. The last is
            of the clip, not of the file.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    excerpt = None
    if end > start:
        began = time.monotonic()
        length = video_seconds(video, timeout_seconds=timeout_seconds)
        excerpt = excerpt_of(length, start, end, alone=alone)
        timeout_seconds = math.ceil(timeout_seconds - (time.monotonic() - began))
    frames = extract_jpegs(video, timeout_seconds=timeout_seconds, excerpt=excerpt, **settings)
    if excerpt:
        read, wanted = len(frames.jpegs) / settings["fps"], min(end, length) - start
        if read < wanted - ROUNDED:
            raise UnusableVideoError(
                f"clip incomplete: {read:.1f} of {wanted:.1f} s from second {start} on can be read"
            )
    return frames


def excerpt_of(length: float, start: int, end: int, *, alone: bool) -> tuple[int, int] | None:
    """Which seconds of a file of `length` seconds are the clip start..end; None: all of them.

    Raises:
        UnusableVideoError: the clip lies beyond the file's end, or the file is another clip's.
    """
    if length <= end - start + LONGER:
        if not alone:
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
