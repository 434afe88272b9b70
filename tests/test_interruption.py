"""Being asked to stop, and SLURM's side of it with stand-ins for its commands."""

import signal

import pytest

from vie.errors import VieError
from vie.interruption import Requests, StoppedError, requeue_at_time_limit, seconds
from vie.logs import job


def test_signals_are_noted_and_handlers_put_back():
    before = signal.getsignal(signal.SIGTERM)

    def heeds():
        with Requests() as requests:
            assert requests.received is None
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)
            assert requests.received == "SIGUSR1"
            raise VieError("heeded")

    with pytest.raises(VieError, match="heeded"):
        heeds()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_nobody_heeded_is_not_lost():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with Requests():
            signal.raise_signal(signal.SIGTERM)
            assert not heard
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("time", "expected"),
    [("3:00", 180), ("59", 59), ("1:02:03", 3723), ("2-00:00:01", 172801)],
)
def test_times_of_slurm(time, expected):
    assert seconds(time) == expected


@pytest.mark.parametrize("time", ["UNLIMITED", "", "INVALID", "1:2:3:4"])
def test_other_answers_are_no_times(time):
    assert seconds(time) == -1


@pytest.mark.parametrize(
    ("answer", "queued"),
    [
        ("RUNNING 2:10", True),
        ("RUNNING 5:00:00", False),  # somebody's signal, not the limit's
        ("RUNNING UNLIMITED", False),
        ("COMPLETING 0:10", False),  # cancelled, preempted or over its limit
        ("", False),
    ],
)
def test_only_the_time_limit_queues_a_job_again(tmp_path, monkeypatch, answer, queued):
    calls = tmp_path / "calls"
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
    monkeypatch.delenv("SLURM_JOB_ID")
    requeue_at_time_limit()
    assert not calls.exists()
