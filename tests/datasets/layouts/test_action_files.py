"""The trees that copies of UCF101 and HMDB51 have."""

import pytest

from tests.datasets.layouts import test_hmdb51 as hmdb
from tests.datasets.layouts import test_ucf101 as ucf
from vie.datasets.layouts import LAYOUTS
from vie.datasets.layouts.video_files import NoFilesError
from vie.runtime.errors import VieError

UCF = [line.split(" ")[0] for line in (*ucf.TRAIN, *ucf.TEST)]
HMDB = [f"brush_hair/{line.rsplit(' ', 2)[0]}" for line in hmdb.LINES]
PARTS = {
    "as distributed": "{label}/{stem}.avi",
    "flat": "{stem}.avi",
    "flat, a folder deeper": "UCF-101/{stem}.avi",
    "nested": "UCF-101/{label}/{stem}.avi",
    "nested twice": "UCF-101/UCF-101/{label}/{stem}.avi",
    "each class in its own folder": "{label}/{label}/{stem}.avi",
    "an archive each": "{label}_rar/{label}/{stem}.avi",
    "class folders spelt otherwise": "{spelt}/{stem}.avi",
    "re-encoded": "{label}/{stem}.mp4",
}


def fill(root, paths, form):
    for path in paths:
        label, stem = path.removesuffix(".avi").split("/")
        name = form.format(label=label, stem=stem, spelt=label.upper().replace("_", " "))
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("form", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize(
    ("layout", "module", "paths"), [("ucf101", ucf, UCF), ("hmdb51", hmdb, HMDB)]
)
def test_trees_that_are_read(tmp_path, caplog, layout, module, paths, form):
    root, lists = tmp_path / "videos", module.write(tmp_path / "lists")
    fill(root, paths, form)
    found = LAYOUTS[layout].read(root, lists, "all")
    assert [video.video for video in found] == [
        video.video for video in LAYOUTS[layout].listed(root, lists, "all")
    ]
    for video in found:
        assert video.file_found
        assert (root / video.path).is_file()
        assert (root / video.path).stem == video.video.split("/")[1]
    LAYOUTS[layout].compare(root, found)
    assert not caplog.records


def test_the_listed_file_comes_first(tmp_path, caplog):
    root, lists = tmp_path / "videos", ucf.write(tmp_path / "lists")
    for form in ("{label}/{stem}.avi", "{label}/{stem}.mp4", "UCF-101/{label}/{stem}.avi"):
        fill(root, UCF, form)
    found = LAYOUTS["ucf101"].read(root, lists, "all")
    assert sorted(video.path for video in found) == sorted(UCF)
    assert "no list names 6 videos: 'UCF-101/" in caplog.text


def test_a_name_of_two_classes_is_read_in_class_folders_alone(tmp_path):
    root, lists = tmp_path / "videos", hmdb.write(tmp_path / "lists", ["same.avi 1"])
    hmdb.write(lists, ["same.avi 2"], "wave")
    (root / "wave").mkdir(parents=True)
    for name in ("same.avi", "wave/same.avi"):
        (root / name).touch()
    found = {video.label: video.file_found for video in LAYOUTS["hmdb51"].read(root, lists, "all")}
    assert found == {"brush_hair": False, "wave": True}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["brush_hair.rar", "cartwheel.rar"], r"2 .rar: .*2 archives are not unpacked \('brush_h"),
        (["a/other.avi"], r"found are 1 videos of other names: 'a/other\.avi'; the folders 'a'"),
        (["x.avi.part", "y.txt"], r"found are other files: 1 .part, 1 .txt: 'x\.avi\.part'"),
        ([], r"found are no files; see whether videos and annotations are of one dataset"),
    ],
)
def test_a_copy_without_any_listed_file(tmp_path, names, words):
    root, lists = tmp_path / "videos", hmdb.write(tmp_path / "lists")
    root.mkdir()
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    with pytest.raises(NoFilesError, match=f"none of the 6 listed videos has a file.*{words}"):
        LAYOUTS["hmdb51"].compare(root, LAYOUTS["hmdb51"].read(root, lists, "all"))


def test_an_incomplete_flat_copy(tmp_path):
    root, lists = tmp_path / "videos", ucf.write(tmp_path / "lists")
    fill(root, UCF[1:], "{stem}.avi")
    found = LAYOUTS["ucf101"].read(root, lists, "all")
    assert [video.path for video in found if not video.file_found] == UCF[:1]
    with pytest.raises(VieError, match=f"1 listed videos are missing: '{UCF[0]}'"):
        LAYOUTS["ucf101"].compare(root, found)


def test_links_in_circles_and_of_folders(tmp_path, caplog):
    root, lists = tmp_path / "videos", ucf.write(tmp_path / "lists")
    fill(tmp_path / "elsewhere", UCF, "{label}/{stem}.avi")
    root.mkdir()
    (root / "UCF-101").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "YoYo" / "up").symlink_to("..")
    (root / "self").symlink_to("self")
    found = LAYOUTS["ucf101"].read(root, lists, "all")
    assert all(video.file_found for video in found)
    assert "1 links lead nowhere or in a circle: 'self'" in caplog.text
