"""Held-out videos: whole groups, class by class."""

import collections

import numpy as np
import pytest

from vie.datasets.holdout import hold_out
from vie.datasets.split_assignment import SplitRow, read_split_assignment, write_split_assignment
from vie.runtime.errors import VieError


def split(sizes):
    """Members of one training group of each size per class, and one test video per class."""
    members = []
    for label, groups in sizes.items():
        for g, size in enumerate(groups):
            name = f"{label} g{g}"
            members += [SplitRow(f"{label}/{g}-{i}", label, "train", name) for i in range(size)]
        members.append(SplitRow(f"{label}/test", label, "test", f"{label} test"))
    return members


@pytest.mark.parametrize("number", range(8))
def test_no_group_is_on_both_sides(number):
    rng = np.random.default_rng(number)
    sizes = {f"class{i}": rng.integers(1, 8, size=rng.integers(2, 19)) for i in range(20)}
    members = split(sizes)
    held = hold_out(members, 0.2, number)
    assert [m._replace(subset="") for m in held] == [m._replace(subset="") for m in members]
    parts = collections.defaultdict(set)
    for member in held:
        parts[member.group].add(member.subset)
    assert all(len(found) == 1 for found in parts.values())
    assert all(m.subset == "test" for m in held if m.video.endswith("test"))
    for label, groups in sizes.items():
        count = sum(m.subset == "held_out" for m in held if m.label == label)
        assert 0 < count < sum(groups)
        # At most half a group away from what was asked, or the smallest, which is more.
        assert abs(count - 0.2 * sum(groups)) <= max(groups) / 2 or count == min(groups)


def test_the_draw_depends_on_the_split_alone():
    members = split({"a": [3] * 10, "b": [2] * 10})
    assert hold_out(members, 0.3, 1) == hold_out(list(members), 0.3, 1)
    assert hold_out(members, 0.3, 1) != hold_out(members, 0.3, 2)
    alone = split({"a": [3] * 10})
    assert hold_out(alone, 0.3, 1) == hold_out(members, 0.3, 1)[: len(alone)]


def test_a_class_of_one_group_stays_and_is_named(caplog):
    members = split({"only": [5], "many": [2, 2, 2]})
    held = hold_out(members, 0.3, 1)
    assert all(m.subset != "held_out" for m in held if m.label == "only")
    assert "no video is held out of 1 classes" in caplog.text
    assert "only" in caplog.text


@pytest.mark.parametrize("number", range(8))
def test_a_film_is_on_one_side_in_all_classes(number):
    """As in HMDB51, whose films have scenes of several classes."""
    rng = np.random.default_rng(number)
    members = [
        SplitRow(f"c{c}/{i}", f"c{c}", "train", f"film {f}")
        for c in range(12)
        for i, f in enumerate(rng.integers(30, size=rng.integers(2, 40)))
    ]
    members += [SplitRow(f"c{c}/own", f"c{c}", "train", f"own {c}") for c in range(12)]
    held = hold_out(members, 0.25, number)
    parts, left = collections.defaultdict(set), collections.Counter()
    for member in held:
        parts[member.group].add(member.subset)
        left[member.label, member.subset] += 1
    assert all(len(found) == 1 for found in parts.values())
    assert all(left[f"c{c}", part] for c in range(12) for part in ("train", "held_out"))
    share = sum(m.subset == "held_out" for m in held) / len(held)
    assert 0.1 < share < 0.4


def test_every_group_can_be_drawn():
    members = split({"a": [3] * 6})
    seen = set()
    for number in range(60):
        held = [m for m in hold_out(members, 0.3, number) if m.subset == "held_out"]
        assert len(held) == 6
        seen |= {m.group for m in held}
    assert len(seen) == 6


def test_a_large_group_is_not_held_out_where_smaller_ones_do():
    """One film of 55 clips and 15 of one: 7 of the small ones, never the large one."""
    members = split({"a": [55, *[1] * 15]})
    for number in range(40):
        held = [m for m in hold_out(members, 0.1, number) if m.subset == "held_out"]
        assert len(held) == 7
        assert all(m.group != "a g0" for m in held)
    large = split({"a": [20, 5, 30]})  # each too large: the smallest
    held = [m for m in hold_out(large, 0.05, 1) if m.subset == "held_out"]
    assert {m.group for m in held} == {"a g1"}


def test_the_file(tmp_path):
    members = split({'a "b", c': [1, 2]})
    write_split_assignment(members, tmp_path / "split_assignment.csv")
    assert read_split_assignment(tmp_path / "split_assignment.csv") == members
    (tmp_path / "split_assignment.csv").write_text("video,label,part,group\na,b,train,c\n")
    with pytest.raises(VieError, match="columns must be video,label,subset,group"):
        read_split_assignment(tmp_path / "split_assignment.csv")
    members[1] = members[1]._replace(subset="neither")
    write_split_assignment(members, tmp_path / "split_assignment.csv")
    with pytest.raises(VieError, match="'neither' is none of train, held_out, test"):
        read_split_assignment(tmp_path / "split_assignment.csv")
