"""SIGTERM to a Snakemake that is in the middle of something."""

import subprocess
import sys

# The handler of a scheduler whose lock is held by the thread that the signal interrupts.
HELD = """
import os, signal, threading
from snakemake.scheduling.job_scheduler import JobScheduler
from vie.workflow.stopping import wait_elsewhere

wait_elsewhere()
scheduler = JobScheduler.__new__(JobScheduler)
scheduler._lock, scheduler._open_jobs = threading.Lock(), threading.Semaphore(0)
scheduler._user_kill = None
signal.signal(signal.SIGTERM, scheduler.exit_gracefully)
with scheduler._lock:
    os.kill(os.getpid(), signal.SIGTERM)
assert scheduler._open_jobs.acquire(timeout=30)
assert scheduler._user_kill == "graceful"
"""


def test_a_signal_while_snakemake_holds_its_lock():
    subprocess.run([sys.executable, "-c", HELD], check=True, timeout=120)
