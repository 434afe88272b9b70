"""Experiments side by side."""

import pandas as pd
import pytest

from vie.reporting.plots import plot_comparison
from vie.reporting.tables import compare
from vie.runtime.errors import VieError


def write_table(path, models, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, model in enumerate(models):
        row = {"model": model, "conv3": 10.0 + i, "conv4": 20.0 + i, "conv5": 30.0 + i}
        row |= {"conv3_ci95": 1.0, "conv4_ci95": 2.0, "conv5_ci95": 3.0}
        rows.append(
            row | {"n_val": 480, "seeds": "0 1", "dataset": "mine", "chance": 4.0} | changes
        )
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_rows_of_all_experiments(tmp_path):
    tables = [
        write_table(tmp_path / "longer" / "table_s1.csv", ["TRN-Input-Single"], n_val=24),
        write_table(tmp_path / "demo" / "table_s1.csv", ["TRN-Input-Single"]),
        write_table(tmp_path / "demo" / "table_1.csv", ["VIE-Single", "VIE-Slow"]),
    ]
    rows = compare(tables)
    assert rows[["experiment", "table", "model"]].to_numpy().tolist() == [
        ["demo", "table_1", "VIE-Single"],
        ["demo", "table_1", "VIE-Slow"],
        ["demo", "table_s1", "TRN-Input-Single"],
        ["longer", "table_s1", "TRN-Input-Single"],
    ]
    assert rows["conv5"].tolist() == [30, 31, 30, 30]
    assert rows["n_val"].tolist() == [480, 480, 480, 24]
    assert rows["seeds"].tolist() == ["0 1"] * 4  # text, also where there is one seed
    plots = [tmp_path / "c.svg", tmp_path / "c.png"]
    plot_comparison(rows, plots)
    assert "longer: 24 validation videos of mine, seeds 0, 1" in plots[0].read_text()
    assert plots[1].stat().st_size > 1000


def test_no_table_and_a_table_of_another_kind(tmp_path):
    with pytest.raises(VieError, match="no experiment has a table yet"):
        compare([])
    path = tmp_path / "demo" / "table_1.csv"
    path.parent.mkdir()
    path.write_text("model,conv3\na,1\n")
    with pytest.raises(VieError, match="no column conv4, conv5"):
        compare([path])
