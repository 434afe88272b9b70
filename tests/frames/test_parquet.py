import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vie.frames.parquet import make_table, numbers, read_table
from vie.runtime.errors import VieError

SCHEMA = pa.schema(
    [
        ("whole", pa.int32()),
        ("name", pa.string()),
        ("kind", pa.dictionary(pa.int32(), pa.string())),
        ("sizes", pa.list_(pa.int64())),
    ]
)
COLUMNS = {
    "whole": [3, -1, 2**31 - 1],
    "name": ["", "é\U0001f3a5", "plain"],
    "kind": ["b", "a", "b"],
    "sizes": [[1, 2], [], [2**40]],
}


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_as_pyarrow_makes_it(tmp_path, rows):
    columns = {name: values[:rows] for name, values in COLUMNS.items()}
    made = make_table(columns, SCHEMA)
    made.validate(full=True)
    assert made.equals(pa.table(columns, schema=SCHEMA))
    pq.write_table(made, tmp_path / "x.parquet")
    read = read_table(tmp_path / "x.parquet", SCHEMA, "a test")
    assert read.to_pydict() == columns
    assert numbers(read["whole"]).tolist() == columns["whole"]
    assert numbers(read["whole"]).dtype == np.int32
    some = read_table(tmp_path / "x.parquet", SCHEMA, "a test", ["name"])
    assert some.column_names == ["name"]


def test_number_that_does_not_fit():
    with pytest.raises(OverflowError):
        make_table({**COLUMNS, "whole": [0, 0, 2**31]}, SCHEMA)


def test_what_is_no_table(tmp_path):
    (tmp_path / "x.parquet").write_text("text")
    with pytest.raises(VieError, match=r"x\.parquet: cannot be read as a test"):
        read_table(tmp_path / "x.parquet", SCHEMA, "a test")
    with pytest.raises(VieError, match=r"none\.parquet: no such file"):
        read_table(tmp_path / "none.parquet", SCHEMA, "a test")


def test_data_path_does_not_import_pandas(tmp_path):
    script = (
        "import sys; from pathlib import Path; from vie.frames.index import load_index\n"
        "from vie.frames.parquet import make_table, numbers, read_table\n"
        "import pyarrow as pa, pyarrow.parquet as pq\n"
        "schema = pa.schema([('a', pa.int32()), ('b', pa.list_(pa.int32())), ('c', pa.string())])\n"
        f"path = Path({str(tmp_path / 'x.parquet')!r})\n"
        "pq.write_table(make_table({'a': [1], 'b': [[2]], 'c': ['d']}, schema), path)\n"
        "assert numbers(read_table(path, schema, 'a test')['a']).tolist() == [1]\n"
        "print({'pandas', 'torch', 'matplotlib', 'ffmpeg'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
