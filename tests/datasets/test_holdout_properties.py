"""What holds of held-out videos whatever the groups are, also where films have several classes."""

import collections

from hypothesis import given
from hypothesis import strategies as st

from vie.datasets.holdout import hold_out
from vie.datasets.split_assignment import SplitRow

# Of each video: class, group, and whether it is for testing.
videos = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 8), st.booleans()), min_size=1, max_size=60
)


def rows(listed):
    """Training and test videos; the groups of these are others."""
    return [
        SplitRow(f"{label}/{i}", label, "test" if test else "train", f"{'t' * test}{group}")
        for i, (label, group, test) in enumerate(listed)
    ]


@given(videos, st.floats(0.05, 0.6), st.integers(1, 3))
def test_groups_stay_together_and_classes_keep_videos(listed, share, number):
    before = rows(listed)
    after = hold_out(before, share, number)
    # Only training videos change, and only to held out.
    changed = [(b, a) for b, a in zip(before, after, strict=True) if b != a]
    assert all((b[2], a[2]) == ("train", "held_out") for b, a in changed)
    assert all(b[:2] + b[3:] == a[:2] + a[3:] for b, a in changed)
    sides = collections.defaultdict(set)
    for row in after:
        sides[row.group].add(row[2])
    assert all(len(side) == 1 for side in sides.values())
    for label in {row.label for row in before if row[2] == "train"}:
        assert any(row.label == label and row[2] == "train" for row in after)


@given(videos, st.floats(0.05, 0.6), st.integers(1, 3), st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_count(listed, share, number, random):
    before = rows(listed)
    mixed = random.sample(before, len(before))
    assert set(hold_out(before, share, number)) == set(hold_out(mixed, share, number))
