"""Jobs of a dry run of Snakemake, and what jobs like them took."""

import re
import statistics
import subprocess
import sys
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path

from vie.runtime.csv_files import seconds_in
from vie.runtime.errors import VieError
from vie.workflow.run_of import gpus_of

# A job of the dry run, with threads and GPUs of all of its nodes; `benchmark` is the file that will
# hold its seconds.
Job = namedtuple("Job", "rule wildcards threads memory_mb gpus output benchmark")


def jobs_of(arguments: Sequence[str]) -> list[Job]:
    """Jobs that Snakemake would run with these arguments of its command line.

    Raises:
        VieError: with Snakemake's words.
    """
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nocolor", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise VieError(f"Snakemake cannot plan this:\n{done.stdout}{done.stderr}")
    blocks, jobs = re.split(r"^ *(?:local)?rule ", done.stdout, flags=re.M)[1:], []
    total = re.search(r"^total +(\d+)$", done.stdout, re.M)
    if len(blocks) != (int(total[1]) if total else 0):
        raise VieError(f"Snakemake's dry run lists {len(blocks)} jobs and counts another number")
    for block in blocks:
        keys = dict(re.findall(r"^ +(\w+): (.*)$", block, re.M))
        pairs = (keys.get(key, "") for key in ("wildcards", "resources"))
        wildcards, given = (dict(re.findall(r"(\w+)=(.*?)(?:, |$)", text)) for text in pairs)
        rule = block.partition(":")[0].removesuffix("_early")  # the same rule, with a priority
        nodes, memory = int(given.get("nodes", 1)), int(given.get("mem_mb", 0))
        gpus = nodes * gpus_of({**given, "gpu": int(given.get("gpu", 0))}, 64)
        if output := keys.get("output", "").split(", ")[0]:
            files = output, keys.get("benchmark", "")
            threads = int(keys.get("threads", 1)) * nodes
            jobs.append(Job(rule, wildcards, threads, memory, gpus, *files))
    return jobs


def seconds_of_like(benchmark: str) -> float | None:
    """Median seconds of finished jobs that differ from a job in seed and shard alone, if any."""
    like = re.sub(r"(?<=seed)\d+|\d+(?=-of-)", "*", benchmark)
    every = map(seconds_in, Path().glob(like) if benchmark else [])
    found = [seconds for seconds in every if seconds is not None]
    return statistics.median(found) if found else None
