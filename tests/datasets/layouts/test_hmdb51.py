"""HMDB51's lists, written here as the official ones are."""

import collections

import pytest

from vie.datasets.holdout import check_counts
from vie.datasets.layouts import LAYOUTS
from vie.frames.manifest import Video
from vie.runtime.errors import VieError

LINES = (
    "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 ",
    "#20_Rhythm_(2)_brush_hair_f_cm_np1_fr_med_1.avi 2 ",
    "[Sub]_A_&_B;_C's_brush_hair_f_cm_np2_le_bad_0.avi 0 ",
    "Film with blanks_brush_hair_u_cm_np1_fr_med_0.avi 1 ",
    "Film with blanks 3_brush_hair_u_cm_np1_fr_med_0.avi 1 ",
    "strange.avi 2 ",
)


def write(folder, lines=LINES, label="brush_hair", split=1):
    folder.mkdir(exist_ok=True)
    path = folder / f"{label}_test_split{split}.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def members(folder, number=1):
    return LAYOUTS["hmdb51"].assign((), folder, number)


def test_the_distributed_form(tmp_path):
    folder = write(tmp_path / "splits")
    found = LAYOUTS["hmdb51"].read(tmp_path, folder, "all")
    names = [line.rsplit(" ", 2)[0] for line in LINES]
    assert found == [
        Video(f"brush_hair/{n.removesuffix('.avi')}", f"brush_hair/{n}", "brush_hair")
        for n in names
    ]
    parts = {m.video.split("/")[1]: (m.subset, m.group) for m in members(folder)}
    assert parts == {
        "April_09_brush_hair_u_nm_np1_ba_goo_0": ("train", "April"),
        "#20_Rhythm_(2)_brush_hair_f_cm_np1_fr_med_1": ("test", "#20_Rhythm_(2)"),
        "Film with blanks_brush_hair_u_cm_np1_fr_med_0": ("train", "Film with blanks"),
        "Film with blanks 3_brush_hair_u_cm_np1_fr_med_0": ("train", "Film with blanks 3"),
        "strange": ("test", "strange"),  # no film's name in it: a group of its own
    }


def test_numbered_pieces_are_one_film(tmp_path):
    names = ["Two_Towers_3", "Two_Towers_4", "Two_Towers_3_12", "12", "2_Fast"]
    lines = [f"{name}_brush_hair_u_nm_np1_ba_goo_0.avi 1" for name in names]
    found = members(write(tmp_path / "splits", lines))
    assert [m.group for m in found] == [*["Two_Towers"] * 3, "12", "2_Fast"]


def official(folder):
    """51 classes with 70 training and 30 test videos each, and some that split 1 leaves out."""
    for i in range(51):
        label = f"class_{i}"
        flags = [1] * 70 + [2] * 30 + [0] * (2 + i % 3)
        lines = [f"Film{n}_{label}_f_cm_np1_fr_med_0.avi {f} " for n, f in enumerate(flags)]
        for split in (1, 2, 3):
            write(folder, lines, label, split)
    return folder


def test_counts_of_the_protocol(tmp_path):
    folder = official(tmp_path / "splits")
    found = members(folder, 3)
    assert collections.Counter(m.subset for m in found) == {"train": 3570, "test": 1530}
    check_counts(found, "hmdb51", 3)
    assert len(LAYOUTS["hmdb51"].read(tmp_path, folder, "all")) == 51 * 102 + 17 * (0 + 1 + 2)
    less = [m for m in found if m is not found[0]]
    with pytest.raises(VieError, match="69 train videos of class_0 and not 70"):
        check_counts(less, "hmdb51", 3)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a_brush_hair_0.avi"], "should be a file name and 0, 1 or 2"),
        (["a_brush_hair_0.avi 3"], "should be a file name and 0, 1 or 2"),
        (["a_brush_hair_0.avi 1 1"], "is not the name of an avi file"),
        (["../brush_hair_0.avi 1"], "is not a plain name"),
        (["/etc/passwd.avi 1"], "is not a plain name"),
        (["a\\b.avi 1"], "is not a plain name"),
        (["a\x07.avi 1"], "is not a plain name"),
        (["a.mp4 1"], "is not the name of an avi file"),
        ([LINES[0], LINES[0]], "line 2: .* is listed a second time"),
        ([], "names no video"),
    ],
)
def test_lines_that_break_the_layout(tmp_path, lines, message):
    folder = write(tmp_path / "splits", lines)
    with pytest.raises(VieError, match=message):
        members(folder)


def test_lists_that_do_not_fit_each_other(tmp_path):
    folder = write(tmp_path / "splits")
    with pytest.raises(VieError, match=r"no list <class>_test_split2.txt; .* splits 1"):
        members(folder, 2)
    write(folder, split=2)
    write(folder, label="cartwheel", split=2)
    with pytest.raises(VieError, match=r"splits 1 and 2 .*look at cartwheel"):
        LAYOUTS["hmdb51"].read(tmp_path, folder, "all")
    again = folder / "brush_hair_test_split01.txt"
    again.touch()
    with pytest.raises(VieError, match=r"split01.txt: should be called"):
        members(folder)
    again.unlink()
    (folder / "readme.txt").touch()
    with pytest.raises(VieError, match=r"readme.txt: should be called"):
        members(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VieError, match="holds no list"):
        members(tmp_path / "empty")
    with pytest.raises(VieError, match="cannot be read as a folder"):
        members(tmp_path / "absent")


def test_text_that_is_not_utf8(tmp_path):
    folder = write(tmp_path / "splits")
    (folder / "brush_hair_test_split1.txt").write_bytes(b"caf\xe9.avi 1\n")
    with pytest.raises(VieError, match="cannot be read as UTF-8 text"):
        members(folder)
