"""What a command asks for: misspelt names, and what is shown in the end."""

from types import SimpleNamespace

import pytest

from vie.runtime.errors import VieError
from vie.workflow.targets import outcome, refuse_unknown


def rule(name, *output, wildcards=False):
    return SimpleNamespace(
        name=name,
        output=output,
        has_wildcards=lambda: wildcards,
        is_producer=lambda target: target in output,
    )


RULES = [rule("table_s1", "results/demo/table_s1.csv"), rule("probe", "{x}", wildcards=True)]
KNOWN = ["results/table_s1.csv", "results/table_1.csv"]


def test_names_that_something_makes_are_taken(tmp_path):
    (tmp_path / "video.mp4").touch()
    asked = ["table_s1", "results/demo/table_s1.csv", str(tmp_path / "video.mp4")]
    refuse_unknown(asked, RULES, KNOWN)


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("results/table1.csv", "results/table_1.csv or results/table_s1.csv"),
        ("results/demo/tables1.csv", "results/demo/table_s1.csv"),
        ("prob", "did you mean probe"),
        ("???", "check its name"),
    ],
)
def test_others_are_an_error_that_names_the_nearest(target, meant):
    with pytest.raises(VieError) as found:
        refuse_unknown([target], RULES, KNOWN)
    assert str(found.value).startswith(f"{target}: no rule makes it")
    assert meant in str(found.value)


def test_a_misspelt_target_on_the_command_line(copy, snakemake):
    output = snakemake(copy, "--cores", "1", "-n", "results/table1.csv", fails=True)
    assert "results/table1.csv: no rule makes it: did you mean results/table_1.csv" in output
    assert "MissingRule" not in output


def test_the_outcome_is_rows_of_tables_and_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(
        "model,conv3,conv3_ci95,n_val,knn10,knn10_ci95\nA,44.27,4.06,480,,\n"
        "Long name,5,1.25,480,7,2\n"
    )
    for name in ("plot.png", "t.png"):
        (tmp_path / name).touch()
    text = outcome(["t.csv", "plot.png", "absent.csv"])
    assert text.splitlines() == [
        "t.csv (%, ± half-width of a 95 % interval; 480 videos)",
        "model      conv3       knn10",
        "A          44.3 ± 4.1",
        "Long name  5.0 ± 1.2   7.0 ± 2.0",
        "",
        "Results:",
        "  plot.png",
        "  t.csv",
        "  t.png",
    ]


def test_other_tables_and_many_are_paths_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        (tmp_path / f"{number}.csv").write_text("model,a,a_ci95\nA,1,1\n")
    (tmp_path / "other.csv").write_text("name,count\nA,1\n")
    assert outcome(["other.csv"]) == "Results:\n  other.csv"
    assert outcome([f"{number}.csv" for number in range(4)]).startswith("Results:\n  0.csv")
    assert outcome([]) == outcome(["absent"]) == ""
