import logging
import re
import subprocess
import sys
import time

import pytest

from vie.runtime.errors import VieError
from vie.runtime.logs import job
from vie.runtime.progress import Progress, progress


def test_messages_and_progress_go_to_the_terminal_and_to_the_log(tmp_path, capsys):
    log = tmp_path / "logs" / "job.log"
    with job(log):
        logging.getLogger("vie.test").warning("mind the gap")
        with Progress(total=2, label="frames") as bar:
            bar.update(2)
    shown = capsys.readouterr().err
    assert log.read_text().count("WARNING: mind the gap") == shown.count("mind the gap") == 1
    assert "frames: 100%" in log.read_text()
    assert "frames" not in shown  # it did not take long
    assert not isinstance(sys.stderr, type(log))


def test_notes_are_in_the_log_alone(tmp_path, capsys):
    with job(tmp_path / "job.log"):
        logging.getLogger("vie.test").info("training on CPU")
    assert "training on CPU" not in capsys.readouterr().err
    assert "INFO: training on CPU" in (tmp_path / "job.log").read_text()


def test_long_bars_are_shown_ever_more_rarely(tmp_path, capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with job(tmp_path / "job.log"):
        bar = Progress(total=3000, label="train", unit="steps")
        for _ in range(2400):
            clock[0] += 1.0
            bar.update()
        bar.close()
    shown = capsys.readouterr().err.splitlines()
    steps = [int(re.search(r"(\d+)/3000", line)[1]) for line in shown]
    aimed = [60, 120, 240, 480, 960, 1560, 2160, 2400]
    assert steps == pytest.approx(aimed, rel=0.1)
    assert 400 < len((tmp_path / "job.log").read_text().splitlines()) < 600


def test_two_processes_write_one_log_in_order(tmp_path):
    log = tmp_path / "job.log"
    log.write_text("of an earlier run\n")
    with job(log):
        logging.getLogger("vie.test").warning("first")
        other = "import logging, sys\n"
        other += "from vie.runtime.logs import job\nwith job(sys.argv[1], append=True):"
        other += "\n    logging.warning('second ' + 60 * '.')"
        subprocess.run([sys.executable, "-c", other, log], check=True)
        logging.getLogger("vie.test").warning("third")
    lines = log.read_text().splitlines()
    assert lines == ["WARNING: first", f"WARNING: second {60 * '.'}", "WARNING: third"]


def test_a_users_error_is_its_message_alone(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, job(tmp_path / "job.log"):
        raise VieError("key seeds: set it to a list")
    assert ended.value.code == 1
    assert "ERROR: key seeds: set it to a list" in capsys.readouterr().err
    assert "Traceback" not in (tmp_path / "job.log").read_text()


def test_an_interrupted_job_says_so(tmp_path, capsys):
    with pytest.raises(SystemExit), job(tmp_path / "job.log"):
        raise KeyboardInterrupt
    assert "ERROR: stopped by Ctrl-C" in capsys.readouterr().err
    assert "Traceback" not in (tmp_path / "job.log").read_text()


def test_a_fault_of_the_program_leaves_its_traceback_in_the_log(tmp_path):
    with pytest.raises(ZeroDivisionError), job(tmp_path / "job.log"):
        1 / 0  # noqa: B018
    text = (tmp_path / "job.log").read_text()
    assert "Traceback" in text
    assert "ZeroDivisionError" in text


def test_a_bar_prints_whole_lines_with_values_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(Progress, "every_seconds", 0)
    bar = Progress(total=4, label="train", unit="steps")
    for step in range(4):
        bar.set_postfix(loss=2.0 / (step + 1), clips=step)
        bar.update()
    bar.close()
    printed = capsys.readouterr().err
    lines = printed.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("train:  25%|")
    assert "steps/s" in lines[0] or "s/ steps" in lines[0]
    assert "<" in lines[0]  # elapsed < left
    assert "loss 0.5, clips 3" in lines[3]
    assert "\r" not in printed


def test_a_bar_that_goes_on_counts_from_where_it_was(capsys):
    bar = Progress(total=10, initial=8)
    bar.update(2)
    bar.close()
    printed = capsys.readouterr().err
    assert "100%" in printed
    assert "10/10" in printed


def test_a_bar_over_a_sequence_passes_its_items_through():
    assert list(progress([3, 1, 2], total=3)) == [3, 1, 2]
