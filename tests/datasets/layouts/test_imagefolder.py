"""Images in class folders, flat with labels, and in lists, as copies of ImageNet have them."""

import csv
import os
import time

import numpy as np
import pytest
from scipy.io import savemat
from torchvision.datasets import ImageFolder

from vie.datasets.layouts import LAYOUTS
from vie.datasets.layouts.imagefolder import digest_of_images
from vie.datasets.layouts.video_files import NoFilesError
from vie.frames.manifest import LONGEST_ID, class_names, write_manifest
from vie.runtime.errors import VieError

IMAGES = LAYOUTS["imagefolder"]
WNIDS = ("n01440764", "n01443537", "n01484850")
# The devkit numbers classes in another order than that of their names.
NUMBERS = {"n01440764": 3, "n01443537": 1, "n01484850": 2}
VAL = [WNIDS[i] for i in (2, 0, 0, 1, 2)]  # of the images in order


def write(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def tree(folder, flat=True):
    """A small ImageNet -> (folder of images, labels of val as read)."""
    write(folder, *(f"train/{wnid}/{wnid}_{i}.JPEG" for wnid in WNIDS for i in (3, 20)))
    names = [f"ILSVRC2012_val_{i:08d}.JPEG" for i in range(1, 6)]
    pairs = zip(names, VAL, strict=True)
    write(folder, *(f"val/{name}" if flat else f"val/{label}/{name}" for name, label in pairs))
    return folder, dict(zip(names, VAL, strict=True))


def read(folder, split, annotations=None):
    where = IMAGES.annotations(folder, annotations or folder / "none", split)
    return IMAGES.read(folder, where, split)


def labels(videos):
    return {os.path.basename(video.path): video.label for video in videos}


def devkit(folder, below="data"):
    (folder / below).mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{NUMBERS[wnid]}\n" for wnid in VAL)
    (folder / below / "ILSVRC2012_validation_ground_truth.txt").write_text(lines)
    kind = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object)]
    synsets = np.array([(n, wnid, "a word") for wnid, n in NUMBERS.items()], dtype=kind)
    savemat(folder / below / "meta.mat", {"synsets": synsets[:, None]})
    return folder


def kaggle(folder):
    path = folder / "LOC_val_solution.csv"
    rows = [f"ILSVRC2012_val_{i:08d},{wnid} 1 2 3 4 " for i, wnid in enumerate(VAL, 1)]
    path.write_text("\n".join(["ImageId,PredictionString", *rows[::-1]]))
    return path


def table(folder):
    path = folder / "labels.csv"
    rows = [f"ILSVRC2012_val_{i:08d}.JPEG,{wnid}" for i, wnid in enumerate(VAL, 1)]
    path.write_text("\n".join(["file,label", *rows]))
    return path


def lines(folder):
    path = folder / "val_labels.txt"
    path.write_text("\n".join(VAL) + "\n")
    return path


def caffe(folder):
    path = folder / "val.txt"
    rows = [f"ILSVRC2012_val_{i:08d}.JPEG {wnid}\n" for i, wnid in enumerate(VAL, 1)]
    path.write_text("".join(rows))
    return path


def test_class_folders_are_those_of_torchvision(tmp_path):
    folder, wanted = tree(tmp_path, flat=False)
    write(folder, "train/n01440764/deeper/x.jpg", "train/n01440764/same.png")
    write(folder, "train/n01440764/same.jpg")
    for split in ("train", "val"):
        videos = read(folder, split)
        theirs = ImageFolder(folder / split)
        assert class_names(videos) == theirs.classes
        assert {(str(folder / video.path), video.label) for video in videos} == {
            (path, theirs.classes[number]) for path, number in theirs.samples
        }
        write_manifest(videos, class_names(videos), tmp_path / f"{split}.parquet")
    assert labels(read(folder, "val")) == wanted
    assert {video.video for video in read(folder, "val")} == {
        f"{label}/{name}" for name, label in wanted.items()
    }


@pytest.mark.parametrize("give", [devkit, lambda f: devkit(f, "."), kaggle, table, lines, caffe])
def test_labels_of_a_flat_val(tmp_path, give):
    folder, wanted = tree(tmp_path / "images")
    (tmp_path / "given").mkdir()
    annotations = give(tmp_path / "given")
    assert labels(read(folder, "val", annotations)) == wanted
    assert len(read(folder, "train", annotations)) == 6
    if annotations.name in ("LOC_val_solution.csv", "val.txt"):  # also found in a folder
        assert labels(read(folder, "val", annotations.parent)) == wanted


@pytest.mark.parametrize("give", [devkit, kaggle])
def test_files_of_imagenet_are_not_needed_beside_class_folders(tmp_path, give):
    folder, wanted = tree(tmp_path / "images", flat=False)
    (tmp_path / "given").mkdir()
    assert labels(read(folder, "val", give(tmp_path / "given"))) == wanted


def test_a_part_of_val_has_the_labels_of_its_numbers(tmp_path):
    folder, wanted = tree(tmp_path / "images")
    (folder / "val" / "ILSVRC2012_val_00000002.JPEG").unlink()
    del wanted["ILSVRC2012_val_00000002.JPEG"]
    assert labels(read(folder, "val", devkit(tmp_path / "given"))) == wanted
    write(folder, "val/other.JPEG", "val/another.JPEG")
    with pytest.raises(VieError, match="5 labels for 6 images"):
        read(folder, "val", lines(tmp_path / "given"))


def test_a_list_in_place_of_the_tree(tmp_path, caplog):
    folder, _ = tree(tmp_path / "images", flat=False)
    (folder / "train/n01440764/n01440764_3.JPEG").unlink()
    paths = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.JPEG"))
    paths.append("train/n01440764/n01440764_3.JPEG")
    rows = [(path, path.split("/")[1]) for path in paths]
    both, three = tmp_path / "all.csv", tmp_path / "three.csv"
    with both.open("w", newline="") as file:
        csv.writer(file).writerows([("label", "file"), *((b, a) for a, b in rows)])
    with three.open("w", newline="") as file:
        parts = [(a.partition("/")[2], b, a.partition("/")[0]) for a, b in rows]
        csv.writer(file).writerows([("file", "label", "split"), *parts])
    text = tmp_path / "all.txt"
    text.write_text("\r\n".join(f"./{path} {label}" for path, label in rows))
    absolute = tmp_path / "absolute.txt"
    absolute.write_text("".join(f"{folder / path} {label}\n" for path, label in rows))
    lists = tmp_path / "lists"
    lists.mkdir()
    for split in ("train", "val"):
        own = [row for row in rows if row[0].startswith(split)]
        short = "".join(f"{path.partition('/')[2]} {label}\n" for path, label in own)
        (lists / f"{split}.txt").write_text(short)
    for split in ("train", "val"):
        tree_itself = {video.path: video for video in read(folder, split)}
        for annotations in (both, three, text, absolute, lists):
            found = {video.path: video for video in read(folder, split, annotations)}
            gone = {path for path, video in found.items() if not video.file_found}
            assert gone == ({"train/n01440764/n01440764_3.JPEG"} if split == "train" else set())
            assert {path: one for path, one in found.items() if path not in gone} == tree_itself
    assert "1 of 6 listed images have no file and will be rejected" in caplog.text


def test_what_is_no_image_is_named(tmp_path, caplog):
    folder, _ = tree(tmp_path, flat=False)
    write(folder, "train/readme.txt", "train/n01440764/notes.txt", "train/n01440764/.hidden.jpg")
    (folder / "train" / "n09999999").mkdir()
    (folder / "train" / "n01440764" / "folder.JPEG").mkdir()
    os.mkfifo(folder / "train" / "n01440764" / "pipe.png")
    (folder / "train" / "n01440764" / "loop").symlink_to(folder / "train")
    os.mkdir(os.fsencode(folder / "train" / "n01440764") + b"/\xff")
    os.mknod(os.fsencode(folder / "train" / "n01440764") + b"/\xfe.jpg")
    found = {video.path for video in read(folder, "train")}
    # A reason is recorded for them when they are read.
    assert {"train/n01440764/folder.JPEG", "train/n01440764/pipe.png"} < found
    assert r"train/n01440764/\xfe.jpg" in found
    assert len(found) == 9
    left_out = next(r.getMessage() for r in caplog.records if "left out" in r.getMessage())
    assert "4 files that are no images are left out: 2 .txt, 1 hidden, 1 without" in left_out
    assert "1 class folders hold no image: 'n09999999'" in caplog.text


def test_names_that_are_too_long_for_a_tar(tmp_path):
    folder, _ = tree(tmp_path, flat=False)
    names = ["x" * 240 + ".JPEG", "é" * 100 + ".png", "a\nb.gif", "-rf *;'.webp"]
    write(folder, *(f"train/n01440764/{name}" for name in names))
    videos = read(folder, "train")
    assert len({video.video for video in videos}) == 10
    assert max(len(video.video.encode()) for video in videos) <= LONGEST_ID
    write_manifest(videos, class_names(videos), tmp_path / "manifest.parquet")


WRONG = {
    "file,label\ntrain/../../etc/passwd,a\n": "line 2: 'train/../../etc/passwd' is not a path",
    "file,label\ntrain/a/x.jpg,a\n/etc/passwd,a\n": "line 3: '/etc/passwd' is in neither train/",
    "file,label\ntrain/a/x.jpg\n": "line 2: 1 values for 2 columns",
    "file,name\ntrain/a/x.jpg,a\n": "line 1: a list of images has the columns file and label",
    "file,label\ntrain/a/x.jpg,a/b\n": "line 2: label 'a/b' is not a plain name",
    "file,label,split\nx.jpg,a,test\n": "names no image of the split 'train'",
    "file,label,split\nx.jpg,a,rest\n": "line 2: 'x.jpg' is in neither train/ nor val/",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_lists_are_explained(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(VieError) as error:
        read(tmp_path, "train", path)
    assert WRONG[text] in str(error.value)
    assert str(path) in str(error.value)


def test_missing_labels_are_explained(tmp_path):
    folder, _ = tree(tmp_path / "images")
    (folder / "empty" / "train" / "a").mkdir(parents=True)
    with pytest.raises(NoFilesError, match="their labels are not known: name a file"):
        read(folder, "val")
    with pytest.raises(NoFilesError, match="no image in its class folders"):
        read(folder / "empty", "train")
    given = devkit(tmp_path / "given")
    (given / "data" / "meta.mat").write_bytes(b"MATLAB 5.0" + bytes(300))
    with pytest.raises(VieError, match=r"meta\.mat: cannot be read as meta\.mat of ImageNet"):
        read(folder, "val", given)
    numbers = tmp_path / "numbers.txt"
    numbers.write_text("1\n2\n3\n1\n2\n")
    with pytest.raises(VieError, match="'1' is a number, and which class it is"):
        read(folder, "val", numbers)
    twice = kaggle(tmp_path)
    with twice.open("a") as file:
        file.write("\nILSVRC2012_val_00000001,n00000001 1 2 3 4\n")
    with pytest.raises(VieError, match="'ILSVRC2012_val_00000001' was 'n01484850' before"):
        read(folder, "val", twice)
    few = kaggle(tmp_path)
    few.write_text("\n".join(few.read_text().splitlines()[:4]))
    with pytest.raises(VieError, match="has no label of 2 images: 'ILSVRC2012_val_00000001"):
        read(folder, "val", few)


def test_the_digest_notices_images(tmp_path):
    folder, _ = tree(tmp_path, flat=False)
    first = digest_of_images(folder / "train")
    assert digest_of_images(folder / "train") == first
    time.sleep(0.02)  # times of files are coarse
    write(folder, "train/n01440764/new.JPEG")
    second = digest_of_images(folder / "train")
    (folder / "train" / "n01440764" / "new.JPEG").unlink()
    (folder / "train" / "n00000001").mkdir()
    assert len({first, second, digest_of_images(folder / "train")}) == 3
