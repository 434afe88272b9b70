"""Splits of action datasets: their official sizes, and what of them is held out."""

import collections
import logging
from collections.abc import Iterable

from vie.datasets.split_assignment import HELD_OUT, TEST, TRAIN, SplitRow
from vie.datasets.video import Video
from vie.runtime.errors import VieError
from vie.runtime.randomness import generator

log = logging.getLogger(__name__)

# Of the datasets as distributed (protocol section 1): classes, and training and test videos of
# split 1. Every split of UCF101 divides the same videos, those of HMDB51 are all of one size.
# Of Kinetics-400, whose videos vanish, the paper's usable ones.
CLASSES = {"ucf101": 101, "hmdb51": 51, "kinetics400": 400}
COUNTS = {
    "ucf101": {TRAIN: 9_537, TEST: 3_783},
    "hmdb51": {TRAIN: 3_570, TEST: 1_530},
    "kinetics400": {"train": 239_888, "val": 19_653},
}


def check_counts(members: Iterable[SplitRow], identity: str, number: int) -> None:
    """Whether a split has the size of the dataset that it is said to be.

    Raises:
        VieError: says what differs, and for HMDB51, whose classes are all of one size, where.
    """
    members, wanted = list(members), COUNTS[identity]
    found = collections.Counter(member.part for member in members)
    labels = {member.label for member in members}
    problems = []
    if len(labels) != CLASSES[identity]:
        problems.append(f"{len(labels)} classes and not {CLASSES[identity]}")
    if identity == "hmdb51":
        for part, total in wanted.items():
            each = total // CLASSES[identity]
            counts = collections.Counter(m.label for m in members if m.part == part)
            problems += [
                f"{counts[label]} {part} videos of {label} and not {each}"
                for label in sorted(labels)
                if counts[label] != each
            ]
    elif number == 1:
        problems += [
            f"{found[part]} {part} videos and not {total}"
            for part, total in wanted.items()
            if found[part] != total
        ]
    elif found.total() != sum(wanted.values()):
        problems.append(f"{found.total()} videos and not {sum(wanted.values())}")
    if problems:
        raise VieError(
            f"split {number} has {'; '.join(problems)}. These lists are not those of {identity}: "
            "get them anew, or take `identity` out of the dataset in the config"
        )


def check_known(members: Iterable[SplitRow], videos: Iterable[Video]) -> None:
    """Whether all videos of a split are in the manifest.

    Raises:
        VieError: names those that are not.
    """
    known = {video.video for video in videos}
    if unknown := [member.video for member in members if member.video not in known]:
        raise VieError(
            f"{len(unknown)} videos of the split are not in the manifest, the first is "
            f"{unknown[0]!r}: lists have changed since it was made; delete it to have it made again"
        )


def hold_out(members: Iterable[SplitRow], share: float, number: int) -> list[SplitRow]:
    """Turn whole groups of training videos into held-out ones, class by class.

    Clips of one group come from one recording: with some of them in training, the others would not
    tell how good a network is on new videos. A group may have videos of several classes, as films
    have in HMDB51; it is held out in all of them.

    Args:
        members: of a split.
        share: of each class's training videos that are held out, at least one group and never all.
        number: of the split; the draw does not depend on the seed of a training.

    Returns:
        All members, in their order.
    """
    members = list(members)
    sizes: dict[str, collections.Counter] = {}  # class -> videos of each group
    for member in members:
        if member.part == TRAIN:
            sizes.setdefault(member.label, collections.Counter())[member.group] += 1
    held: set[str] = set()
    settled: set[str] = set()
    none = []
    for i, (label, here) in enumerate(sorted(sizes.items())):
        names = sorted(here)
        rng = generator(number, "held out", instance=i)
        order = [names[j] for j in rng.permutation(len(names))]
        free = [group for group in order if group not in settled]
        count, wanted = sum(here[group] for group in held & set(here)), share * here.total()
        for group in free:
            # A group is taken while less than half of it would be too much.
            if count + here[group] / 2 <= wanted and not _empties_a_class(group, held, sizes):
                held.add(group)
                count += here[group]
        if not count:  # all groups are large: the smallest
            free = [group for group in free if not _empties_a_class(group, held, sizes)]
            smallest = min(free, key=here.get, default=None)
            if smallest is not None:
                held.add(smallest)
                count = here[smallest]
        settled |= set(here)
        if not count:
            none.append(label)
    if none:
        log.warning(
            "no video is held out of %d classes, for all are of one group or of groups that other "
            "classes need: %s",
            len(none),
            ", ".join(none),
        )
    return [
        m._replace(part=HELD_OUT) if m.part == TRAIN and m.group in held else m for m in members
    ]


def _empties_a_class(group: str, held: set[str], sizes: dict[str, collections.Counter]) -> bool:
    """Whether a class would have nothing left to train on if `group` was held out too."""
    return any(group in here and not set(here) - held - {group} for here in sizes.values())
