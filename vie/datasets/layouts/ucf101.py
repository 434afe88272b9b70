"""UCF101 as distributed: class folders of avi files, and lists of the three official splits.

    UCF-101/<Class>/v_<Class>_g<NN>_c<NN>.avi
    ucfTrainTestlist/classInd.txt       1 ApplyEyeMakeup
    ucfTrainTestlist/trainlist0N.txt    ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
    ucfTrainTestlist/testlist0N.txt     ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi

Clips of one group g<NN> of a class are cut from one recording. A file's name may spell its class
with other capital letters: the files of HandstandPushups are called v_HandStandPushups.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from vie.config.settings import SPLITS
from vie.datasets.layouts.action_files import find_listed
from vie.datasets.layouts.video_files import lines_of, plain_name
from vie.datasets.split_assignment import TEST, TRAIN, SplitRow
from vie.datasets.video import Video
from vie.runtime.errors import VieError

LISTS = {TRAIN: "trainlist{:02d}.txt", TEST: "testlist{:02d}.txt"}
FILE = re.compile(r"v_(?P<label>.+)_g(?P<group>\d+)_c\d+\.avi")


def read_ucf101(videos: Path, annotations: Path, split: str = "all") -> list[Video]:
    """The videos of `list_ucf101`, with the paths of their files (`action_files`)."""
    return find_listed(videos, list_ucf101(videos, annotations, split))


def list_ucf101(videos: Path, annotations: Path, split: str = "all") -> list[Video]:
    """All videos of all lists that are found; those of one split are enough."""
    found = [
        n for n in SPLITS if any((annotations / name.format(n)).exists() for name in LISTS.values())
    ]
    if not found:
        raise VieError(
            f"{annotations}: holds no list of a split; it should hold classInd.txt, "
            f"{', '.join(name.format(n) for n in SPLITS for name in LISTS.values())}"
        )
    rows = {row.video: row for n in found for row in assign_ucf101((), annotations, n)}
    used = {row.label for row in rows.values()}
    if empty := [label for label in _classes(annotations) if label not in used]:
        raise VieError(f"{annotations}: no list has a video of the classes {', '.join(empty)}")
    return [Video(row.video, f"{row.video}.avi", row.label) for row in rows.values()]


def assign_ucf101(videos: Iterable[Video], annotations: Path, number: int) -> list[SplitRow]:
    """Videos of split `number` with their subset and group, in the order of its lists."""
    numbers = _classes(annotations)
    rows: dict[str, SplitRow] = {}
    for subset, name in LISTS.items():
        for where, text in lines_of(annotations / name.format(number), "video"):
            row = _row(text, subset, numbers, where)
            if (before := rows.setdefault(row.video, row)) is not row:
                raise VieError(
                    f"{where}: {row.video!r} is in split {number} a second time "
                    f"(it is a {before.subset} video already); remove one of the lines"
                )
    return list(rows.values())


def _classes(annotations: Path) -> dict[str, int]:
    """{class: number} of classInd.txt."""
    numbers: dict[str, int] = {}
    for where, text in lines_of(annotations / "classInd.txt", "class"):
        number, _, label = text.partition(" ")
        label = plain_name(label.strip(), f"{where}: class")
        decimal = number.isdecimal() and len(number) < 7
        if not decimal or int(number) in numbers.values() or label in numbers:
            raise VieError(
                f"{where}: {text!r} should be the number of a class and its name, each of them once"
            )
        numbers[label] = int(number)
    return numbers


def _row(text: str, subset: str, numbers: dict[str, int], where: str) -> SplitRow:
    """A line of a list: <Class>/<file>, and in training lists the number of the class."""
    name, _, number = text.partition(".avi")
    folder, slash, stem = name.partition("/")
    if not slash or text == name:
        raise VieError(f"{where}: {text!r} should be <Class>/v_<Class>_g<NN>_c<NN>.avi")
    label, file = plain_name(folder, f"{where}: class"), plain_name(f"{stem}.avi", f"{where}: file")
    if label not in numbers:
        raise VieError(f"{where}: class {label!r} is not in classInd.txt")
    fits = FILE.fullmatch(file)
    if not fits or fits["label"].casefold() != label.casefold():
        raise VieError(f"{where}: {file!r} should be v_{label}_g<NN>_c<NN>.avi")
    number = number.strip()
    if (number or subset == TRAIN) and number != str(numbers[label]):
        raise VieError(
            f"{where}: class number {number!r}, but {label} has {numbers[label]} in classInd.txt"
        )
    return SplitRow(f"{label}/{stem}", label, subset, f"{label} g{fits['group']}")
