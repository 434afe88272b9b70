"""GPUs that jobs share out among themselves; no GPU is needed."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vie.runtime import gpus
from vie.runtime.errors import VieError
from vie.runtime.gpus import DECIDED, VISIBLE, choose, take_gpus
from vie.runtime.threads import use_threads

JOB = """
import json, sys
from pathlib import Path
from vie.runtime.gpus import choose
print(json.dumps(choose(json.loads(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))), flush=True)
sys.stdin.read()
"""
FOUR = ["0", "1", "2", "3"]


@pytest.fixture
def start(tmp_path):
    """Start a job that takes GPUs and keeps them until it is killed; it and what it took."""
    jobs = []

    def start(wanted=1, names=FOUR, wait=True):
        command = [sys.executable, "-c", JOB, json.dumps(names), str(wanted), tmp_path / "locks"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        job = subprocess.Popen(command, cwd=Path(__file__).parents[2], text=True, **pipes)
        jobs.append(job)
        return (job, json.loads(job.stdout.readline())) if wait else job

    yield start
    for job in jobs:
        job.kill()
        job.communicate()


def end(job):
    job.kill()
    job.wait()


def test_jobs_take_gpus_that_no_other_has(start):
    taken = [start(wanted)[1] for wanted in (1, 2, 1)]
    assert taken == [["0"], ["1", "2"], ["3"]]


def test_jobs_that_start_at_once_take_different_gpus(start):
    jobs = [start(wait=False) for _ in FOUR]
    assert sorted(json.loads(job.stdout.readline())[0] for job in jobs) == FOUR


def test_a_gpu_is_free_again_when_its_job_is_killed(start):
    jobs = [start()[0] for _ in FOUR]
    end(jobs[2])
    assert start()[1] == ["2"]


def test_jobs_choose_among_the_gpus_they_may_use(start):
    assert start(names=["3"])[1] == ["3"]
    assert start(names=["3", "GPU-8a-b/c"])[1] == ["GPU-8a-b/c"]
    assert start(wanted=2, names=["3", "1", "0"])[1] == ["1", "0"]


def test_more_jobs_than_gpus_share_those_with_the_fewest(start):
    two = ["0", "1"]
    first, second, third = (start(names=two) for _ in range(3))
    assert [taken for _, taken in (first, second, third)] == [["0"], ["1"], ["0"]]
    assert start(names=two)[1] == ["1"]
    end(first[0])
    end(second[0])  # its GPU has one job, as has the first
    assert start(wanted=2, names=two)[1] == two
    end(third[0])
    assert start(names=two)[1] == ["0"]  # of which the lock that the third held was the second


def test_a_shared_gpu_is_told(start, tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr(gpus, "_held", [])
    start(names=["7"])
    assert choose(["7"], 1, tmp_path / "locks") == ["7"]
    assert "GPU 7" in caplog.text
    assert "--resources gpu=1`" in caplog.text
    for handle in gpus._held:
        os.close(handle)


def test_folder_and_locks_are_for_all_users(start, tmp_path):
    before = os.umask(0o077)
    try:
        start()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "locks").stat().st_mode) == 0o1777
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "locks").iterdir()} == {0o644}


@pytest.mark.parametrize("trap", ["link", "pipe", "folder is a link"])
def test_traps_of_other_users_are_not_walked_into(tmp_path, trap, monkeypatch):
    monkeypatch.setattr(gpus, "_held", [])
    folder, aim = tmp_path / "locks", tmp_path / "aim"
    if trap == "folder is a link":
        aim.mkdir()
        folder.symlink_to(aim)
    else:
        folder.mkdir()
        os.mkfifo(folder / "0.0") if trap == "pipe" else (folder / "0.0").symlink_to(aim)
    if trap == "pipe":
        assert choose(["0"], 1, folder) == ["0"]  # and waits for nobody who would write into it
    else:
        with pytest.raises(OSError, match="locks"):
            choose(["0"], 1, folder)
        assert not aim.is_file()


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine that seems to have four GPUs."""
    for name in (VISIBLE, DECIDED, "SLURM_JOB_ID"):
        monkeypatch.setenv(name, "")  # put back afterwards, whatever the test sets
        monkeypatch.delenv(name)
    monkeypatch.setattr(gpus, "FOLDER", tmp_path / "locks")
    monkeypatch.setattr(gpus, "_held", [])
    visible = lambda: len(os.environ.get(VISIBLE, "0,1,2,3").split(","))  # noqa: E731
    monkeypatch.setattr(torch.cuda, "device_count", visible)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    yield
    for handle in gpus._held:
        os.close(handle)


def test_cuda_sees_the_chosen_gpus_before_it_looks(machine, start, monkeypatch):
    start(wanted=3)
    looked = []
    monkeypatch.setattr(
        torch.cuda, "is_available", lambda: looked.append(os.environ[VISIBLE]) or True
    )
    use_threads(1, gpus=1)
    assert set(looked) == {"3"}
    use_threads(1, gpus=1)  # again in this process, as `fit` does, or in one that it started
    assert os.environ[VISIBLE] == "3"


def test_more_gpus_than_there_are_is_an_error(machine):
    with pytest.raises(VieError, match="gpus in the config is 5, but this machine shows 4"):
        take_gpus(5)


def test_a_scheduler_that_gave_as_many_as_wanted_has_chosen(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv(VISIBLE, "2,3")
    take_gpus(2)
    assert os.environ[VISIBLE] == "2,3"
    assert not list(tmp_path.glob("locks*"))
    take_gpus(1)  # one of many jobs within one of SLURM: their numbers may mean other GPUs
    assert os.environ[VISIBLE] == "2"
    assert (tmp_path / "locks-17").is_dir()


def test_a_job_without_gpus_takes_none(machine, tmp_path):
    take_gpus(0)
    assert VISIBLE not in os.environ
    assert not (tmp_path / "locks").exists()


def test_without_locks_a_job_starts_nevertheless(machine, tmp_path, caplog):
    (tmp_path / "locks").touch()
    take_gpus(1)
    take_gpus(1)
    assert VISIBLE not in os.environ
    assert caplog.text.count("may take the same GPUs") == 1
