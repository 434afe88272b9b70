"""A plan in words: what each rule costs, whether it fits, and where the numbers come from."""

import csv
import heapq
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vie.plan.costs import Cost
from vie.plan.jobs import Job
from vie.plan.model import Model, top_folder
from vie.runtime.files import atomic_write

HOUR = 3600
COLUMNS = ("rule", "jobs", "disk", "memory", "CPU-hours", "GPU-hours")
SHARE = 0.02  # of a disk that is left free


@dataclass(frozen=True)
class Row:
    """A rule, or the sum of all."""

    rule: str
    jobs: int
    disk: float
    memory_mb: int
    cpu_hours: float
    gpu_hours: float

    @classmethod
    def of(cls, rule: str, jobs: Sequence[Job], costs: dict[int, Cost]) -> "Row":
        """Of some jobs."""
        found = [costs[job.number] for job in jobs]
        real = [one for one in found if one.cores]
        return cls(
            rule,
            len(real),
            sum(one.disk for one in found),
            max((job.memory_mb for job in jobs), default=0),
            sum(one.seconds * one.cores for one in real) / HOUR,
            sum(one.seconds * one.gpus for one in found) / HOUR,
        )

    def cells(self) -> tuple[str, ...]:
        """As text."""
        memory = size(self.memory_mb * 1e6) if self.memory_mb else "-"
        hours = (hours_of(self.cpu_hours), hours_of(self.gpu_hours))
        return (self.rule, f"{self.jobs:,}", size(self.disk), memory, *hours)


def rows_of(jobs: Sequence[Job], costs: dict[int, Cost]) -> list[Row]:
    """A row per rule in the order in which they run, and their sum."""
    rules: dict[str, list[Job]] = {}
    for job in jobs:
        rules.setdefault(job.rule, []).append(job)
    rows = [Row.of(rule, some, costs) for rule, some in rules.items()]
    return [*(row for row in rows if row.jobs), Row.of("total", jobs, costs)]


def size(count: float) -> str:
    """Bytes in words, three digits."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            return f"{count:.3g} {unit}" if count < 99.5 else f"{count:.0f} {unit}"
        count /= 1000
    raise AssertionError


def hours_of(hours: float) -> str:
    """Hours, two or more digits."""
    if hours == 0:
        return "-"
    return f"{hours:,.0f}" if hours >= 99.5 else f"{hours:.2g}" if hours < 9.95 else f"{hours:.0f}"


def duration(seconds: float) -> str:
    """Seconds in words."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} seconds"


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other, the first flush left, the others flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def longest_chain(jobs: Sequence[Job], costs: dict[int, Cost]) -> float:
    """Seconds that the run takes at least, with as many machines as there are jobs."""
    ends: dict[int, float] = {}
    for job in jobs:  # each comes after what it needs
        before = max((ends[other] for other in job.needs), default=0.0)
        one = costs[job.number]
        ends[job.number] = before + one.seconds
    return max(ends.values(), default=0.0)


def makespan(
    jobs: Sequence[Job], costs: dict[int, Cost], *, cores: int, cpus: int, gpus: int
) -> float:
    """Seconds that one machine takes: jobs start, the important ones first, as soon as what they
    need is done and Snakemake's cores, the CPUs and the GPUs are free."""
    waiting = {job.number: set(job.needs) for job in jobs}
    by_number = {job.number: job for job in jobs}
    ready = [job for job in jobs if not job.needs]
    running: list[tuple[float, int]] = []
    limits = (cores, cpus, gpus)
    now, free = 0.0, limits

    def held(job: Job) -> tuple[int, ...]:
        one = costs[job.number]
        wanted = (job.threads if one.cores else 0, one.cores, one.gpus)
        return tuple(min(want, limit) for want, limit in zip(wanted, limits, strict=True))

    while ready or running:
        for job in sorted(ready, key=lambda job: -job.priority):
            if all(want <= left for want, left in zip(held(job), free, strict=True)):
                ready.remove(job)
                free = tuple(left - want for left, want in zip(free, held(job), strict=True))
                heapq.heappush(running, (now + costs[job.number].seconds, job.number))
        now, number = heapq.heappop(running)
        free = tuple(left + had for left, had in zip(free, held(by_number[number]), strict=True))
        for other, needs in waiting.items():
            if number in needs:
                needs.remove(number)
                if not needs:
                    ready.append(by_number[other])
    return now


@dataclass(frozen=True)
class Place:
    """A folder that is written to, with what it needs and what is free there."""

    folder: Path
    needed: float
    free: float

    @property
    def fits(self) -> bool:
        """Whether it does."""
        return self.needed <= self.free


def places(jobs: Sequence[Job], costs: dict[int, Cost], root: Path) -> list[Place]:
    """Folders of the workflow by file system: those on one share what is free there.

    Besides what stays, the largest job's passing files are needed.
    """
    needed: dict[Path, list[float]] = {}
    folders: dict[int, Path] = {}
    for job in jobs:
        if not job.outputs or not costs[job.number].cores:
            continue
        folder = existing(root / top_folder(job.outputs[0]))
        folder = folders.setdefault(folder.stat().st_dev, folder)
        stays, passing = needed.setdefault(folder, [0.0, 0.0])
        one = costs[job.number]
        needed[folder] = [stays + one.disk, max(passing, one.passing)]
    found = []
    for folder, (stays, passing) in needed.items():
        usage = shutil.disk_usage(folder)
        found.append(Place(folder, stays + passing, usage.free - SHARE * usage.total))
    return found


def existing(folder: Path) -> Path:
    """The folder, links followed, or the nearest one above it that is there."""
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    return folder


def refusal(short: Sequence[Place]) -> str:
    """What is missing, where, and what to do."""
    lines = []
    for place in short:
        lines.append(
            f"not enough disk: {place.folder} needs {size(place.needed)} and has "
            f"{size(max(place.free, 0))} free (a fiftieth of the disk is left alone)"
        )
    lines.append(
        "make room, or put resources/ or results/ on a larger disk (a link to a folder there will "
        "do), or store smaller frames (frames.shorter_side, frames.quality of the dataset in the "
        "config)"
    )
    return "\n".join(lines)


def write_csv(jobs: Sequence[Job], costs: dict[int, Cost], path: Path) -> None:
    """One line per job: its benchmark file in a real run is of the same rule and wildcards."""
    with atomic_write(path) as temporary, temporary.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("rule", "wildcards", "seconds", "cores", "gpus", "disk_bytes", "memory_mb"))
        for job in jobs:
            one = costs[job.number]
            if one.cores:
                wildcards = " ".join(f"{k}={v}" for k, v in job.wildcards.items())
                numbers = (f"{one.seconds:.2f}", one.cores, one.gpus, round(one.disk))
                rows.writerow((job.rule, wildcards, *numbers, job.memory_mb))


def limits_of(model: Model, jobs: Sequence[Job]) -> list[str]:
    """Which part limits each recipe's training on GPUs, and how many threads it wants."""
    if not model.on_gpu:
        return []
    lines = []
    gpus = max(max((job.gpus for job in jobs if job.rule == "pretrain"), default=1), 1)
    asked = model.usable(model.config["threads"]["pretrain"])
    device = "the GPU" if gpus == 1 else f"the {gpus} GPUs"
    for name, (limit, work) in model.limits.items():
        each = math.ceil(work.loading / work.on_gpus(gpus) / gpus)  # processes that load
        alone = "" if model.workers(asked, gpus) else ", one for each GPU, which waits for clips"
        lines.append(
            f"{name}: limited by {'loading' if limit == 'loading' else device} with {asked} "
            f"threads{alone}; {gpus * (1 + max(1, each))} threads keep {device} busy"
        )
    return lines
