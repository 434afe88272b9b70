"""Being asked to stop, and SLURM's side of it with stand-ins for its commands."""

import os
import signal
import time
from datetime import datetime, timedelta

import pytest

from vie.runtime.errors import VieError
from vie.runtime.logs import job
from vie.runtime.signals import (
    StoppedError,
    heeding_signals,
    noting_signals,
    requeue_at_the_end_of_its_time,
    time_left,
)


def test_signals_are_noted_and_handlers_put_back():
    before = signal.getsignal(signal.SIGTERM)

    def heeds():
        with noting_signals() as received:
            assert not received
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)
            assert received == [signal.SIGUSR1, signal.SIGTERM]
            raise VieError("heeded")

    with pytest.raises(VieError, match="heeded"):
        heeds()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_nobody_heeded_is_not_lost():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with noting_signals():
            signal.raise_signal(signal.SIGTERM)
            assert not heard
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_work_that_can_go_on_ends_with_a_message_at_a_signal():
    before = signal.getsignal(signal.SIGTERM)

    def works():
        with heeding_signals():
            try:
                signal.raise_signal(signal.SIGTERM)
            except Exception as error:
                raise AssertionError("taken for an error of what was going on") from error
            finally:
                signal.raise_signal(signal.SIGUSR1)  # while it cleans up

    with pytest.raises(StoppedError, match="stopped by SIGTERM; what was saved is kept"):
        works()
    assert signal.getsignal(signal.SIGTERM) is before


def test_inside_a_training_a_signal_is_put_off_and_not_lost():
    done = []

    def trains():
        with heeding_signals():
            with noting_signals():
                signal.raise_signal(signal.SIGUSR1)
                done.append("step")
            done.append("never")

    with pytest.raises(StoppedError, match="SIGUSR1"):
        trains()
    assert done == ["step"]


def test_a_fork_is_ended_by_a_signal_as_ever():
    with heeding_signals():
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(tell, b"x")
            time.sleep(60)
            os._exit(0)
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM


def moment(seconds):
    """As squeue prints it, so many seconds from now."""
    return (datetime.now() + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def test_the_time_that_slurm_leaves():
    assert timedelta(seconds=88) < time_left(moment(90)) <= timedelta(seconds=91)
    assert time_left(moment(2 * 86400)) > timedelta(days=1, hours=23)
    assert time_left("N/A") is time_left("") is None


@pytest.mark.parametrize(
    ("state", "left", "queued"),
    [
        ("RUNNING", 130, True),  # the time limit, or what a preempted job is given
        ("RUNNING", 5 * 3600, False),  # somebody's signal, not SLURM's
        ("RUNNING", None, False),
        ("COMPLETING", 10, False),  # cancelled
        ("", None, False),
    ],
)
def test_only_a_job_that_slurm_ends_is_queued_again(tmp_path, monkeypatch, state, left, queued):
    calls = tmp_path / "calls"
    answer = f"{state} {moment(left) if left else 'N/A'}"
    for name, prints in (("squeue", answer), ("scontrol", "")):
        command = tmp_path / name
        command.write_text(f'#!/bin/sh\necho "{name} $@" >> {calls}\necho "{prints}"\n')
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with pytest.raises(SystemExit), job(tmp_path / "log"):
        raise StoppedError("stopped")
    assert ("scontrol requeue 4711" in calls.read_text()) == queued
    calls.unlink()
    with pytest.raises(SystemExit), job(tmp_path / "log"):
        raise VieError("a fault")  # queued again it would only fail again
    with pytest.raises(SystemExit), job(tmp_path / "log", append=True):
        raise StoppedError("stopped")  # the process that started this one will see to it
    monkeypatch.delenv("SLURM_JOB_ID")
    requeue_at_the_end_of_its_time()
    assert not calls.exists()


def test_an_answer_of_a_failed_squeue_is_not_believed(tmp_path, monkeypatch, caplog):
    calls, answer = tmp_path / "calls", f"RUNNING {moment(10)}"
    for name, does in (("squeue", f'echo "{answer}"; exit 1'), ("scontrol", f"touch {calls}")):
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\n{does}\n")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    requeue_at_the_end_of_its_time()
    assert "squeue --noheader" in caplog.text
    assert not calls.exists()
