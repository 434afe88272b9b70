"""Synthetic stand-ins for UCF101 and HMDB51 as files: MPEG-4 in avi, and lists of three splits."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vie.config.settings import SPLITS
from vie.datasets.synthetic.actions import HMDB51, UCF101, Action, render_action
from vie.datasets.synthetic.write_videos import complete_folder, encode, truncate, write_videos

MPEG4 = {"c:v": "mpeg4", "q:v": 3}
SPARE = 1  # groups of each class that a split of HMDB51 uses neither to train nor to test
# Titles as those of HMDB51's films, with signs that are special to a shell, a tar or a CSV.
FILMS = (
    *("#7_&_Counting", "(HQ)_Take;_Two", "[Sub]_L'Étoile", "50%_Off!", "A+B=C", "Who@Where"),
    *("Film_{Cut}", "So,_So~", "$$$_Night", "One_^_Other", "-dash_first", "Ça_ira"),
)


class Clip(NamedTuple):
    """A file of a stand-in."""

    action: Action  # its class
    path: str  # relative to the folder of videos
    group: int  # number within its class
    numbers: tuple[int, int]  # of its group and itself in the dataset: they decide what it shows
    broken: bool = False  # it ends too early


def write_ucf101(settings: dict[str, Any], videos: Path, annotations: Path, processes: int) -> None:
    """Write `<Class>/v_<Class>_g<NN>_c<NN>.avi`, and classInd.txt and the lists of three splits.

    Both folders are replaced; each appears when it is complete. The files of one class differ from
    the class in a capital letter, as those of UCF101's HandstandPushups do.

    Args:
        settings: dataset_seed, and for each class train_groups, test_groups and clips_per_group.
        videos, annotations: folders.
        processes: videos rendered and encoded at once.

    Raises:
        VieError: ffmpeg is missing or fails.
    """

    def file(action: Action, group: int, clip: int) -> str:
        label = action.label
        spelt = _other_case(label) if action == UCF101[0] else label
        return f"{label}/v_{spelt}_g{group + 1:02d}_c{clip + 1:02d}.avi"

    clips = _clips(UCF101, settings, 0, file)
    _write_clips("ucf101", clips, settings, videos, processes)
    number = {action.label: i for i, action in enumerate(UCF101, start=1)}
    lists = {"classInd.txt": [f"{i} {label}" for label, i in number.items()]}
    for split in SPLITS:
        flags = _flags(settings, 0, split)
        train = [f"{c.path} {number[c.action.label]}" for c in clips if flags[c.group] == 1]
        lists[f"trainlist{split:02d}.txt"] = train
        lists[f"testlist{split:02d}.txt"] = [c.path for c in clips if flags[c.group] == 2]
    _write_lists(lists, annotations, newline="\r\n")


def write_hmdb51(settings: dict[str, Any], videos: Path, annotations: Path, processes: int) -> None:
    """Write `<class>/<film>_<class>_<annotations>_<n>.avi`, and a list per class and split.

    Else as `write_ucf101`. A group is a film; each class has one more, which a split does not use.
    """

    def file(action: Action, group: int, clip: int) -> str:
        film = FILMS[group % len(FILMS)] + "_Returns" * (group // len(FILMS))
        return f"{action.label}/{film}_{action.label}_f_cm_np1_fr_med_{clip}.avi"

    clips = _clips(HMDB51, settings, SPARE, file)
    _write_clips("hmdb51", clips, settings, videos, processes)
    lists: dict[str, list[str]] = {}
    for split in SPLITS:
        flags = _flags(settings, SPARE, split)
        for clip in clips:
            lines = lists.setdefault(f"{clip.action.label}_test_split{split}.txt", [])
            lines.append(f"{Path(clip.path).name} {flags[clip.group]} ")
    _write_lists(lists, annotations, newline="\n")


# Layout -> function that writes its stand-in.
WRITERS = {"ucf101": write_ucf101, "hmdb51": write_hmdb51}


def _other_case(label: str) -> str:
    """The label with its last capital letter in lower case."""
    place = max(i for i, letter in enumerate(label) if letter.isupper())
    return label[:place] + label[place].lower() + label[place + 1 :]


def _clips(
    actions: Sequence[Action],
    settings: dict[str, Any],
    spare: int,
    file: Callable[[Action, int, int], str],
) -> list[Clip]:
    """All clips of all groups of all classes. The very last clip is broken."""
    groups = settings["train_groups"] + settings["test_groups"] + spare
    per_group: int = settings["clips_per_group"]
    clips: list[Clip] = []
    for i, action in enumerate(actions):
        for group in range(groups):
            shared = i * groups + group
            clips += [
                Clip(action, file(action, group, n), group, (shared, shared * per_group + n))
                for n in range(per_group)
            ]
    return [*clips[:-1], clips[-1]._replace(broken=True)]


def _flags(settings: dict[str, Any], spare: int, split: int) -> list[int]:
    """For each group 2 if `split` tests on it (each on others), 1 if it trains on it, else 0."""
    test, train = settings["test_groups"], settings["train_groups"]
    groups = test + train + spare
    places = [(group - (split - 1) * test) % groups for group in range(groups)]
    return [2 if place < test else 1 if place < test + train else 0 for place in places]


def _write_clips(
    dataset: str, clips: list[Clip], settings: dict[str, Any], videos: Path, processes: int
) -> None:
    write = functools.partial(_write, dataset=dataset, dataset_seed=settings["dataset_seed"])
    write_videos(write, clips, videos, processes)


def _write(clip: Clip, *, dataset: str, dataset_seed: int, root: Path) -> None:
    path = root / clip.path
    encode(render_action(clip.action, dataset, dataset_seed, *clip.numbers), path, MPEG4)
    if clip.broken:
        truncate(path)


def _write_lists(lists: dict[str, list[str]], folder: Path, newline: str) -> None:
    """Write text files to a folder, which is replaced and appears when it is complete."""
    with complete_folder(folder) as temporary:
        for name, lines in lists.items():
            text = "".join(f"{line}\n" for line in lines)
            (temporary / name).write_text(text, encoding="utf-8", newline=newline)
