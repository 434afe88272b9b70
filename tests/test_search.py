"""Searching a table of features for videos that are like a video."""

import shutil

import numpy as np
import pytest

import vie
from vie.clips.transform import ClipTransform
from vie.datasets.synthetic.render import render
from vie.datasets.synthetic.write_videos import encode
from vie.engine.feature_table import read_features, write_features
from vie.extract import main as extract_main
from vie.models.checkpoint_format import describe
from vie.models.encoders import build_encoder
from vie.runtime import torch_files
from vie.runtime.errors import VieError
from vie.search import main, search

FRAMES = ("--frames", "25", "40", "3")


def write_checkpoint(path, recipe):
    network = build_encoder(recipe["encoder"])
    known = describe(recipe, ClipTransform.of(recipe), 25.0)
    torch_files.save(path, known | {"encoder": network.state_dict()})
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of six videos."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(6):
        encode(render("arrow rising", 0, number)[:30], folder / f"v {number}.mp4")
    return folder


@pytest.fixture
def encoder(tmp_path, recipe):
    return write_checkpoint(tmp_path / "a.pt", recipe)


@pytest.fixture
def features(tmp_path, encoder, videos):
    path = tmp_path / "features.parquet"
    extract_main([str(encoder), str(videos), "-o", str(path), "--clips", "2", *FRAMES])
    return path


def test_a_video_finds_itself_and_then_what_is_near(encoder, features, videos, tmp_path, capsys):
    query = tmp_path / "another name.mp4"
    shutil.copy(videos / "v 3.mp4", query)
    capsys.readouterr()
    main([str(encoder), str(features), str(query), "-k", "3", *FRAMES])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "another name.mp4"
    assert lines[1] == "  1.000  v 3.mp4  0.0-1.2 s"
    assert len(lines) == 4
    vectors = read_features(features).vectors["embedding"]
    order = np.argsort(-vectors @ vectors[3])
    assert [line.split("  ")[2] for line in lines[1:]] == [f"v {i}.mp4" for i in order[:3]]
    found = search(encoder, features, [query, videos / "v 0.mp4"], 99, frames=FRAMES[1:])
    assert sorted(map(len, found.values())) == [6, 6]  # no more than there are


def test_features_of_another_encoder_are_refused(encoder, features, videos, tmp_path, recipe):
    other = write_checkpoint(tmp_path / "other.pt", recipe)  # other random weights
    query = str(videos / "v 0.mp4")
    with pytest.raises(VieError, match=r"not of .*other\.pt: similarities between two networks"):
        main([str(other), str(features), query, *FRAMES])
    with pytest.raises(VieError, match="at least 1"):
        main([str(encoder), str(features), query, "-k", "0", *FRAMES])
    table = read_features(features)
    conv5 = table._replace(vectors={"conv5": table.vectors["embedding"]})
    write_features(conv5, tmp_path / "conv5.parquet")
    with pytest.raises(VieError, match="no embeddings"):
        main([str(encoder), str(tmp_path / "conv5.parquet"), query, *FRAMES])
    with pytest.raises(VieError, match=r"give --frames"):
        main([str(encoder), str(features), query])
    assert vie.load_encoder(encoder).metadata["recipe"]["encoder"]["width"] == 2
