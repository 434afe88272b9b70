"""Videos without splits and mostly without labels: pieces of long ones, and which validate.

A *recording* is what must not lie in both training and validation: the pieces of a file, files
whose names say that they are parts of one, and, where videos without labels lie in many folders, a
folder. Folders of videos with labels are mostly their classes.
"""

import hashlib
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from vie.datasets.finding import Found, piece_id
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
SHORTEST = 0.5  # of a piece's length: a shorter rest belongs to the piece before it
# Folders are recordings if there are so many, and none has more than such a share of the videos.
FOLDERS, LARGEST = 10, 0.2
# "talk_part2", "v_Biking_g01_c03", "Xk3_000010_000020": the end says which part of a recording.
PART = re.compile(
    r"(.+?)[ _.-]+(?:(?:clip|part|pt|scene|shot|chunk|seg|segment|split|c)[ _.-]*\d+|\d{6}_\d{6})",
    re.IGNORECASE,
)


class FlatSettings(NamedTuple):
    """Keys of a dataset of this layout."""

    cut: dict[str, int] | None  # seconds and overlap of pieces
    val_share: float
    dataset_seed: int


def cut_up(video: Found, length: float, cut: dict[str, int]) -> list[Found]:
    """Pieces of a video of `length` seconds, from its start (or that of a list's row) on.

    Each has `cut["seconds"]`, and the last one what is left: half to one and a half of that. A
    video that makes one piece stays as it is.
    """
    seconds, step = cut["seconds"], cut["seconds"] - cut["overlap"]
    first, last = (video.start, video.end) if video.end else (0, length)
    count = max(1, 1 + math.floor((last - first - seconds) / step + 1 - SHORTEST * seconds / step))
    if count == 1:
        return [video]
    starts = [first + step * i for i in range(count)]
    ends = [*(start + seconds for start in starts[:-1]), video.end or math.ceil(length)]
    return [
        video._replace(id=piece_id(video.path, start, end), start=start, end=end)
        for start, end in zip(starts, ends, strict=True)
    ]


def recordings(videos: Iterable[Found]) -> dict[str, str]:
    """{id: name of its recording}."""
    found = list(videos)
    folders = Counter(os.path.dirname(one.path) for one in found)
    by_folder = len(folders) >= FOLDERS and max(folders.values()) <= LARGEST * len(found)
    by_folder = by_folder and not any(one.label for one in found)
    return {one.id: os.path.dirname(one.path) if by_folder else _stem(one.path) for one in found}


def _stem(path: str) -> str:
    """Path without extension and without what says which part it is."""
    folder, name = os.path.split(os.path.splitext(path)[0])
    part = PART.fullmatch(name)
    return os.path.join(folder, part[1] if part else name)


def validation(videos: list[Found], settings: FlatSettings) -> tuple[set[str], set[str]]:
    """Ids of the videos that validate, and of those that have to be left out for it.

    Whole recordings are drawn until their share of the videos is reached, of each class by itself.
    The draw is by the dataset's seed and the recording's name: more videos change little of it. A
    class with a single recording validates nothing. If all is one recording, the share of its
    pieces that come last is taken, and pieces that share seconds with these are left out.

    Raises:
        VieError: there are fewer than two videos.
    """
    if len(videos) < 2:
        raise VieError("a single video cannot be divided into training and validation: add more")
    of = recordings(videos)
    if len(set(of.values())) == 1:
        return _last_pieces(videos, max(1, round(settings.val_share * len(videos))))
    # A recording may have videos of several classes: it counts where most of its videos are.
    labels: dict[str, Counter[str]] = {}
    for one in videos:
        labels.setdefault(of[one.id], Counter())[one.label] += 1
    classes: dict[str, dict[str, int]] = {}
    for name, counts in labels.items():
        classes.setdefault(counts.most_common(1)[0][0], {})[name] = counts.total()
    chosen: set[str] = set()
    for sizes in classes.values():
        chosen |= _drawn(sizes, settings.val_share, settings.dataset_seed)
    if not chosen:
        raise VieError(
            "every class has a single recording, so none can validate: give videos of more, or "
            "names that do not end in a part"
        )
    return {one.id for one in videos if of[one.id] in chosen}, set()


def _drawn(sizes: dict[str, int], share: float, seed: int) -> set[str]:
    """Recordings that have about a share of the videos: one at least, never all."""
    wanted, chosen, count = share * sum(sizes.values()), set[str](), 0
    for name in sorted(sizes, key=lambda name: _address(seed, name))[:-1]:
        # A recording is taken while less than half of it would be too much.
        if count + sizes[name] / 2 <= wanted:
            chosen.add(name)
            count += sizes[name]
    if not chosen and len(sizes) > 1:  # all are large: take the smallest
        chosen.add(min(sizes, key=lambda name: (sizes[name], name)))
    return chosen


def _address(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}|{name}".encode()).digest()


def _last_pieces(videos: list[Found], count: int) -> tuple[set[str], set[str]]:
    """Of one recording: its last pieces, and those before that share seconds with them."""
    log.warning("all videos are of one recording: its end validates, which says little")
    ordered = sorted(videos, key=lambda one: (one.path, one.start, one.id))
    last, before = ordered[-count:], ordered[:-count]
    overlapping = {
        one.id
        for one in before
        if one.path == last[0].path and (one.end or math.inf) > last[0].start
    }
    if len(overlapping) == len(before):
        raise VieError(
            "all pieces share seconds with those that would validate: lower cut.overlap, or add "
            "videos"
        )
    return {one.id for one in last}, overlapping
