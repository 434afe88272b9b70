"""Snakemake that is asked to stop while jobs run."""

import contextlib
import functools
import threading


def wait_elsewhere() -> None:
    """Have Snakemake take note of SIGTERM in a thread of its own.

    Its handler waits for a lock that the main thread may hold, as it does while it chooses jobs or
    looks at what one has made. A handler runs in the main thread: both would wait for ever.
    """
    with contextlib.suppress(ImportError):  # where another version of Snakemake has it
        from snakemake.scheduling.job_scheduler import JobScheduler

        stop = JobScheduler.exit_gracefully

        @functools.wraps(stop)
        def elsewhere(self: JobScheduler, *received: object) -> None:
            threading.Thread(target=stop, args=(self, *received), daemon=True).start()

        JobScheduler.exit_gracefully = elsewhere
