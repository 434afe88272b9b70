"""Maps: what is alike lies together, and what they are coloured by."""

import numpy as np
import pytest

from vie.engine.feature_table import FeatureTable
from vie.reporting import feature_map
from vie.reporting.feature_map import make_map, plot_map
from vie.runtime.errors import VieError


def table_of(labels, ids=None, noise=0.1):
    """A direction for each label."""
    rng = np.random.default_rng(0)
    numbers = np.unique(labels, return_inverse=True)[1]
    vectors = np.eye(12)[numbers] + noise * rng.normal(size=(len(labels), 12))
    places = np.zeros(len(labels)), np.ones(len(labels))
    ids = ids or [f"{i}.mp4" for i in range(len(labels))]
    vectors = {"embedding": vectors.astype(np.float32)}
    return FeatureTable(ids, *places, list(labels), ["train"] * len(ids), vectors, {})


def test_videos_of_a_kind_lie_together(tmp_path):
    labels = [f"{'key' if i % 2 else 'tree'} {'up' if i % 3 else 'down'}" for i in range(60)]
    found = make_map(
        table_of(labels), model="VIE", dataset="mine", seed=0, words=("appearance", "motion")
    )
    near = np.linalg.norm(found.points[:, None] - found.points[None], axis=2)
    np.fill_diagonal(near, np.inf)
    nearest = near.argmin(1)
    assert np.mean([labels[i] == labels[j] for i, j in enumerate(nearest)]) > 0.9
    assert list(found.panels) == ["class", "appearance", "motion"]
    assert found.panels["motion"].tolist() == [label.split()[1] for label in labels]
    again = make_map(table_of(labels), model="VIE", dataset="mine", seed=0)
    np.testing.assert_array_equal(again.points, found.points)
    assert list(again.panels) == ["class"]
    assert "60 videos, embeddings" in found.caption
    plot_map(found, [tmp_path / "map.svg", tmp_path / "map.png"])
    assert (tmp_path / "map.svg").stat().st_size > 5000
    assert (tmp_path / "map.png").stat().st_size > 5000


def test_at_most_so_many_are_drawn(monkeypatch):
    monkeypatch.setattr(feature_map, "MOST", 20)
    labels = [*"ab"] * 30
    found = make_map(table_of(labels), model="VIE", dataset="mine", seed=5)
    assert found.points.shape == (20, 2)
    assert "20 videos of 60, drawn with seed 5" in found.caption


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["x/a/1.mp4", "x/b/c/2.mp4", "x/b/d/3.mp4"], ["x/a", "x/b", "x/b"]),
        (["a/1.mp4", "2.mp4", "b/3.mp4"], ["a", "(no folder)", "b"]),
        (["x/1.mp4", "x/2.mp4", "x/3.mp4"], None),
        (["1.mp4", "2.mp4", "3.mp4"], None),
    ],
)
def test_without_labels_by_the_first_folder_that_differs(ids, names):
    ids, many = [f"{one}{i}" for i in range(4) for one in ids], 4
    found = make_map(table_of([""] * len(ids), ids), model="VIE", dataset="mine", seed=0)
    assert {kind: names.tolist() for kind, names in found.panels.items()} == (
        {"folder": names * many} if names else {}
    )


@pytest.mark.parametrize(("classes", "named"), [(1, 0), (28, 28), (400, 0)])
def test_names_of_any_number_and_kind(tmp_path, classes, named):
    """Also such that matplotlib would take for formulas or leave out."""
    rng = np.random.default_rng(0)
    names = np.array([f"_a $_name^ {i % classes}" for i in range(800)])
    points, panels = rng.normal(size=(800, 2)), {"class": names}
    found = feature_map.FeatureMap("$x_", "some words " * 30, points, panels)
    plot_map(found, [tmp_path / "map.svg"])
    text = (tmp_path / "map.svg").read_text()
    assert text.count("_a $_name^") == named
    assert ("400, too many to name" in text) == (classes == 400)
    assert "$x_" in text


def test_too_few():
    with pytest.raises(VieError, match="5 at least"):
        make_map(table_of([*"abc"]), model="VIE", dataset="mine", seed=0)
