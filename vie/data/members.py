"""Which videos of a dataset are for training, for validation and for testing."""

import collections
import csv
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vie.data.randomness import generator
from vie.errors import VieError
from vie.files import whole

log = logging.getLogger(__name__)
TRAIN, TEST, HELD_OUT = "train", "test", "held_out"
PARTS = (TRAIN, HELD_OUT, TEST)


class Member(NamedTuple):
    """A video of a split: id, class name, part, and name of the recording it was cut from."""

    video: str
    label: str
    part: str
    group: str


# Of the datasets as distributed (protocol section 1): classes, and training and test videos of
# split 1. Every split of UCF101 divides the same videos, those of HMDB51 are all of one size.
CLASSES = {"ucf101": 101, "hmdb51": 51}
COUNTS = {"ucf101": {TRAIN: 9_537, TEST: 3_783}, "hmdb51": {TRAIN: 3_570, TEST: 1_530}}


def check_counts(members: Iterable[Member], identity: str, number: int) -> None:
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


def hold_out(members: Iterable[Member], share: float, number: int) -> list[Member]:
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
        count, wanted = sum(here[group] for group in held & set(here)), share * here.total()
        for group in order:
            # A group is taken while less than half of it would be too much.
            enough = count and count + here[group] / 2 > wanted
            if group in settled or enough or _empties_a_class(group, held, sizes):
                continue
            held.add(group)
            count += here[group]
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


def take_groups(groups: Mapping[str, str], share: float, rng: np.random.Generator) -> set[str]:
    """Videos of randomly drawn whole groups, about `share` of all and never none or all.

    A group is taken while less than half of it would be too much.

    Args:
        groups: {video: group}, two groups at least.
        share: of the videos.
        rng: of the draw.
    """
    sizes = collections.Counter(groups[video] for video in sorted(groups))
    order = [list(sizes)[i] for i in rng.permutation(len(sizes))]
    taken, count, wanted = set(), 0, share * len(groups)
    for group in order[:-1]:
        if not taken or count + sizes[group] / 2 <= wanted:
            taken.add(group)
            count += sizes[group]
    return {video for video, group in groups.items() if group in taken}


def write_members(members: Iterable[Member], path: Path) -> None:
    """Write a CSV with columns video, label, part, group."""
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Member._fields)
        writer.writerows(members)


def read_members(path: Path) -> list[Member]:
    """Read what `write_members` wrote.

    Raises:
        VieError: it is not such a file.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    if tuple(header) != Member._fields or any(row[2] not in PARTS for row in rows):
        raise VieError(f"{path}: columns must be {','.join(Member._fields)}")
    return [Member(*row) for row in rows]
