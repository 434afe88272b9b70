"""Splits of action datasets: their official sizes, and the training videos that are held out."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from vie.datasets.split_assignment import HELD_OUT, TEST, TRAIN, SplitRow
from vie.datasets.video import Video
from vie.runtime.errors import VieError, made_anew
from vie.runtime.randomness import generator

log = logging.getLogger(__name__)
Groups = dict[str, Counter[str]]  # class -> training videos of each of its groups

# Sizes of the datasets as distributed (protocol section 1): classes, and videos of split 1. Every
# split of UCF101 divides the same videos; all splits of HMDB51 have the same size. Videos of
# Kinetics-400 vanish: its numbers are those of the videos that the paper could use. ImageNet's are
# images (protocol section 10).
CLASSES = {"ucf101": 101, "hmdb51": 51, "kinetics400": 400, "imagenet": 1_000}
COUNTS = {
    "ucf101": {TRAIN: 9_537, TEST: 3_783},
    "hmdb51": {TRAIN: 3_570, TEST: 1_530},
    "kinetics400": {"train": 239_888, "val": 19_653},
    "imagenet": {"train": 1_281_167, "val": 50_000},
}


def check_counts(rows: Iterable[SplitRow], official_name: str, number: int) -> None:
    """Whether a split has the official size of its dataset; in HMDB51, that of each class.

    Raises:
        VieError: says which numbers differ.
    """
    rows, wanted, n_classes = list(rows), COUNTS[official_name], CLASSES[official_name]
    labels = sorted({row.label for row in rows})
    checks = [(len(labels), "classes", n_classes)]  # found, of what, official
    if official_name == "hmdb51":
        per_class = Counter((row.subset, row.label) for row in rows)
        checks += [
            (per_class[subset, label], f"{subset} videos of {label}", total // n_classes)
            for subset, total in wanted.items()
            for label in labels
        ]
    elif number == 1:
        found = Counter(row.subset for row in rows)
        checks += [(found[subset], f"{subset} videos", n) for subset, n in wanted.items()]
    else:
        checks.append((len(rows), "videos", sum(wanted.values())))
    problems = [f"{count} {what} and not {n}" for count, what, n in checks if count != n]
    if problems:
        raise VieError(
            f"split {number} has {'; '.join(problems)}. These lists are not those of "
            f"{official_name}: get them anew, or remove `official_name` from the dataset in the "
            "config"
        )


def check_known(rows: Iterable[SplitRow], videos: Iterable[Video], manifest: Path) -> None:
    """Whether the manifest, which has these videos, has all of a split.

    Raises:
        VieError: says how many are missing, and names the first.
    """
    in_manifest = {video.video for video in videos}
    if unknown := [row.video for row in rows if row.video not in in_manifest]:
        raise VieError(
            f"{len(unknown)} videos of the split are not in {manifest}, the first is "
            f"{unknown[0]!r}: lists have changed since it was made; {made_anew(manifest)}"
        )


def hold_out(rows: Iterable[SplitRow], share: float, number: int) -> list[SplitRow]:
    """Hold out whole groups of training videos, class by class.

    Clips of one group come from one recording. If some of them were trained on, accuracy on the
    others would say nothing about new videos. A group may have videos of several classes, as films
    of HMDB51 do; it is held out in all of them.

    Args:
        rows: of a split. All are returned, in their order.
        share: of each class's training videos that is held out; at least one group, never all.
        number: of the split. Which groups are drawn depends on it and on no seed of a training.
    """
    rows = list(rows)
    groups: Groups = {}
    for row in rows:
        if row.subset == TRAIN:
            groups.setdefault(row.label, Counter())[row.group] += 1
    held: set[str] = set()
    settled: set[str] = set()
    without = []
    for i, (label, sizes) in enumerate(sorted(groups.items())):
        names = sorted(sizes)
        rng = generator(number, "held out", instance=i)
        order = [names[j] for j in rng.permutation(len(names))]
        free = [group for group in order if group not in settled]
        count, wanted = sum(sizes[group] for group in held & set(sizes)), share * sizes.total()
        for group in free:
            # A group is taken while less than half of it would be too much.
            if count + sizes[group] / 2 <= wanted and not _empties_a_class(group, held, groups):
                held.add(group)
                count += sizes[group]
        if not count:  # all groups are large: take the smallest
            free = [group for group in free if not _empties_a_class(group, held, groups)]
            if free:
                smallest = min(free, key=lambda group: sizes[group])
                held.add(smallest)
                count = sizes[smallest]
        settled |= set(sizes)
        if not count:
            without.append(label)
    if without:
        log.warning(
            "no video is held out of %d classes: all of their videos are of one group, or of "
            "groups that other classes need: %s",
            *(len(without), ", ".join(without)),
        )
    return [
        row._replace(subset=HELD_OUT) if row.subset == TRAIN and row.group in held else row
        for row in rows
    ]


def _empties_a_class(group: str, held: set[str], groups: Groups) -> bool:
    """Whether a class would have nothing left to train on if `group` was held out too."""
    return any(group in sizes and not set(sizes) - held - {group} for sizes in groups.values())
