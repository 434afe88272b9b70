"""Disks that are full or may not be written, with real errors where a limit can cause them."""

import errno
import io
import os
import resource
import tarfile
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from vie.engine.recorder import Recorder
from vie.reporting.drawing import new_figure, save
from vie.runtime import torch_files
from vie.runtime.disk import read_only, sentence, writing
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write, exclusive_workdir, link, write_json
from vie.runtime.logs import job, run_command

NUMBERS = np.random.default_rng(0).random(20000)


@contextmanager
def room(size=10000):
    """No file of this process may be larger; larger ones fail as on a full disk.

    Around as little as possible: pytest itself may write to a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def tar(path):
    with path.open("wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("a.jpg")
        member.size = NUMBERS.nbytes
        archive.addfile(member, fileobj=io.BytesIO(NUMBERS.tobytes()))


def figure(path):
    drawn, axes = new_figure(4, 4)
    axes[0, 0].plot(NUMBERS)
    save(drawn, [path], "a title", "words")


WRITERS = {
    "a.npy": lambda path: np.save(path, NUMBERS),
    "a.parquet": lambda path: pq.write_table(pa.table({"a": NUMBERS}), path),
    "a.csv": lambda path: pd.DataFrame({"a": NUMBERS}).to_csv(path),
    "a.txt": lambda path: path.write_text("a" * 20000),
    "a.tar": tar,
    "a.pt": lambda path: torch.save(torch.zeros(20000), path),
}
WHOLE = {
    "b.png": figure,
    "b.svg": figure,
    "b.pt": lambda path: torch_files.save(path, {"weights": torch.zeros(20000)}),
    "b.json": lambda path: write_json({"a": NUMBERS.tolist()}, path),
}


@pytest.mark.parametrize("name", [*WRITERS, *WHOLE])
def test_a_full_disk_is_a_sentence_with_the_file(tmp_path, name):
    path = tmp_path / name
    path.write_text("before")

    def write():
        if name in WHOLE:
            return WHOLE[name](path)
        with atomic_write(path) as temporary:
            return WRITERS[name](temporary)

    said = r"^\S+/\w\.\w+: File too large\. Free some space"
    with pytest.raises(VieError, match=said) as raised, room():
        write()
    assert str(raised.value).startswith(f"{path}: ")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == [name]


def test_a_copy_that_does_not_fit_names_itself(tmp_path, monkeypatch):
    def refuse(source, path):
        raise OSError(errno.EPERM, "Operation not permitted", source, None, path)

    (tmp_path / "small").write_text("")
    os.truncate(tmp_path / "small", 10000)
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.chdir(tmp_path)
    for result in (tmp_path / "result.pt", Path("result.pt")):
        with pytest.raises(VieError, match=rf"^{result}: File too large"), room(5000):
            link(tmp_path / "small", result)
    assert os.listdir(tmp_path) == ["small"]


def test_metrics_that_do_not_fit_are_named_and_the_old_ones_stay(tmp_path, capsys):
    metrics = tmp_path / "metrics.jsonl"
    recorder = Recorder(metrics, tmp_path / "tensorboard")

    def fill():
        for step in range(2000):
            recorder.write(step, loss=1.0)

    with pytest.raises(SystemExit), room(), job(tmp_path / "job.log"), closing(recorder):
        fill()
    said = capsys.readouterr().err
    assert f"ERROR: {metrics}: File too large" in said
    assert "Traceback" not in said
    kept = metrics.read_text()
    with pytest.raises(VieError, match=r"metrics\.jsonl: File too large"), room(3000):
        Recorder(metrics, tmp_path / "tensorboard", step=150)
    assert metrics.read_text() == kept


def test_a_folder_is_locked_on_a_full_disk(tmp_path):
    with room(1), exclusive_workdir(tmp_path / "state"):
        assert (tmp_path / "state" / "lock").exists()


def test_an_error_of_another_file_is_not_of_this_one(tmp_path):
    for error in (FileNotFoundError(errno.ENOENT, "No such file", "/video.mp4"), KeyError("a")):
        with pytest.raises(type(error)), writing(tmp_path / "a.tar"):
            raise error
    with pytest.raises(PermissionError) as kept, writing(tmp_path / "a.tar"):
        raise PermissionError(errno.EACCES, "Permission denied", "/video.mp4")
    assert sentence(kept.value).startswith("/video.mp4: Permission denied. Change the permissions")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_may_not_be_written_is_named(tmp_path, monkeypatch, number):
    def refuse(prefix, suffix, dir):
        raise OSError(number, os.strerror(number), f"{dir}/{prefix}abcdefgh{suffix}")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(VieError, match=rf"table\.csv: {os.strerror(number)}\. \w+ the"):
        write_json({}, tmp_path / "table.csv")


def test_snakemake_does_not_begin_in_a_read_only_folder(tmp_path, monkeypatch):
    logs = tmp_path / "logs"
    assert read_only([str(tmp_path), str(logs)]) is None  # one that is absent will be made
    assert not os.listdir(tmp_path)
    logs.mkdir()

    def refuse(dir):
        raise OSError(errno.EROFS, "Read-only file system", f"{dir}/tmpabcdefgh")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert f"{logs}: Read-only file system. Make the file system" in read_only([str(logs / "a")])


def test_a_name_that_is_too_long_is_said(tmp_path):
    with pytest.raises(VieError, match=r"File name too long\. Give shorter names"):
        write_json({}, tmp_path / ("a" * 300) / "table.csv")


def test_a_job_ends_with_a_sentence_and_without_a_traceback(tmp_path, capsys):
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit), job(log):
        raise OSError(errno.ENOSPC, "No space left on device", "results/a.pt")
    assert "ERROR: results/a.pt: No space left on device. Free some space" in log.read_text()
    assert "Traceback" not in capsys.readouterr().err + log.read_text()


def test_a_command_ends_with_a_sentence_too():
    def main(arguments):
        raise PermissionError(errno.EACCES, "Permission denied", "/a/b.parquet")

    with pytest.raises(SystemExit, match=r"^ERROR: /a/b\.parquet: Permission denied\. Change the"):
        run_command(main)


def test_a_log_that_cannot_be_written_hides_no_message(tmp_path, capsys):
    with pytest.raises(SystemExit), room(1), job(tmp_path / "job.log"):
        raise VieError("what is wrong")
    assert "ERROR: what is wrong" in capsys.readouterr().err
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="file: "), job(tmp_path / "file" / "job.log"):
        pass
