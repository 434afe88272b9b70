"""What was measured is kept for this machine, and a plan says where its numbers come from."""

import json

import pytest

from vie.plan.throughputs import DEFAULTS, Throughputs, load, save
from vie.runtime.errors import VieError


def test_measured_numbers_come_before_defaults(tmp_path):
    name = "seconds to start training"
    save(Throughputs("cpu", "mine", 2, {name: 1.5}), tmp_path / "t.json")
    found = load(tmp_path / "t.json")
    assert found.get(name) == 1.5
    assert found.get("seconds to start a table") == DEFAULTS["seconds to start a table"].value
    assert found.get("test x", lambda: 7.0) == 7.0
    assert found.used[name].source == "measured on mine"
    assert "test x" not in found.used  # what it was worked out of is listed in its place


def test_another_machine_or_torch_does_not_count(tmp_path):
    path = tmp_path / "t.json"
    assert load(path) is None
    for key in ("host", "torch"):
        save(Throughputs("cpu", "mine", 2, {}), path)
        assert load(path) is not None
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: "another"}))
        assert load(path) is None


def test_cores_of_another_machine_are_a_guess_its_networks_are_not():
    measured = {"load train x": 1.0, "train y": 2.0, "test y": 3.0}
    there = Throughputs("cpu", "mine", 2, measured).elsewhere("cuda")
    assert there.measured == {"load train x": 1.0}
    assert there.cpus == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"host": 1}', '{"host": 1, "device": "cpu", "x": 2}'])
def test_a_broken_file_is_named(tmp_path, text):
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(VieError, match=r"t\.json.*--measure"):
        load(path)


def test_every_default_has_a_source():
    assert all(number.value > 0 and number.source for number in DEFAULTS.values())
