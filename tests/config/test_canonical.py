"""Equal configs give equal parameters of rules, however they are written; overlays merge."""

import copy
import json
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config

from vie.config.clip_frames import trained_clip
from vie.config.load import merge, validate

ROOT = Path(__file__).parents[2]
RAW = yaml.safe_load((ROOT / "config.yaml").read_text())
OVERLAYS = [yaml.safe_load(path.read_text()) for path in (ROOT / "experiments").glob("*.yaml")]
# Mappings whose keys the user names: their order is that of rows.
NAMED = ("datasets", "roots", "recipes", "evaluations", "targets", "objectives", "networks")

KEYS = st.sampled_from("abc")
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
        lambda below: st.dictionaries(KEYS, below, max_size=3),
        max_leaves=8,
    ),
    max_size=3,
)


def merged(*trees):
    """All trees, later ones first in rank; the arguments stay as they are."""
    found = {}
    for tree in trees:
        merge(found, copy.deepcopy(tree))
    return found


def canonical(raw):
    """What Snakemake would record of a config."""
    found = copy.deepcopy(raw)
    validate(found)
    return json.dumps(found)


@given(TREES, TREES)
def test_configs_merge_as_snakemake_merges_them(base, overlay):
    expected = copy.deepcopy(base)
    update_config(expected, copy.deepcopy(overlay))
    assert merged(base, overlay) == expected


@given(TREES, TREES)
def test_the_later_config_wins(base, overlay):
    found = merged(base, overlay)
    assert merged(found, overlay) == found
    for key, value in overlay.items():
        if not isinstance(value, dict):
            assert found[key] == value
    assert set(found) == set(base) | set(overlay)


@given(TREES, TREES, TREES)
def test_overlays_may_be_merged_with_each_other_first(base, first, second):
    """Unless the second makes a mapping of what the first made something else."""
    try:
        same_kinds(first, second)
    except TypeError:
        return
    assert merged(merged(base, first), second) == merged(base, merged(first, second))


def same_kinds(first, second):
    for key in first.keys() & second.keys():
        if isinstance(first[key], dict) != isinstance(second[key], dict):
            raise TypeError(key)
        if isinstance(first[key], dict):
            same_kinds(first[key], second[key])


def shuffled(node, random, named=False):
    """The same config with the keys of its fixed mappings in another order."""
    if isinstance(node, list):
        return [shuffled(one, random) for one in node]
    if not isinstance(node, dict):
        return node
    keys = list(node)
    if not named:
        random.shuffle(keys)
    return {key: shuffled(node[key], random, key in NAMED) for key in keys}


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([{}, *OVERLAYS]))
def test_the_order_of_keys_does_not_count(random, overlay):
    raw = merged(RAW, overlay)
    assert canonical(shuffled(raw, random)) == canonical(raw)


def restyled(node, random):
    """The same numbers, some of them written in another way."""
    if isinstance(node, list):
        return [restyled(one, random) for one in node]
    if isinstance(node, dict):
        return {key: restyled(value, random) for key, value in node.items()}
    if isinstance(node, (int, float)) and not isinstance(node, bool) and random.random() < 0.5:
        return str(node) if isinstance(node, int) else f"{node:.12e}"
    return node


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([{}, *OVERLAYS]))
def test_how_numbers_are_written_does_not_count(random, overlay):
    raw = merged(RAW, overlay)
    assert canonical(restyled(raw, random)) == canonical(raw)


def test_whole_floats_and_left_out_defaults_do_not_count():
    raw = copy.deepcopy(RAW)
    raw["datasets"]["embedded"]["frames"]["fps"] = 25.0
    raw["recipes"]["vie_single"] |= {"min_frames": 1, "start_first": False}
    raw["recipes"]["vie_trn"]["encoder"] = raw["recipes"]["vie_trn"]["encoder"] | {"frames": 4}
    raw["recipes"]["vie_trn"]["schedule"]["local_aggregation"] = "6.0 epochs"
    raw["probe"]["schedule"]["lr_drops"] = ["4 epoch"]
    del raw["gpus"], raw["precision"]
    assert canonical(raw) == canonical(RAW)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([{}, *OVERLAYS]))
def test_a_completed_config_is_complete(overlay):
    once = canonical(merged(RAW, overlay))
    assert canonical(json.loads(once)) == once


def test_a_change_counts():
    """The other side: what differs is not made equal."""
    raw = copy.deepcopy(RAW)
    raw["recipes"]["vie_single"]["objective"]["temperature"] = 0.071
    assert canonical(raw) != canonical(RAW)


def test_what_means_the_same_is_written_the_same():
    """Numbers of a named clip, and drops in another order."""
    raw = copy.deepcopy(RAW)
    recipe = raw["recipes"]["vie_single"]
    assert recipe["clip"] == "single"
    recipe["clip"] = {"frames": 1, "stride": 1.0, "test_starts": "parts"}
    recipe["schedule"]["lr_drops"] = recipe["schedule"]["lr_drops"][::-1]
    raw["evaluations"]["trn_input_single"]["clip"] = {"stride": 12, "bin": 12, "frames": 4}
    assert canonical(raw) == canonical(RAW)


def test_where_test_clips_lie_trains_nothing_but_for_ends():
    """A clip of "ends" takes a stride after its last frame in training too."""
    inside, parts, ends = (
        trained_clip({"frames": 8, "stride": 4, "test_starts": starts})
        for starts in ("inside", "parts", "ends")
    )
    assert inside == parts != ends
    assert trained_clip("slow") == trained_clip({"frames": 4, "stride": 16})
