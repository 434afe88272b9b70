"""Every number of the config is finite and has an end, and every text is one line."""

import copy
import functools
import math

import pytest
import yaml

from tests.config.test_messages import ROOT, places
from vie.config.load import validate
from vie.config.settings import merge
from vie.runtime.errors import VieError

RAW = yaml.safe_load((ROOT / "config.yaml").read_text())


def put_everywhere(kinds, value):
    """The config with another value wherever one of some kinds stands, and these places."""
    config, found = merge({}, copy.deepcopy(RAW)), []
    for path in places(RAW):
        node = functools.reduce(lambda node, key: node[key], path[:-1], config) if path else None
        if path and type(node[path[-1]]) in kinds and path[-1] != "dataset_seed":
            node[path[-1]] = value
            found.append(".".join(map(str, path)))
    return config, found


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, math.nan, 1e300, 10**10, -1, -1e-300, True], ids=repr
)
def test_every_number_has_ends(value):
    config, found = put_everywhere((int, float), value)
    assert len(found) > 300
    with pytest.raises(VieError) as raised:
        validate(config)
    for place in found:
        assert f"  - {place}: {value!r} is not " in str(raised.value), place


@pytest.mark.parametrize("value", ["", " ", "a\nb", "a\0b", "x" * 5000, True], ids=repr)
def test_every_text_is_one_short_line(value):
    config, found = put_everywhere((str,), value)
    config["ablations"] = []
    with pytest.raises(VieError) as raised:
        validate(config)
    for place in found:
        assert f"  - {place}: " in str(raised.value) or place.startswith("ablations"), place


@pytest.mark.parametrize("key", [key for key in RAW if isinstance(RAW[key], dict)])
def test_a_mapping_that_is_left_empty_is_a_sentence(key):
    config = merge({}, copy.deepcopy(RAW)) | {key: None}
    if key in ("image_probe", "roots", "features"):
        validate(config)
        return
    with pytest.raises(VieError, match=r"^the config has errors:\n  - "):
        validate(config)


def test_a_mapping_that_is_left_empty_is_said_to_be_empty():
    config = merge({}, copy.deepcopy(RAW))
    config["finetuning"]["targets"] = None
    with pytest.raises(
        VieError, match=r"finetuning\.targets: is missing, as it is left empty \(what"
    ):
        validate(config)
    del config["finetuning"]["targets"]
    with pytest.raises(VieError, match=r"finetuning\.targets: is missing \(what networks"):
        validate(config)


WRONG = [
    ("recipes.vie_single.schedule.lr_drops", ["0 steps"], "the rate of the first step is lr"),
    ("recipes.vie_single.schedule.local_aggregation", "0 epochs", "null leaves this stage out"),
    ("recipes.vie_single.schedule.local_aggregation", "0.0000001 epochs", "0.001 to 1,000,000"),
    ("recipes.vie_single.schedule.local_aggregation", "9" * 400 + " epochs", "to 1,000,000 epochs"),
    ("recipes.vie_single.monitor.every", "99999999999 steps", "choose 0, or 1 to 1,000,000,000"),
    ("recipes.vie_slow.clip", {"frames": 4096, "stride": 4}, "more than the 268,435,456 pixels"),
    ("evaluations.random_slow.clip", {"frames": 4096, "stride": 4}, "evaluations.random_slow.clip"),
    ("probe.schedule.duration", "0 steps", "probe.schedule.duration: 0 steps trains no"),
    ("probe.schedule.lr_drops", ["5 epochs"], "training ends at 5 epochs"),
    ("probe.schedule.lr_drops", ["0 epochs"], "leave this drop out"),
    ("image_probe.schedule.lr_drops", ["17 epochs"], "image_probe.schedule.lr_drops: 17 epochs"),
    ("datasets.embedded.min_frames", 751, "751 is more than a video of frames.max_seconds"),
    ("datasets.embedded.frames.max_seconds", 0.01, "all would be rejected"),
    ("seeds", list(range(2000)), "seeds: .* is not a list of at least 1 and at most 100"),
    ("ablations", ["x" * 300], "there is no such folder"),
    ("ablations", ["~nobody-of-this-name"], "there is no such folder"),
]


@pytest.mark.parametrize(
    ("place", "value", "said"), WRONG, ids=[f"{p}-{i}" for i, (p, *_) in enumerate(WRONG)]
)
def test_nonsense_of_several_settings_is_refused(place, value, said):
    config = merge({}, copy.deepcopy(RAW))
    config["recipes"]["vie_slow"]["geometry"] |= {"size": 1024, "train_shorter_side": [1024, 1100]}
    config["recipes"]["vie_slow"]["geometry"]["test_shorter_side"] = 1024
    *above, key = place.split(".")
    node = config
    for name in above:
        node = node[name]
    node[key] = value
    with pytest.raises(VieError, match=said):
        validate(config)


def test_the_sentence_says_both_ends():
    config = merge({}, copy.deepcopy(RAW))
    config["recipes"]["vie_single"]["encoder"]["width"] = 10**6
    config["recipes"]["vie_single"]["label"] = "a\nb"
    with pytest.raises(VieError) as raised:
        validate(config)
    assert "encoder.width: 1000000 is not a whole number from 1 to 1,024 (filters" in str(
        raised.value
    )
    assert r"label: 'a\nb' is not a text that is not empty (one line of at most 1000" in str(
        raised.value
    )
