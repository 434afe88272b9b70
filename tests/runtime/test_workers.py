"""Processes that load data: killed, slow, asked to stop; with real ones."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from tests.processes import kill_worker, processes_of, start_job, wait_for
from vie.clips.loader import TestClips, loader
from vie.clips.transform import ClipTransform
from vie.runtime import workers
from vie.runtime.errors import VieError
from vie.runtime.signals import held_back
from vie.runtime.workers import LEFT_TO_PARENT, Watch, how_it_died, process_pool, serve_parent


def sleeps(ready):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever tests before this one have left
    serve_parent()
    ready.set()
    time.sleep(600)


@pytest.fixture
def sleepers():
    """Two workers that ignore signals."""
    context = multiprocessing.get_context("fork")
    ready = [context.Event() for _ in range(2)]
    found = [context.Process(target=sleeps, args=(one,), daemon=True) for one in ready]
    for one in found:
        one.start()
    assert all(one.wait(60) for one in ready)
    yield found
    for one in found:
        one.kill()


@pytest.fixture
def watch(sleepers):
    """Of both; one that a failed test left open would end pytest."""
    watch = Watch(sleepers)
    yield watch
    watch.close()


def test_a_process_of_multiprocessing_ends_where_it_leaves_its_watch_open():
    # It runs nothing of atexit, and would send SIGTERM and wait for its workers for ever.
    job = multiprocessing.get_context("spawn").Process(target=leaves_its_watch_open)
    job.start()
    try:
        job.join(120)
        assert job.exitcode == 0
    finally:
        job.kill()


def leaves_its_watch_open():
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    worker = context.Process(target=sleeps, args=(ready,), daemon=True)
    worker.start()
    assert ready.wait(60)
    Watch([worker])


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGHUP])
def test_a_worker_that_dies_is_noticed_and_the_others_end(sleepers, watch, by):
    os.kill(sleepers[1].pid, by)
    with pytest.raises(VieError, match=f"{by.name}.*goes on from there.*mem_mb"):
        watch.check(patience=30)
    watch.close()
    assert [one.join(30) or one.exitcode for one in sleepers] == [-signal.SIGKILL, -by]


def test_workers_leave_signals_to_their_parent_and_end_when_it_closes(sleepers, watch):
    for one in sleepers:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            os.kill(one.pid, number)
    time.sleep(4 * workers.LOOK_SECONDS)
    watch.check()
    assert all(one.is_alive() for one in sleepers)
    watch.close()
    wait_for(lambda: not any(one.is_alive() for one in sleepers), 30)


def test_a_signal_that_comes_before_a_worker_is_ready_is_left_to_its_parent():
    def waits():
        time.sleep(600)  # as while it imports torch

    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    started = multiprocessing.get_context("fork").Process(target=waits, daemon=True)
    try:
        with held_back(*LEFT_TO_PARENT):
            started.start()
            signal.raise_signal(signal.SIGTERM)
            assert not heard
        assert heard == [signal.SIGTERM]
        os.kill(started.pid, signal.SIGTERM)
        started.join(0.5)
        assert started.is_alive()
    finally:
        signal.signal(signal.SIGTERM, before)
        started.kill()


def test_what_is_told_of_a_death():
    assert "SIGSEGV" in how_it_died(-signal.SIGSEGV)
    assert "/dev/shm" in how_it_died(-signal.SIGBUS)
    assert "exit code 3" in how_it_died(3)
    assert "signal 50" in how_it_died(-50)  # a real-time one, without a name


def dies(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_of_a_pool_is_told():
    def runs():
        with process_pool(2) as pool:
            list(pool.map(dies, range(4)))

    with pytest.raises(VieError, match=r"one of 2 processes of this job was killed.*mem_mb"):
        runs()


SCRIPT = """
    import multiprocessing, os, sys, time
    from vie.runtime import workers

    def sleeps(number=0):
        if sys.argv[1] != "pool":
            workers.serve_parent()
        os.write(1, f"{os.getpid()}\\n".encode())  # at once, beside the other one
        time.sleep(600)

    workers.NOTICE_SECONDS = 0.5
    if sys.argv[1] == "pool":
        with workers.process_pool(2) as pool:
            list(pool.map(sleeps, range(2)))
    started = [multiprocessing.Process(target=sleeps, daemon=True) for _ in range(2)]
    for one in started:
        one.start()
    watch = workers.Watch(started)
    if sys.argv[1] == "exit":
        time.sleep(1)
        raise SystemExit(3)
    time.sleep(600)  # and does not look at the workers
"""


@pytest.mark.parametrize(
    ("how", "code"), [("exit", 3), ("worker", 1), ("parent", -9), ("pool", -9)]
)
def test_no_process_is_left_and_none_is_waited_for(tmp_path, how, code):
    """At a usual end, at a worker's death that is not looked at, at the death of the parent."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), how],
        env=os.environ | {"VIE_TEST_JOB": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        try:
            started = [int(run.stdout.readline()) for _ in range(2)]
            if how != "exit":
                os.kill(started[0] if how == "worker" else run.pid, signal.SIGKILL)
            _, errors = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == code
    wait_for(lambda: not processes_of(tmp_path), 10)
    assert ("was killed (SIGKILL)" in errors) == (how == "worker")
    assert "Traceback" not in errors


def test_errors_of_workers_have_no_traceback(small_dataset, recipe, monkeypatch):
    """And do not keep the workers: an error that stays somewhere holds the iterator."""

    def torn(*args):
        raise VieError("shard 7 is torn")

    monkeypatch.setattr("vie.clips.loader.load_clip", torn)
    index = small_dataset / "train" / "index.parquet"
    clips = TestClips(index, ClipTransform.of(recipe), clips=2)
    before = set(multiprocessing.active_children())
    with pytest.raises(VieError) as raised:
        list(loader(clips, [np.arange(3)] * 4, 2, clips=6))
    assert str(raised.value) == "shard 7 is torn"
    wait_for(lambda: not set(multiprocessing.active_children()) - before, 30)


def test_a_loader_that_is_left_early_leaves_no_process(small_dataset, recipe):
    index = small_dataset / "train" / "index.parquet"
    clips = TestClips(index, ClipTransform.of(recipe), clips=2)
    handler, before = signal.getsignal(signal.SIGCHLD), set(multiprocessing.active_children())
    batches = loader(clips, [np.arange(3)] * 40, 2, clips=6)
    next(batches)
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 2
    batches.close()
    wait_for(lambda: not any(one.is_alive() for one in started), 30)
    assert signal.getsignal(signal.SIGCHLD) == handler


@pytest.mark.slow
def test_a_training_ends_when_a_worker_is_killed_while_it_waits(small_dataset, recipe, tmp_path):
    job = start_job("pretrain", small_dataset, tmp_path, recipe, workers=2, slow=1.0)
    kill_worker(job, tmp_path, max, after=0.2, patience=60)
    told = (tmp_path / "stderr").read_text()
    assert job.returncode == 1
    assert "ERROR: a process that loads data for this one was killed (SIGKILL)" in told
    assert told.split("ERROR: ")[1].splitlines()[0] in (tmp_path / "log").read_text()
    assert "Traceback" not in told
