"""CSV and JSON files with a digest, and what is advised."""

import contextlib
import json

import pytest

from vie.runtime import torch_files
from vie.runtime.csv_files import read_rows, write_rows
from vie.runtime.errors import VieError, made_anew
from vie.runtime.metadata_file import read_metadata, write_metadata

HEADER, ROWS = ("class", "label"), [["0", "apple"], ["1", '=a "b", c'], ["2", "# sha256 0"]]


def flips(path):
    """One bit of each byte, and a file that ends at each byte."""
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        yield bytes(damaged)
        yield content[:place]


def test_a_sealed_csv(tmp_path):
    path = tmp_path / "classes.csv"
    for rows in (ROWS, []):
        write_rows(path, HEADER, rows, sealed=True)
        assert read_rows(path, HEADER, sealed=True) == rows
        for damaged in flips(path):
            path.write_bytes(damaged)
            with pytest.raises(VieError, match=r"classes\.csv"):
                read_rows(path, HEADER, sealed=True)


def test_metadata(tmp_path):
    path, content = tmp_path / "metadata.json", {"n": 24, "sampling": {"frames": (1, 2)}, "é": None}
    write_metadata(content, path)
    assert read_metadata(path) == {"n": 24, "sampling": {"frames": [1, 2]}, "é": None}
    for damaged in flips(path):
        path.write_bytes(damaged)
        with contextlib.suppress(VieError):  # else a blank was hit, or the name of the digest
            found = read_metadata(path)
            assert {key: found[key] for key in content} == json.loads(json.dumps(content))
    path.write_text('{"n": 24}')  # of an earlier version
    assert read_metadata(path) == {"n": 24}


def test_a_damaged_checkpoint_is_named_with_the_state_that_it_is(tmp_path):
    path, state = tmp_path / "stage.pt", tmp_path / "stage.state" / "checkpoint.pt"
    torch_files.save(path, {"step": 3})
    state.parent.mkdir()
    state.hardlink_to(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VieError) as error:
        torch_files.load(path)
    assert made_anew(path, state) in str(error.value)
    state.unlink()
    with pytest.raises(VieError) as error:
        torch_files.load(path)
    assert made_anew(path) in str(error.value)
