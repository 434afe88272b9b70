"""Jobs as processes of their own, and what the system says of them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MARK = "VIE_TEST_JOB"  # environment variable, which processes inherit


def start_job(name, dataset, folder, recipe, *, workers, slow):
    """A job of `tests.loading`, in a session of its own."""
    (folder / "recipe.json").write_text(json.dumps(recipe))
    arguments = [name, str(dataset), str(folder), str(workers), str(slow)]
    with (folder / "stderr").open("w") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.loading", *arguments],
            cwd=Path(__file__).parents[1],
            start_new_session=True,
            env=os.environ | {MARK: str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


def processes_of(folder):
    """Living processes of the job in a folder, whoever their parents are."""
    mark, found = f"{MARK}={folder}".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            marked = mark in (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if marked and state not in "ZX":
            found.append(int(path.name))
    return found


def wait_for(what, seconds, job=None):
    """The first true answer of `what`, asked again and again while the job lives."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert job is None or job.poll() is None, f"the job has ended with {job.returncode}"
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
    return answer


def loading(folder):
    """Processes of a job that have begun to load, and live."""
    return sorted(
        {int(path.name) for path in (folder / "workers").iterdir()} & set(processes_of(folder))
    )


def kill_worker(job, folder, choose, *, after=0.0, by=signal.SIGKILL, patience=30):
    """Kill one of the processes that load for a job; seconds from then to the job's end.

    One whose work is over may end unnoticed: then the job goes on and starts others, and one of
    those is killed. Every process of the job is gone afterwards, whatever comes of it.
    """
    try:
        wait_for(lambda: (folder / "workers").is_dir() and loading(folder), 120, job)
        time.sleep(after)
        began, known = time.monotonic(), set[int]()
        while job.poll() is None:
            if fresh := sorted(set(loading(folder)) - known):
                known |= set(fresh)
                began = time.monotonic()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(choose(fresh), by)
            took = time.monotonic() - began
            assert took < patience, f"the job goes on {patience} s after a worker's death"
            time.sleep(0.05)
        took = time.monotonic() - began
        wait_for(lambda: not processes_of(folder), 10)
        return took
    finally:
        for process in processes_of(folder):
            os.kill(process, signal.SIGKILL)
        job.wait()


def all_end(folder, *, seconds):
    """Wait until the processes after whose numbers the files of a folder are named have ended."""
    deadline = time.monotonic() + seconds
    for path in folder.iterdir():
        while Path(f"/proc/{path.name}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
