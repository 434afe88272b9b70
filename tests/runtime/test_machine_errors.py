"""Errors of the machine when a good file is read: no advice to delete it."""

import errno
import os
import resource
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest
import torch

from vie.clips.loader import EpochBatchSampler, TrainClips, loader
from vie.clips.transform import ClipTransform
from vie.frames.parquet import read_array, read_table, write_array, write_table
from vie.runtime import torch_files
from vie.runtime.disk import ADVICE
from vie.runtime.errors import VieError
from vie.runtime.logs import for_user

SCHEMA = pa.schema([("number", pa.int32())])
READERS = {
    "a.pt": torch_files.load,
    "a.parquet": lambda path: read_table(path, SCHEMA, "a test"),
    "a.npy": lambda path: read_array(path, "of a table"),
}
# What is called on the way; of an error in the first, zipfile says that the file is no zip.
CALLED = {
    "a.pt": "zipfile._EndRecData",
    "a.parquet": "pyarrow.parquet.ParquetFile",
    "a.npy": "numpy.load",
}
ERRORS = {
    errno.EIO: OSError(errno.EIO, "Input/output error"),
    errno.ESHUTDOWN: OSError(errno.ESHUTDOWN, "Cannot send"),
    errno.EACCES: PermissionError(errno.EACCES, "Permission denied"),
    errno.ENOMEM: MemoryError(),
}


@pytest.fixture(params=READERS)
def path(request, tmp_path):
    path = tmp_path / request.param
    if path.suffix == ".pt":
        torch_files.save(path, {"weights": torch.zeros(3)})
    elif path.suffix == ".npy":
        write_array(np.arange(5), path, "of a table")
    else:
        write_table(pa.table({"number": [1]}, schema=SCHEMA), path)
    READERS[path.name](path)
    return path


@contextmanager
def no_descriptors():
    """This process may open no more files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def refused(path):
    """Number of the error, whose sentence names the file and says what helps."""
    with pytest.raises((OSError, VieError)) as raised:
        READERS[path.name](path)
    error = raised.value
    said = for_user(error)
    assert "delete" not in said
    assert not isinstance(error, VieError)
    assert said == f"{path}: {os.strerror(error.errno)}. {ADVICE[error.errno]}"
    return error.errno


def test_no_more_files_may_be_open(path):
    with no_descriptors():
        number = refused(path)
    assert number == errno.EMFILE


@pytest.mark.parametrize("number", ERRORS)
def test_the_machine_fails(path, monkeypatch, number):
    def fail(*a, **k):
        raise ERRORS[number]

    monkeypatch.setattr(CALLED[path.name], fail)
    assert refused(path) == number


@pytest.mark.parametrize("call", ["open", "pread"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_shard_that_cannot_be_read(small_dataset, recipe, monkeypatch, call, workers):
    """Also where another process reads it."""
    index = small_dataset / "train" / "index.parquet"
    clips = TrainClips(index, ClipTransform.of(recipe, "slow"), seed=3, stage="s")

    def fail(path, *how):
        raise OSError(errno.EIO, "Input/output error", path if call == "open" else None)

    monkeypatch.setattr(f"vie.frames.shards.os.{call}", fail)
    order = EpochBatchSampler(24, 5, seed=3, stage="s", first=0, last=9)
    with pytest.raises(OSError, match=r"\.tar") as raised:
        list(loader(clips, order, workers, clips=8))
    said = for_user(raised.value)
    assert said.startswith(str(small_dataset))
    assert said.endswith(f".tar: Input/output error. {ADVICE[errno.EIO]}")


@pytest.mark.parametrize("path", ["a.pt"], indirect=True)
def test_torch_has_too_little_memory(path, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *a, **k: torch.empty(10**14))
    assert refused(path) == errno.ENOMEM
