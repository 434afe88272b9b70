"""Snakemake in copies of the workflow."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SMOKE = ("--cores", "2", "--configfile", "experiments/smoke.yaml")


def call_snakemake(folder, *arguments, fails=False):
    """Output of a call; no PYTHONPATH: the workflow finds the library beside it by itself."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


def planned_jobs(output):
    """{rule: number of jobs} of a dry run's table."""
    found = re.search(r"^job +count\n[- ]+\n(.*?)\ntotal", output, re.M | re.S)
    rows = re.findall(r"^(\w+) +(\d+)$", found[1], re.M) if found else []
    jobs: dict[str, int] = {}
    for rule, count in rows:  # the longest recipes' pretraining is the same rule with a priority
        name = rule.removesuffix("_early")
        jobs[name] = jobs.get(name, 0) + int(count)
    return jobs


def finish(folder, *arguments):
    """Make every file of a run, empty, and have Snakemake record it as made."""
    summary = call_snakemake(folder, "--summary", *arguments)
    rows = [line.split("\t") for line in summary.splitlines() if "\tmissing\t" in line]
    assert rows
    for path, _, rule, *_ in rows:
        directory = rule.startswith("embedded_") and not path.endswith(".csv")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).mkdir() if directory else (folder / path).touch()
    call_snakemake(folder, "--touch", *arguments)


@pytest.fixture(scope="session")
def snakemake():
    return call_snakemake


@pytest.fixture(scope="session")
def planned():
    return planned_jobs


@pytest.fixture(scope="session")
def ran(copy_workflow, tmp_path_factory):
    """A copy of the workflow in which all of the smoke experiment was made."""
    folder = copy_workflow(tmp_path_factory.mktemp("ran"))
    call_snakemake(folder, *SMOKE, "--", "all")
    return folder


@pytest.fixture(scope="module")
def finished(copy):
    """A copy of the workflow in which all of the smoke experiment is on record as made.

    Copies of files keep their times: so does this one, wherever it is copied to.
    """
    finish(copy, *SMOKE, "--", "all")
    return copy


@pytest.fixture
def moved(finished, tmp_path):
    """A copy of `finished` for one test."""
    return Path(shutil.copytree(finished, tmp_path / "clone", symlinks=True))
