"""Tables of features, as pyarrow alone reads them, and what is no such table."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vie.engine.feature_table import FeatureTable, join, read_features, take, write_features
from vie.runtime.errors import VieError


def table(names, metadata=None):
    n = len(names)
    vectors = np.arange(n * 5, dtype=np.float32).reshape(n, 5)
    return FeatureTable(
        names,
        np.arange(n) / 4,
        np.arange(n) + 1.5,
        [f"of {name}" for name in names],
        ["train"] * n,
        {"embedding": vectors[:, :2], "conv5": vectors[:, 2:]},
        metadata or {},
    )


def same(one, other):
    for left, right in zip(one[:5], other[:5], strict=True):
        np.testing.assert_array_equal(left, right)
    assert list(one.vectors) == list(other.vectors)
    for layer, vectors in one.vectors.items():
        assert other.vectors[layer].dtype == np.float32
        np.testing.assert_array_equal(vectors, other.vectors[layer])
    assert one.metadata == other.metadata


def test_what_is_written_is_read(tmp_path):
    written = table(["ä b", "c/d.mp4"], {"fps": "25", "recipe": "VIE-Slow"})
    write_features(written, tmp_path / "a.parquet")
    same(read_features(tmp_path / "a.parquet"), written)


def test_the_file_is_plain_parquet(tmp_path):
    write_features(table(["a", "b", "c"], {"clips": "5"}), tmp_path / "a.parquet")
    found = pq.read_table(tmp_path / "a.parquet")
    assert found.schema.metadata[b"clips"] == b"5"
    assert found.column_names == ["id", "start", "end", "label", "split", "embedding", "conv5"]
    assert found.schema.field("conv5").type == pa.list_(pa.float32(), 3)
    assert found.slice(1, 1).to_pylist() == [
        {
            **{"id": "b", "start": 0.25, "end": 2.5, "label": "of b", "split": "train"},
            **{"embedding": [5, 6], "conv5": [7, 8, 9]},
        }
    ]


def test_tables_are_joined_and_rows_taken(tmp_path):
    both = join([table(["a", "b"]), table(["c"])], {"fps": "5"})
    assert both.ids == ["a", "b", "c"]
    assert both.vectors["embedding"].tolist() == [[0, 1], [5, 6], [0, 1]]
    some = take(both, [2, 1], {})
    assert (some.ids, some.ends.tolist()) == (["c", "b"], [1.5, 2.5])
    assert some.vectors["conv5"].tolist() == [[2, 3, 4], [7, 8, 9]]
    write_features(some, tmp_path / "a.parquet")
    same(read_features(tmp_path / "a.parquet"), some)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    with pytest.raises(VieError, match=r"a\.parquet: no such file"):
        read_features(path)
    path.write_bytes(b"PAR1 no")
    with pytest.raises(
        VieError, match=r"cannot be read as a table of features: .*; name a .parquet that"
    ):
        read_features(path)
    write_features(table(["a"]), path)
    whole = pq.read_table(path).replace_schema_metadata()
    for other in (
        whole.drop_columns(["start"]),
        whole.rename_columns([*whole.column_names[:-1], "conv9"]),
        whole.set_column(5, "embedding", pa.array([[1.0, 2.0]])),
    ):
        pq.write_table(other, path)
        with pytest.raises(VieError, match="no table of features: its columns are"):
            read_features(path)
