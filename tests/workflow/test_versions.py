"""Versions: one for each layout and objective, and names that nobody has listed."""

import pytest

from vie.config.recipes import STAGES
from vie.datasets.layouts import LAYOUTS
from vie.workflow.versions import VERSIONS, version


@pytest.fixture
def numbers(monkeypatch):
    """So that no step up touches these tests."""
    for kind, number in (("probe", 5), ("pretrain", 7), ("pretrain.rotation", 3)):
        monkeypatch.setitem(VERSIONS, kind, VERSIONS[kind]._replace(number=number))


def test_what_is_shared_and_what_is_an_objectives_own(numbers):
    assert version("probe") == "probe 5"
    assert version("pretrain", "rotation") == "pretrain 7, rotation 3"


def test_a_users_own_objective_needs_no_entry(numbers):
    assert version("pretrain", "mine.losses:Loss") == "pretrain 7, mine.losses:Loss 1"


def test_an_unknown_kind_is_an_error():
    with pytest.raises(KeyError, match="porbe"):
        version("porbe")


def test_one_step_up_changes_its_own_kind_alone(monkeypatch):
    kinds = {key: version(*key.split(".")) for key in VERSIONS}
    for changed in VERSIONS:
        other = VERSIONS[changed]._replace(number=VERSIONS[changed].number + 1)
        monkeypatch.setitem(VERSIONS, changed, other)
        differ = {key for key in VERSIONS if version(*key.split(".")) != kinds[key]}
        assert differ == {
            key for key in VERSIONS if key == changed or key.startswith(changed + ".")
        }
        monkeypatch.undo()


def test_every_layout_and_objective_has_a_line():
    assert {f"manifest.{layout}" for layout in LAYOUTS} <= set(VERSIONS)
    assert {f"pretrain.{stage}" for stage in STAGES} <= set(VERSIONS)
    assert all(one.number >= 1 and one.changed for one in VERSIONS.values())
