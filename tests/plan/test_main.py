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
    assert "`benchmarks/index.py`" in out  # what a number was measured by


def test_it_refuses_when_the_disk_is_too_small(capsys, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 0))
    assert main([*SMOKE, "--", "results/summary_smoke.csv"]) == 1
    captured = capsys.readouterr()
    assert "frames" in captured.out  # the table is there all the same
    assert "not enough disk" in captured.err
    assert "make room" in captured.err


def test_a_wrong_config_is_a_message(capsys):
    assert main(["--config", "seeds=two"]) == 2
    assert "seeds: 'two'" in capsys.readouterr().err
    assert main(["--configfile", "nothing.yaml"]) == 2
    assert "nothing.yaml: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "what"),
    [("a: [1\n", "cannot be read as YAML"), ("- a\n", "is a mapping"), ("a,b\n", "-- before")],
)
def test_a_wrong_overlay_is_a_message(capsys, tmp_path, text, what):
    path = tmp_path / "overlay.yaml"
    path.write_text(text)
    assert main(["--configfile", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{path}: " in error
    assert what in error


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["--config", "gpus=[1"], "--config gpus=[1: the value cannot be read as YAML"),
        (["--config", "gpus=1", "results/x.csv"], "results/x.csv: is written key=value; if it is"),
        ([*SMOKE[:2], "results/x.csv"], "results/x.csv: no such file to take a config from; if"),
        (["--cores", "0"], "--cores 0: must be at least 1"),
        (["--csv", "/nowhere/x.csv"], "there is no folder /nowhere"),
        ([*SMOKE[:2], "--config", "gpus=0", "--device", "cuda"], "`gpus` is 0"),
    ],
)
def test_a_wrong_argument_is_a_message(capsys, command, what):
    assert main(command) == 2
    assert what in capsys.readouterr().err


def test_lists_without_videos_are_planned_and_a_wrong_root_is_named(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**13, 0, 10**13))
    lists = tmp_path / "k400" / "annotations"
    lists.mkdir(parents=True)
    for split, count in (("train", 8000), ("val", 30)):
        rows = "".join(f"eating,{i:011d},0,10,{split}\n" for i in range(count))
        (lists / f"{split}.csv").write_text(f"label,youtube_id,time_start,time_end,split\n{rows}")
    overlay = str(ROOT / "experiments" / "kinetics400.yaml")
    roots = f"roots={{kinetics400: {tmp_path}/k400, ucf101: {tmp_path}/wrong}}"
    command = ["--configfile", overlay, "--config", roots, "--device", "cuda", "--"]
    assert main([*command, "results/table_2.csv"]) == 0
    out = capsys.readouterr().out
    assert "kinetics400 train: its lists, 8,000 videos; no videos yet: " in out
    assert "assumption; --measure on the machine replaces it" in out
    assert "assumption: 16:9" in out
    assert f"ucf101 is not here (there is no {tmp_path}/wrong/ucfTrainTestlist)" in out


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
