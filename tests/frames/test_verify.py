"""Everything that an index names is read, and what is damaged is told."""

import shutil

import pytest

from vie.frames.index import load_index
from vie.frames.verify import main
from vie.runtime.errors import VieError


@pytest.fixture
def dataset(small_dataset, motion, tmp_path):
    """A copy with motion."""
    assert motion.exists()
    return shutil.copytree(small_dataset, tmp_path / "copy")


def test_all_is_well(dataset, capsys):
    paths = [str(dataset / split / "index.parquet") for split in ("train", "val")]
    main(["--verify", *paths])
    frames = [load_index(path).n_frames.sum() for path in paths]
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: {videos} videos, {count} frames read"
        for path, videos, count in zip(paths, (24, 8), frames, strict=True)
    ]


def test_each_damaged_video_and_file_is_named(dataset, capsys):
    index = load_index(dataset / "train" / "index.parquet")
    tar = dataset / "train" / "frames" / "0-of-1.tar"
    content = bytearray(tar.read_bytes())
    for instance, frame in ((3, 0), (17, 5), (17, 6)):
        jpeg = index.read_frames(instance, [frame])[0]
        content[content.index(jpeg) + len(jpeg) // 2] ^= 1
    tar.write_bytes(content)
    motion = dataset / "train" / "motion.npy"
    motion.write_bytes(motion.read_bytes()[:-1])
    val = dataset / "val" / "index.parquet"
    val.write_bytes(val.read_bytes()[:-1])
    with pytest.raises(VieError, match=r"train/index\.parquet: 3 damaged, .*val.*: 1 damaged"):
        main(["--verify", str(index.path), str(val)])
    said = capsys.readouterr().out
    names = [index.videos[i].as_py() for i in (3, 17)]
    assert f"{tar}: frame 0 of video {names[0]!r} is damaged" in said
    assert f"{tar}: frame 5 of video {names[1]!r} is damaged" in said
    assert f"{motion}: cannot be read" in said
    assert f"{val}: cannot be read as an index" in said
    assert said.count(f"{tar}: frame") == 2
