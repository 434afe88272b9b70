"""The command: its table, its refusals and its exit status."""

import collections
import shutil

import pytest

from vie.plan.__main__ import main, overrides_of
from vie.plan.jobs import ROOT

SMOKE = ["--configfile", str(ROOT / "experiments" / "smoke.yaml"), "--forceall", "--device", "cpu"]
Usage = collections.namedtuple("Usage", "total used free")


def test_a_table_per_rule(capsys):
    assert main([*SMOKE, "--", "results/table_1.csv"]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    rows = {line[0]: line[1:] for line in lines if line}
    assert rows["rule"] == ["jobs", "disk", "memory", "CPU-hours", "GPU-hours"]
    assert rows["frames"][0] == "3"
    assert rows["pretrain"][-1] == "-"  # no GPU
    assert "smoke train: expected, 96 videos" in out
    assert "assumption; --measure on the machine replaces it" in out


def test_it_refuses_when_the_disk_is_too_small(capsys, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 0))
    assert main([*SMOKE, "--", "results/smoke/summary.csv"]) == 1
    captured = capsys.readouterr()
    assert "frames" in captured.out  # the table is there all the same
    assert "not enough disk" in captured.err
    assert "make room" in captured.err


def test_a_wrong_config_is_a_message(capsys):
    assert main(["--config", "seeds=two"]) == 2
    assert "seeds: 'two'" in capsys.readouterr().err
    assert main(["--configfile", "nothing.yaml"]) == 2
    assert "nothing.yaml: no such file" in capsys.readouterr().err


def test_keys_of_the_command_line():
    assert overrides_of(["seeds=[0,1]", "dataset=smoke"]) == {"seeds": [0, 1], "dataset": "smoke"}


@pytest.mark.slow
def test_measured_numbers_replace_assumptions(capsys, monkeypatch, tmp_path):
    from vie.plan import __main__, measure

    monkeypatch.setattr(__main__, "FILE", tmp_path / "t.json")
    monkeypatch.setattr(measure, "SECONDS", 0.02)
    command = [*SMOKE[:-2], "--measure", "--", "results/table_2.csv"]
    assert main(command) == 0
    assert main([*SMOKE[:-2], "--", "results/table_2.csv"]) == 0
    out = capsys.readouterr().out
    assert out.count("measured on ") >= 2
    assert "operations a second" not in out
