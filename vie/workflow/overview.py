"""What the first page of `snakemake --report` says: data, versions, machine, time, findings."""

import csv
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path

from vie import __version__
from vie.runtime.csv_files import seconds_in
from vie.runtime.errors import VieError
from vie.workflow.paths import Experiment
from vie.workflow.titles import dataset_title

CPU = Path("/proc/cpuinfo")
RESOURCES = Path("resources")
PACKAGES = ("torch", "snakemake")
HEAD = 4000  # characters of a log in which a job says what it trains on


def overview(experiment: Experiment, logs: Path, benchmarks: Path) -> dict[str, str]:
    """{what: text}, of all that is known so far.

    Args:
        experiment: whose report it is.
        logs, benchmarks: folders of its jobs' logs and of their times.
    """
    used = [
        name
        for name in experiment.datasets_used()
        if name == experiment.dataset or (RESOURCES / name).exists()
    ]
    findings = Path(experiment.folder) / "findings.csv"
    found: dict[str, Callable[[], str]] = {
        "Experiment": lambda: experiment.name,
        **{f"Dataset {name}": partial(_dataset, experiment, name) for name in used},
        "Seeds of training": lambda: ", ".join(map(str, experiment.config["seeds"])),
        "Trained on": lambda: trained_on(logs),
        "Computing": lambda: _computing(hours(benchmarks)),
        "Findings of the paper": lambda: _findings(findings),
        "Report made": lambda: (
            f"{time.strftime('%Y-%m-%d %H:%M')} on {_cpu()}, {os.cpu_count()} cores"
        ),
        "Versions": lambda: ", ".join(
            [f"vie {__version__}", *(f"{name} {version_of(name)}" for name in PACKAGES)]
        ),
    }
    texts = {what: _text(function) for what, function in found.items()}
    return {what: text for what, text in texts.items() if text}


def _text(function: Callable[[], str]) -> str:
    """A report is not worth less because one of these files is damaged."""
    try:
        return function()
    except (OSError, ValueError, KeyError, TypeError, VieError) as error:
        return f"cannot be read ({type(error).__name__}: {error})"


def _computing(spent: float) -> str:
    return f"{spent:.1f} hours of jobs, as they last ran" if spent else ""


def hours(benchmarks: Path) -> float:
    """Of all jobs of an experiment one after the other, as they last ran."""
    return sum(seconds_in(path) or 0 for path in benchmarks.rglob("*.tsv")) / 3600


def trained_on(logs: Path) -> str:
    """Devices that jobs said they train on, and how many jobs did."""
    found: Counter[str] = Counter()
    for path in logs.rglob("*.log"):
        with path.open(encoding="utf-8", errors="replace") as file:
            if said := re.search(r"^INFO: training on (.*)$", file.read(HEAD), re.M):
                found[said[1]] += 1
    return "; ".join(f"{device} ({count} jobs)" for device, count in found.most_common())


def _dataset(experiment: Experiment, name: str) -> str:
    dataset = experiment.datasets[name]
    seed = dataset.get("generator", dataset).get("dataset_seed")
    parts = [dataset_title(experiment, name)]
    parts += [f"drawn with dataset seed {seed}"] if seed is not None else []
    for split in experiment.splits(name):
        place = RESOURCES / name / split
        if (place / "index.parquet").exists() and (place / "rejected.csv").exists():
            parts.append(f"{split}: {_videos(place)}")
    return "; ".join(parts)


def _videos(place: Path) -> str:
    import pyarrow.parquet as pq

    from vie.frames.extract import read_rejected

    used = pq.read_metadata(place / "index.parquet").num_rows
    return f"{used:,} used, {len(read_rejected(place / 'rejected.csv')):,} rejected"


def _findings(path: Path) -> str:
    """How many findings have which verdict."""
    if not path.exists():
        return ""
    with path.open(newline="") as file:
        verdicts = {row["finding"]: row["finding_verdict"] for row in csv.DictReader(file)}
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts.values()).items())


def _cpu() -> str:
    """The model of this machine's processor."""
    text = CPU.read_text() if CPU.exists() else ""
    named = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    return named[1] if named else platform.processor() or platform.machine()
