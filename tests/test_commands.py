"""The command `vie`: what it makes of its words."""

import runpy
import sys

import pytest

from vie.__main__ import main
from vie.runtime.home import HOME

WORKFLOW = ["--snakefile", str(HOME / "Snakefile")]


@pytest.fixture
def vie(monkeypatch, tmp_path):
    """What the words of a command start: (module, its arguments)."""
    started = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    monkeypatch.setattr(runpy, "run_module", lambda name, **_: started.append(name))

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["vie", *words])
        main()
        return started[-1], sys.argv[1:]

    return call


def test_commands_are_modules(vie, capsys):
    assert vie("extract", "a.pt", "-o", "b") == ("vie.extract", ["a.pt", "-o", "b"])
    for words in ((), ("--help",)):
        with pytest.raises(SystemExit) as ended:
            vie(*words)
        assert ended.value.code is None
        assert "vie extract" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="vie has no command 'train'"):
        vie("train")


def test_a_run_has_all_cores_unless_something_else_is_said(vie):
    assert vie("run", "a") == ("snakemake", [*WORKFLOW, "--cores", "all", "a"])
    for words in (["--cores", "2"], ["-j", "3"], ["--profile", "x"], ["--executor", "slurm"]):
        assert vie("run", *words, "a") == ("snakemake", [*WORKFLOW, *words, "a"])


def test_experiments_that_come_with_vie_are_found(vie, tmp_path):
    words = ("--cores", "1", "--configfile", "experiments/smoke.yaml", "--", "a")
    ours = str(HOME / "experiments" / "smoke.yaml")
    assert vie("run", *words)[1][-3:] == [ours, "--", "a"]
    joined = ("--configfile=experiments/smoke.yaml", "a")
    assert vie("run", *joined)[1][-2:] == [f"--configfile={ours}", "a"]
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "smoke.yaml").write_text("{}")
    assert vie("run", *words)[1][-3:] == ["experiments/smoke.yaml", "--", "a"]


def test_a_target_that_is_taken_for_a_config_file_is_named(vie):
    words = ("--configfile", "experiments/smoke.yaml", "results/table_s1.csv")
    with pytest.raises(SystemExit, match=r"no file results/table_s1.csv; .* put -- before it"):
        vie("run", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--config", "seeds=[0]", "results/table_s1.csv"),
            "results/table_s1.csv is not KEY=VALUE",
        ),
        (("--configfile", "tab.yaml", "--", "a"), "tab.yaml: cannot be read as YAML: line 2, "),
        (("--configfile", "text.yaml", "--", "a"), "text.yaml: has no keys"),
        (("--configfile", "text.csv"), "no config file text.csv; if it is a file to make, put --"),
    ],
)
def test_other_words_that_snakemake_cannot_read_are_explained(vie, tmp_path, words, said):
    (tmp_path / "tab.yaml").write_text("threads:\n\tpretrain: 2\n")
    (tmp_path / "text.yaml").write_text("a text\n")
    (tmp_path / "text.csv").write_text("a,b\n")
    with pytest.raises(SystemExit, match=said):
        vie("run", *words)
