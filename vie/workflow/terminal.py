"""What a run prints while it runs: how far it is, now and then, and in the end why jobs failed."""

import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from snakemake.logging import DefaultFormatter, logger
from snakemake_interface_logger_plugins.common import LogEvent

FIRST_SECONDS, GROWTH, MOST_SECONDS = 10, 0.25, 600  # until the next line of progress
SHOWN_JOBS = 3  # of the running ones
TAIL = 8  # lines of the log of a job that ended without a message
OF_EACH_JOB = (LogEvent.JOB_INFO, LogEvent.GROUP_INFO, LogEvent.SHELLCMD)
# What Snakemake says besides; a script that failed has said why.
LEFT_OUT = re.compile(
    r"Select jobs to execute|Exiting because a job execution failed"
    r"|.*CalledProcessError in file .*returned non-zero exit status",
    re.DOTALL,
)
ELSEWHERE = "For further error details"  # see the cluster's log, which is named anyway


def label(job: Any) -> str:
    """Short name of a job: its rule and wildcards."""
    return " ".join([job.rule.name, *map(str, job.wildcards)])


class Terminal(DefaultFormatter):  # type: ignore[misc] # has no types
    """Filter and format of Snakemake's messages to the terminal, from the first job on.

    Snakemake prints some twelve lines for each job. They stay in its log file. A line of progress
    comes instead, soon at first and rarely later.
    """

    def __init__(self) -> None:
        super().__init__()
        self.labels: dict[int, str] = {}  # of all jobs that will run, by their numbers
        self.running: dict[int, str] = {}
        self.done = 0
        self.failed: dict[str, tuple[str, Sequence[str]]] = {}  # {name: (message, logs)}
        self.start, self.next = time.monotonic(), 0.0

    def install(self, jobs: Iterable[Any]) -> None:
        """Take over this process's terminal, if Snakemake's own messages go there."""
        self.labels = {job.jobid: label(job) for job in jobs}
        for handler in logger.handlers:
            if handler.name == "DefaultStreamHandler":
                handler.addFilter(self.filter)
                handler.setFormatter(self)

    def filter(self, record: Any) -> bool:
        """Whether a message is printed; notes what runs and what failed."""
        event = getattr(record, "event", None)
        if event is LogEvent.JOB_STARTED:
            self._start(record.jobs)
            return self._due()
        if event is LogEvent.GROUP_INFO:
            self._start(job.jobid for job in record.jobs)
        if event is LogEvent.JOB_FINISHED:
            self.running.pop(record.job_id, None)
            self.failed.pop(self._label(record.job_id), None)  # of an earlier attempt
        elif event is LogEvent.JOB_ERROR:
            return self._fail(record)
        elif event is LogEvent.GROUP_ERROR:
            return self._fail_group(record)
        elif event is LogEvent.PROGRESS:
            self.done = record.done
            return bool(self.done == len(self.labels))
        said = record.getMessage() if record.msg else ""
        left_out = event in (*OF_EACH_JOB, LogEvent.JOB_FINISHED) or LEFT_OUT.match(said)
        return not left_out

    def _start(self, numbers: Iterable[Any]) -> None:
        """Note jobs; the jobs of a group, whose name stands among them, come by themselves."""
        self.running |= {number: self.labels[number] for number in numbers if number in self.labels}

    def _fail(self, record: Any) -> bool:
        """Note a failed job; of a group, which fails as one, only the jobs that say why."""
        self.running.pop(record.jobid, None)
        if record.indent and not any(_error(text) for text in _texts(record.log)):
            return False
        message = (record.rule_msg or "").partition(ELSEWHERE)[0]
        self.failed[self._label(record.jobid)] = message, record.log
        return True

    def _fail_group(self, record: Any) -> bool:
        """Note a group of which no job says why, as one that was killed, by its first job."""
        logs = [path for info in record.job_error_info for path in info["log"]]
        if any(map(_error, _texts(logs))):
            return False
        first = record.job_error_info[0]["jobid"]
        self.failed[self._label(first)] = "", [*logs, *record.aux_logs]
        return True

    def _label(self, number: int) -> str:
        return self.labels.get(number, f"job {number}")  # one that was not planned at the start

    def _due(self) -> bool:
        passed = time.monotonic() - self.start
        if passed < self.next:
            return False
        self.next = passed + min(max(FIRST_SECONDS, GROWTH * passed), MOST_SECONDS)
        return True

    def format(self, record: Any) -> str:
        """The message; of progress one line."""
        event = getattr(record, "event", None)
        if event is LogEvent.GROUP_ERROR:
            first = self._label(record.job_error_info[0]["jobid"])
            return f"the group of {first} failed: {', '.join(record.aux_logs)}"
        if event is LogEvent.JOB_ERROR:
            return f"{self._label(record.jobid)} failed: {', '.join(record.log)}"
        if event not in (LogEvent.JOB_STARTED, LogEvent.PROGRESS):
            return str(super().format(record))
        names = [*self.running.values()]
        more = f" and {len(names) - SHOWN_JOBS} more" if len(names) > SHOWN_JOBS else ""
        running = f"; running: {', '.join(names[:SHOWN_JOBS])}{more}" if names else ""
        clock = time.strftime("%H:%M:%S")
        return f"[{clock}] {self.done} of {len(self.labels)} jobs are done{running}"

    def failures(self) -> str:
        """Why jobs failed, from their logs; empty if none did."""
        if not self.failed:
            return ""
        parts = [
            "\n".join(filter(None, [f"{name} ({', '.join(logs)}):", message, _why(logs)]))
            for name, (message, logs) in self.failed.items()
        ]
        count = "A job" if len(parts) == 1 else f"{len(parts)} jobs"
        end = "The same command goes on where it was: what is finished is kept."
        return "\n\n".join(["", f"{count} did not finish.", *parts, end])


def _why(logs: Sequence[str]) -> str:
    """The last error of a job, or the end of its log. A cluster's own log comes last."""
    texts = _texts(logs)
    if errors := [*filter(None, map(_error, texts))]:
        return "  " + errors[0].replace("\n", "\n  ")
    if ends := [text for text in texts if text]:
        return "\n".join(f"  {line}" for line in ends[-1].splitlines()[-TAIL:])
    return "  its log says nothing: it may have been killed, as where memory is short"


def _texts(logs: Sequence[str]) -> list[str]:
    return [Path(path).read_text(errors="replace").strip() for path in logs if Path(path).is_file()]


def _error(text: str) -> str:
    """The last error for users in the text of a log, if there is one."""
    _, found, error = f"\n{text}".rpartition("\nERROR: ")
    return error.partition("\n(log: ")[0].strip() if found else ""
