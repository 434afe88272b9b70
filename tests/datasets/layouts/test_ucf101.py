"""UCF101's lists, written here as the official ones are."""

import collections
import shutil

import pytest

from vie.datasets.holdout import check_counts
from vie.datasets.layouts import LAYOUTS
from vie.datasets.split_assignment import SplitRow
from vie.frames.manifest import Video, class_names
from vie.runtime.errors import VieError

CLASSES = ("ApplyEyeMakeup", "HandstandPushups", "YoYo")
TRAIN = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1",
    "HandstandPushups/v_HandStandPushups_g08_c02.avi 2",  # spelt so in the official lists
    "YoYo/v_YoYo_g25_c03.avi 3",
)
TEST = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
    "HandstandPushups/v_HandStandPushups_g01_c01.avi",
    "YoYo/v_YoYo_g02_c01.avi",
)


def write(folder, train=TRAIN, test=TEST, classes=CLASSES, end="\r\n", split=1):
    """The lists of a split, with the line ends that the distributed files have."""
    folder.mkdir(exist_ok=True)
    index = [f"{i} {name}" for i, name in enumerate(classes, start=1)]
    contents = {"classInd.txt": index}
    contents |= {f"trainlist{split:02d}.txt": train, f"testlist{split:02d}.txt": test}
    for name, lines in contents.items():
        (folder / name).write_bytes("".join(line + end for line in lines).encode())
    return folder


def members(folder, number=1):
    return LAYOUTS["ucf101"].assign((), folder, number)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_the_distributed_form(tmp_path, end):
    folder = write(tmp_path / "ucfTrainTestlist", end=end)
    found = LAYOUTS["ucf101"].read(tmp_path / "UCF-101", folder, "all")
    assert class_names(found) == list(CLASSES)
    assert set(found) == {
        Video(name.removesuffix(".avi"), name, name.split("/")[0])
        for name in (line.split(" ")[0] for line in (*TRAIN, *TEST))
    }
    parts = {member.video: member for member in members(folder)}
    assert parts["YoYo/v_YoYo_g25_c03"] == SplitRow(
        "YoYo/v_YoYo_g25_c03", "YoYo", "train", "YoYo g25"
    )
    assert parts["YoYo/v_YoYo_g02_c01"].subset == "test"
    assert parts["HandstandPushups/v_HandStandPushups_g08_c02"].label == "HandstandPushups"


def official(folder):
    """Lists of the official size: 101 classes, 25 groups, 9,537 and 3,783 videos in split 1."""
    names = [f"Class{i:03d}x" for i in range(101)]
    lists = {part: [] for part in ("train", "test")}
    wanted = {"train": 9537, "test": 3783}
    groups = {"test": range(1, 8), "train": range(8, 26)}
    for part, total in wanted.items():
        for i in range(total):
            label, round_ = names[i % 101], i // 101
            group = groups[part][round_ % len(groups[part])]
            clip = round_ // len(groups[part]) + 1
            line = f"{label}/v_{label}_g{group:02d}_c{clip:02d}.avi"
            number = f" {i % 101 + 1}" if part == "train" else ""
            lists[part].append(line + number)
    return write(folder, lists["train"], lists["test"], names)


def test_counts_of_the_protocol(tmp_path):
    folder = official(tmp_path / "lists")
    found = members(folder)
    assert collections.Counter(m.subset for m in found) == {"train": 9537, "test": 3783}
    assert len({m.label for m in found}) == 101
    check_counts(found, "ucf101", 1)
    with pytest.raises(VieError, match=r"9536 train videos and not 9537"):
        check_counts(found[1:], "ucf101", 1)
    fewer = [m for m in found if m.label != found[0].label]
    with pytest.raises(VieError, match=r"100 classes and not 101.*`official_name`"):
        check_counts(fewer, "ucf101", 1)
    with pytest.raises(VieError, match=r"13319 videos and not 13320"):
        check_counts(found[1:], "ucf101", 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": ["../x/v_YoYo_g01_c01.avi 3"]}, r"line 1: class '..' is not a plain name"),
        ({"train": ["YoYo/v_YoYo_g01_c01.avi"]}, r"class number '', but YoYo has 3"),
        ({"train": ["YoYo/v_YoYo_g01_c01.avi 2"]}, r"class number '2', but YoYo has 3"),
        ({"train": ["YoYo/v_ApplyEyeMakeup_g01_c01.avi 3"]}, r"should be v_YoYo_g<NN>_c<NN>.avi"),
        ({"train": ["YoYo/v_YoYo_c01.avi 3"]}, r"should be v_YoYo_g<NN>_c<NN>.avi"),
        ({"train": ["YoYo/sub/v_YoYo_g01_c01.avi 3"]}, r"file .* is not a plain name"),
        ({"train": ["YoYo v_YoYo_g01_c01.avi 3"]}, r"should be <Class>/v_<Class>"),
        ({"train": ["YoYo/v_YoYo_g01_c01.mp4 3"]}, r"should be <Class>/v_<Class>"),
        ({"train": ["Jump/v_Jump_g01_c01.avi 4"]}, r"class 'Jump' is not in classInd.txt"),
        ({"train": [TRAIN[0], TRAIN[0]]}, r"line 2: .* in split 1 a second time"),
        ({"test": [*TEST, TRAIN[0]]}, r"testlist01.txt, line 4: .*already\)"),
        ({"test": []}, r"testlist01.txt: names no video"),
        ({"classes": ["YoYo", "YoYo", "Other"]}, r"classInd.txt, line 2"),
        ({"classes": []}, r"classInd.txt: names no class"),
        ({"classes": ["Jump\n9 Jump"]}, r"classInd.txt, line 2"),
    ],
)
def test_lines_that_break_the_layout(tmp_path, change, message):
    folder = write(tmp_path / "lists", **change)
    with pytest.raises(VieError, match=message):
        members(folder)


def test_a_class_without_a_video(tmp_path):
    folder = write(tmp_path / "lists", classes=(*CLASSES, "ZZZ"))
    with pytest.raises(VieError, match="no list has a video of the classes ZZZ"):
        LAYOUTS["ucf101"].read(tmp_path, folder, "all")


def test_missing_lists(tmp_path):
    folder = write(tmp_path / "lists")
    with pytest.raises(VieError, match=r"trainlist02.txt: no such file"):
        members(folder, 2)
    (folder / "testlist01.txt").unlink()
    with pytest.raises(VieError, match=r"testlist01.txt: no such file"):
        members(folder)
    with pytest.raises(VieError, match=r"holds no list of a split"):
        LAYOUTS["ucf101"].read(tmp_path, tmp_path, "all")


def test_files_and_folders_are_compared_with_the_lists(tmp_path, caplog):
    folder = write(tmp_path / "lists")
    root = tmp_path / "UCF-101"
    paths = [line.split(" ")[0] for line in (*TRAIN, *TEST)]

    def compare():
        LAYOUTS["ucf101"].compare(root, LAYOUTS["ucf101"].read(root, folder, "all"))

    with pytest.raises(VieError, match=r"UCF-101: cannot be read as a folder"):
        compare()
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    compare()
    assert not caplog.records
    (root / "YoYo" / "v_YoYo_g09_c09.avi").touch()
    (root / "YoYo" / "v_YoYo_g09_c08.avi.part").touch()
    compare()
    assert "no list names 1 videos: 'YoYo/v_YoYo_g09_c09.avi'" in caplog.text
    assert "1 files that are no videos are left out: 1 .part: 'YoYo/v_YoYo_g09_c08" in caplog.text
    first = root / paths[0]
    first.rename(first.with_name(first.name.replace("v_Apply", "v_apply")))
    with pytest.raises(VieError, match=r"with other capital letters there is '.*v_applyEye"):
        compare()
    first.symlink_to(tmp_path / "nowhere.avi")
    first.with_name(first.name.replace("v_Apply", "v_apply")).unlink()
    with pytest.raises(VieError, match=rf"1 listed videos are missing: '{paths[0]}'; .*reject"):
        compare()
    assert f"1 links lead nowhere or in a circle: '{paths[0]}'" in caplog.text
    first.unlink()
    first.touch()
    (root / "__MACOSX").mkdir()
    compare()
    (root / "__MACOSX" / "v_Other_g01_c01.avi").touch()
    with pytest.raises(VieError, match="1 folders are no class of the annotations: '__MACOSX'"):
        compare()
    shutil.rmtree(root / "__MACOSX")
    for path in (root / "YoYo").iterdir():
        path.unlink()
    (root / "YoYo").rmdir()
    with pytest.raises(VieError, match="1 of 3 classes have no folder: 'YoYo'"):
        compare()
