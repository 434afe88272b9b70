"""HMDB51 as distributed: class folders of avi files, and a list per class and split.

    <class>/<film>_<class>_<annotations>_<n>.avi
    testTrainMulti_7030_splits/<class>_test_split<N>.txt     <film>_..._<n>.avi 1

The number is 1 for a training video, 2 for a test video, 0 for a video that the split does not use.
File names may have brackets, ampersands, semicolons and blanks, as the titles of films do.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from vie.datasets.layouts.action_files import find_listed
from vie.datasets.layouts.video_files import lines_of, names_in, plain_name
from vie.datasets.split_assignment import TEST, TRAIN, SplitRow
from vie.datasets.video import Video
from vie.runtime.errors import VieError

FLAGS = {"0": None, "1": TRAIN, "2": TEST}
FILE = re.compile(r"(?P<label>.+)_test_split(?P<number>[1-9]\d{0,3})\.txt")
PIECE = re.compile(r"(_\d+)+$")


def read_hmdb51(videos: Path, annotations: Path, split: str = "all") -> list[Video]:
    """The videos of `list_hmdb51`, with the paths of their files (`action_files`)."""
    return find_listed(videos, list_hmdb51(videos, annotations, split))


def list_hmdb51(videos: Path, annotations: Path, split: str = "all") -> list[Video]:
    """All videos that the lists of at least one split name, also those that no split uses."""
    lists = _lists(annotations)
    labels = {number: set(paths) for number, paths in lists.items()}
    first = min(labels)
    for number, here in labels.items():
        if odd := sorted(here ^ labels[first]):
            raise VieError(
                f"{annotations}: splits {first} and {number} do not have lists of the same "
                f"classes; look at {', '.join(odd)}"
            )
    files = dict.fromkeys(  # in order, each once
        (label, file)
        for paths in lists.values()
        for label, path in paths.items()
        for file, _ in _flags(path)
    )
    return [Video(f"{label}/{Path(file).stem}", f"{label}/{file}", label) for label, file in files]


def assign_hmdb51(videos: Iterable[Video], annotations: Path, number: int) -> list[SplitRow]:
    """Videos that split `number` uses, with their subset. Their group is the film."""
    lists = _lists(annotations)
    if number not in lists:
        raise VieError(
            f"{annotations}: has no list <class>_test_split{number}.txt; there are lists of the "
            f"splits {', '.join(map(str, sorted(lists)))}"
        )
    rows = []
    for label, path in lists[number].items():
        for file, subset in _flags(path):
            stem = Path(file).stem
            if subset is not None:
                rows.append(SplitRow(f"{label}/{stem}", label, subset, _film(stem, label)))
    return rows


def _film(stem: str, label: str) -> str:
    """The film that a clip is from, Two_Towers for Two_Towers_3; the clip if it names no film."""
    film, found, _ = stem.rpartition(f"_{label}_")
    return (PIECE.sub("", film) or film) if found else stem


def _lists(annotations: Path) -> dict[int, dict[str, Path]]:
    """{split: {class: its list}}, classes sorted."""
    lists: dict[int, dict[str, Path]] = {}
    for name in names_in(annotations):
        path = annotations / name
        if name.startswith(".") or path.suffix != ".txt":
            continue
        fits = FILE.fullmatch(name)
        if not fits:
            raise VieError(f"{path}: should be called <class>_test_split<N>.txt; move it elsewhere")
        label = plain_name(fits["label"], f"{path}: class")
        lists.setdefault(int(fits["number"]), {})[label] = path
    if not lists:
        raise VieError(f"{annotations}: holds no list <class>_test_split<N>.txt")
    return lists


def _flags(path: Path) -> list[tuple[str, str | None]]:
    """(file name, subset or None) of each line of a list."""
    found: dict[str, str | None] = {}
    for where, text in lines_of(path, "video"):
        *name, flag = text.rsplit(maxsplit=1)
        if not name or flag not in FLAGS:
            raise VieError(f"{where}: {text!r} should be a file name and 0, 1 or 2")
        file = plain_name(name[0], f"{where}: file")
        if not file.endswith(".avi"):
            raise VieError(f"{where}: {file!r} is not the name of an avi file")
        if file in found:
            raise VieError(f"{where}: {file!r} is listed a second time; remove one of the lines")
        found[file] = FLAGS[flag]
    return list(found.items())
