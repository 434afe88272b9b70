"""The command that extracts features of any videos, and its function."""

import csv
import subprocess
import sys

import numpy as np
import pytest
import torch

import vie
from tests.frames.test_extract import dataset
from tests.frames.test_extract import extract as extract_frames
from vie import features
from vie.clips.transform import ClipTransform
from vie.engine import feature_parts
from vie.engine.feature_table import read_features
from vie.engine.run import Run
from vie.extract import main
from vie.features import Split, write_index_features
from vie.frames.index import build_index
from vie.models.encoder_file import write_encoder
from vie.models.untrained import write_untrained
from vie.runtime import torch_files
from vie.runtime.errors import VieError

FRAMES = {"fps": 25, "shorter_side": 48, "quality": 3}  # of the index that is compared with


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder with 8 videos of 3 to 10 frames and two that are none; its manifest beside it."""
    folder = tmp_path_factory.mktemp("videos")
    dataset(folder, n=8, bad=("empty", "text"))
    return folder / "videos"


@pytest.fixture
def encoder(recipe, tmp_path):
    """An encoder's file, of a network for clips of two frames."""
    recipe["clip"] = {"frames": 2, "stride": 2}
    recipe["encoder"]["network"] = "slow"
    write_untrained(recipe, 0, tmp_path / "untrained.pt", 25.0)
    about = {"recipe": {"label": "VIE-Slow"}, "provenance": {}}
    write_encoder(tmp_path / "untrained.pt", tmp_path / "encoder.pt", FRAMES, **about)
    return tmp_path / "encoder.pt"


def run(*arguments):
    main([str(argument) for argument in arguments])


def refused(match, *arguments):
    with pytest.raises(VieError, match=match) as error:
        run(*arguments)
    assert str(error.value).isprintable()


def test_features_are_those_of_an_index_of_the_same_files(videos, encoder, recipe, tmp_path):
    made = extract_frames(videos.parent, name=f"frames of {tmp_path.name}")
    names = [tmp_path / name for name in ("index.parquet", "index.sizes.npy", "rejected.csv")]
    manifest = videos.parent / "manifest.parquet"
    build_index(manifest, *([one] for one in made), *names, min_frames=1)
    split, settings = (
        Split("all", names[0], manifest),
        {"clips": 5, "layers": ["embedding", "conv5"]},
    )
    job = Run(tmp_path, seed=0, name="features", gpus=0)
    transform = ClipTransform.of(recipe)
    write_index_features([encoder], [split], transform, settings, job, tmp_path / "i.parquet")
    run(encoder, videos, "-o", tmp_path / "f.parquet", "--layers", "embedding", "conv5")
    index, files = (read_features(tmp_path / f"{name}.parquet") for name in "if")
    row = {name: number for number, name in enumerate(index.ids)}
    rows = [row[name.removesuffix(".mp4")] for name in files.ids]
    assert len(rows) == len(index.ids) == 8
    for layer in settings["layers"]:
        np.testing.assert_allclose(files.vectors[layer], index.vectors[layer][rows], atol=1e-4)
    np.testing.assert_allclose(files.ends, index.ends[rows])
    assert files.metadata["encoder"] == index.metadata["encoder"]
    assert files.metadata["recipe"] == "VIE-Slow"


def test_bad_videos_are_recorded_and_nothing_else_is_left(videos, encoder, tmp_path, capsys):
    out = tmp_path / "out" / "f.parquet"
    run(encoder, videos, "-o", out, "--npy", "--layers", "embedding", "conv3")
    assert capsys.readouterr().out.startswith(f"{out}: 8 videos; 2 rejected ({out.parent}/f.rej")
    with out.with_suffix(".rejected.csv").open() as file:
        reasons = {row["video"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons["empty.mp4"] == "empty file"
    assert reasons["text.mp4"].startswith("cannot be decoded")
    table = read_features(out)
    assert table.ids == sorted(table.ids)
    for layer, vectors in table.vectors.items():
        np.testing.assert_array_equal(np.load(out.with_suffix(f".{layer}.npy")), vectors)
    with out.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == table.ids
    assert [float(row["end"]) for row in rows] == table.ends.tolist()
    ends = ("parquet", "rejected.csv", "csv", "embedding.npy", "conv3.npy")
    assert {path.name for path in out.parent.iterdir()} == {f"f.{end}" for end in ends}
    refused("is there already", encoder, videos, "-o", out)


def test_a_list_names_seconds_and_labels(videos, encoder, tmp_path):
    (tmp_path / "list.csv").write_text(
        "path,start,end,label\n"
        f"{videos}/v007.mp4,0.12,0.32,second\n{videos}/v007.mp4,0,0.2,first\n{videos}/v001.mp4,,,w\n"
    )
    run(encoder, tmp_path / "list.csv", "-o", tmp_path / "f.parquet")
    found = read_features(tmp_path / "f.parquet")
    places = dict(zip(found.labels, zip(found.starts, found.ends, strict=True), strict=True))
    assert places == {"first": (0, 0.2), "second": (0.12, 0.32), "w": (0, 4 / 25)}
    assert found.splits == [""] * 3
    run(encoder, tmp_path / "list.csv", "-o", tmp_path / "s.parquet", "--stride-seconds", "0.04")
    found = read_features(tmp_path / "s.parquet")
    rows = [row for row, label in enumerate(found.labels) if label == "second"]
    np.testing.assert_allclose(found.starts[rows], [0.12, 0.16, 0.2])
    np.testing.assert_allclose(found.ends[rows], [0.24, 0.28, 0.32])


class StopError(Exception):
    """What ends a command in the middle."""


def stopped_after(monkeypatch, videos):
    """Let extraction end after some videos; the numbers of all videos that are read."""
    whole, numbers = features.file_features, []

    def some(*arguments):
        for found in whole(*arguments):
            if len(numbers) == videos:
                raise StopError
            numbers.append(found.number)
            yield found

    monkeypatch.setattr("vie.extract.file_features", some)
    return numbers


def test_another_file_of_the_same_name_is_not_taken_for_done(
    videos, encoder, tmp_path, monkeypatch
):
    paths = sorted(path for path in videos.rglob("*.mp4") if path.stat().st_size > 2000)[:2]
    for folder, pair in (("one", paths), ("two", paths[::-1])):
        (tmp_path / folder).mkdir()
        for name, path in zip("ab", pair, strict=True):
            (tmp_path / folder / f"{name}.mp4").write_bytes(path.read_bytes())
    monkeypatch.setattr(feature_parts, "SAVE_SECONDS", 0)
    with monkeypatch.context() as patch:
        stopped_after(patch, 1)
        with pytest.raises(StopError):
            run(encoder, tmp_path / "one", "-o", tmp_path / "f.parquet")
    run(encoder, tmp_path / "two", "-o", tmp_path / "f.parquet")
    run(encoder, tmp_path / "two", "-o", tmp_path / "fresh.parquet")
    found, fresh = (read_features(tmp_path / f"{name}.parquet") for name in ("f", "fresh"))
    assert found.ids == fresh.ids
    np.testing.assert_allclose(found.vectors["embedding"], fresh.vectors["embedding"], atol=1e-5)


def test_a_command_that_was_ended_goes_on(videos, encoder, tmp_path, monkeypatch):
    run(encoder, videos, "-o", tmp_path / "whole.parquet")
    asked = encoder, videos, "-o", tmp_path / "f.parquet"
    monkeypatch.setattr(feature_parts, "SAVE_SECONDS", 0)
    with monkeypatch.context() as patch:
        first = stopped_after(patch, 5)
        with pytest.raises(StopError):
            run(*asked)
    assert (tmp_path / "f.parts").is_dir()
    refused("another call began .clips 5, not 2.", *asked, "--clips", "2")
    refused("another call began", *asked, "--layers", "conv5")
    refused("another call began", *asked, "--stride-seconds", "1")
    with monkeypatch.context() as patch:
        second = stopped_after(patch, 99)
        run(*asked)
    assert sorted({*first, *second}) == list(range(10))
    assert len({*first} & {*second}) <= 2  # those that cannot be used are looked at again
    found, whole = (read_features(tmp_path / f"{name}.parquet") for name in ("f", "whole"))
    assert found.ids == whole.ids
    np.testing.assert_allclose(found.vectors["embedding"], whole.vectors["embedding"], atol=1e-5)
    lines = [(tmp_path / f"{name}.rejected.csv").read_text() for name in ("f", "whole")]
    assert lines[0] == lines[1]
    assert not (tmp_path / "f.parts").exists()


def test_another_encoder_does_not_go_on(videos, encoder, recipe, tmp_path, monkeypatch):
    stopped_after(monkeypatch, 1)
    with pytest.raises(StopError):
        run(encoder, videos, "-o", tmp_path / "f.parquet")
    write_untrained(recipe, 1, tmp_path / "other.pt", 25.0)
    given = tmp_path / "other.pt", videos, "-o", tmp_path / "f.parquet"
    refused("another call began .encoder", *given, "--frames", 25, 48, 3)


def test_settings_that_cannot_be(videos, encoder, tmp_path):
    output = "-o", tmp_path / "f.parquet"
    refused("f.csv: a table of features ends in .parquet", encoder, videos, "-o", "f.csv")
    refused("choose 0.04 .one frame. to 40000", encoder, videos, *output, "--stride-seconds", 0.01)
    for count in ("--clips", "--threads"):
        refused("at least one of each", encoder, videos, *output, count, 0)
    refused("no such checkpoint", tmp_path / "none.pt", videos, *output)
    refused("no such file or folder", encoder, tmp_path / "none", *output)
    plain = tmp_path / "untrained.pt"
    refused("untrained.pt does not say how videos become frames.* 25 36 3", plain, videos, *output)
    refused("frames .'25', 'a', '3'.: expected", plain, videos, *output, "--frames", 25, "a", 3)
    with pytest.raises(VieError, match="there is no layer conv9"):
        vie.extract(encoder, videos, layers=["conv9"])


def test_a_file_of_strangers_cannot_write_ffmpegs_command(videos, encoder, tmp_path):
    content = torch_files.load(encoder)
    content["frames"]["fps"] = "25,movie=/etc/passwd"
    torch_files.save(encoder, content)
    refused("frames.fps is 25,movie", encoder, videos, "-o", tmp_path / "f.parquet")


def test_no_usable_video_is_an_error(videos, encoder, tmp_path):
    given = encoder, videos / "empty.mp4", videos / "text.mp4"
    refused(
        "none of 2 videos can be used; empty.mp4: empty file", *given, "-o", tmp_path / "f.parquet"
    )


def test_in_python(videos, encoder, caplog):
    """With a path or a network, one layer or several; the module is the function, too."""
    ids, vectors = vie.extract(encoder, videos, threads=1)
    assert ids == [f"v{i:03d}.mp4" for i in range(8)]
    assert (vectors.shape, vectors.dtype) == ((8, 8), np.float32)
    assert "text.mp4 is left out: cannot be decoded" in caplog.text
    assert callable(sys.modules["vie.extract"])
    assert sys.modules["vie.extract"] is vie.extract
    network = vie.load_encoder(encoder)
    again, both = vie.extract(network, [videos / "v003.mp4"], layers=["embedding", "conv4"])
    assert again == ["v003.mp4"]
    np.testing.assert_allclose(both["embedding"][0], vectors[3], atol=1e-5)
    assert both["conv4"].shape == (1, 8)
    assert next(network.parameters()).device.type == "cpu"
    clip = torch.zeros(1, 3, network.input.frames, network.input.size, network.input.size)
    embedding, _ = network(clip)
    assert embedding.shape == (1, 8)


def test_the_command_itself(videos, encoder, tmp_path):
    asked = ["-m", "vie.extract", encoder, videos / "none.mp4", "-o", tmp_path / "f.parquet"]
    done = subprocess.run([sys.executable, *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ERROR: no such file or folder")
