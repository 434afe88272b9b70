"""Seals: every byte of a file counts, and other programs do not see them."""

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vie.frames.parquet import read_array, read_table, seal_of, write_array, write_table
from vie.frames.seals import MARK, BrokenSealError, check_seal, write_seal
from vie.runtime.errors import VieError

SCHEMA = pa.schema([("name", pa.string()), ("number", pa.int32())])
ROWS = {"name": ["a", "é", ""], "number": [3, -1, 2]}


@pytest.fixture
def path(tmp_path):
    table = pa.table(ROWS, schema=SCHEMA.with_metadata({"fps": "25"}))
    write_table(table, tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


def test_the_seal_is_the_digest_of_all_other_bytes(path):
    content = path.read_bytes()
    assert content.count(MARK) == 1
    place = content.index(MARK)
    rest = content[:place] + content[place + len(MARK) + 32 :]
    assert check_seal(path) == hashlib.sha256(rest).digest()
    assert content[place + len(MARK) :][:32] == hashlib.sha256(rest).digest()
    assert seal_of(read_table(path, SCHEMA, "a test")) == check_seal(path).hex()


def test_other_programs_read_it(path):
    assert pd.read_parquet(path).to_dict("list") == ROWS
    assert pq.read_table(path).to_pydict() == ROWS
    write_array(np.arange(5), path.with_name("x.npy"), "of a table")
    assert np.load(path.with_name("x.npy")).tolist() == [0, 1, 2, 3, 4]


def test_one_bit_of_any_byte(path):
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(VieError, match=r"x\.parquet"):
            read_table(path, SCHEMA, "a test")


def test_a_table_of_an_earlier_version_is_read(path):
    pq.write_table(pa.table(ROWS, schema=SCHEMA), path)
    assert check_seal(path) is None
    assert read_table(path, SCHEMA, "a test").to_pydict() == ROWS


def test_a_file_belongs_to_one_table(path):
    array = path.with_name("x.npy")
    write_array(np.arange(5), array, "this table")
    assert read_array(array, "this table").tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(VieError, match=r"x\.npy: .* of another run; delete .*x\.npy, and run"):
        read_array(array, "that table")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1\xff\xff\xff\xffPAR1", bytes(100)])
def test_files_that_are_no_parquet(tmp_path, content):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    assert check_seal(path) is None
    write_seal(path)
    check_seal(path)
    with pytest.raises(VieError, match=r"x\.parquet: cannot be read as a test: .*; delete"):
        read_table(path, SCHEMA, "a test")


def test_a_broken_seal(path):
    path.write_bytes(path.read_bytes().replace(b"\xc3\xa9", b"xx"))
    with pytest.raises(BrokenSealError):
        check_seal(path)
