"""Videos without splits and mostly without labels: pieces of long ones, and which validate.

A *recording* is what must not lie in both training and validation: the pieces of a file, files
whose names say that they are parts of one, and, where videos lie in many folders, a folder.
"""

import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from vie.datasets.finding import Found, piece_id
from vie.runtime.errors import VieError
from vie.runtime.randomness import generator

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
    return {one.id: os.path.dirname(one.path) if by_folder else _stem(one.path) for one in found}


def _stem(path: str) -> str:
    """Path without extension and without what says which part it is."""
    folder, name = os.path.split(os.path.splitext(path)[0])
    part = PART.fullmatch(name)
    return os.path.join(folder, part[1] if part else name)


def validation(videos: list[Found], settings: FlatSettings) -> tuple[set[str], set[str]]:
    """Ids of the videos that validate, and of those that have to be left out for it.

    Whole recordings are drawn, by an address that holds the dataset's seed, until their share of
    the videos is reached; a single recording gives the share of its pieces that come last, and
    pieces that share seconds with these are left out.

    Raises:
        VieError: there are fewer than two videos.
    """
    if len(videos) < 2:
        raise VieError("a single video cannot be divided into training and validation: add more")
    wanted = settings.val_share * len(videos)
    of = recordings(videos)
    sizes = Counter(of.values())
    if len(sizes) == 1:
        return _last_pieces(videos, max(1, round(wanted)))
    names = sorted(sizes)
    order = generator(settings.dataset_seed, "flat validation").permutation(len(names))
    chosen: set[str] = set()
    count = 0
    for name in (names[i] for i in order[:-1]):  # one is left to train on
        # A recording is taken while less than half of it would be too much.
        if count + sizes[name] / 2 <= wanted:
            chosen.add(name)
            count += sizes[name]
    if not chosen:  # all are large: take the smallest
        chosen.add(min(names, key=lambda name: (sizes[name], name)))
    return {one.id for one in videos if of[one.id] in chosen}, set()


def _last_pieces(videos: list[Found], count: int) -> tuple[set[str], set[str]]:
    """Of one recording: its last pieces, and those before that share seconds with them."""
    log.warning("all videos are of one recording: its end validates, which says little")
    ordered = sorted(videos, key=lambda one: (one.path, one.start, one.id))
    last, before = ordered[-count:], ordered[:-count]
    overlapping = {one.id for one in before if one.path == last[0].path and one.end > last[0].start}
    if len(overlapping) == len(before):
        raise VieError("the pieces overlap so much that none can validate: lower cut.overlap")
    return {one.id for one in last}, overlapping


def settings_of(dataset: dict[str, Any]) -> FlatSettings:
    """Of a dataset of the config."""
    return FlatSettings(dataset.get("cut"), dataset["val_share"], dataset["dataset_seed"])
