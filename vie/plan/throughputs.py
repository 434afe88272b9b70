"""How fast machines are: measured on this one, otherwise stated defaults with their source."""

import dataclasses
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from vie.runtime.errors import VieError
from vie.runtime.files import write_json

FILE = Path("resources") / "plan" / "throughputs.json"
NETWORKS = ("train ", "test ", "probe ")  # what names of speeds of networks begin with
ASSUMED = "assumption; --measure on the machine replaces it"


class Number(NamedTuple):
    """A throughput or cost, and where it comes from."""

    value: float
    source: str


BENCH = "measured on 2 CPU cores of a server without a GPU, {}"
RUN = BENCH.format("`snakemake --cores 8 results/table_s1.csv`")
MEASURE = BENCH.format("`python -m vie.plan --measure`")
PAPER = BENCH.format(
    "`python -m vie.plan --measure --configfile experiments/kinetics400.yaml`, whose videos were "
    "synthetic ones of 480 x 360"
)
INDEX = BENCH.format("`benchmarks/index.py`, 13.7 s for 240,000 videos")
CLUSTERS = BENCH.format("`benchmarks/local_aggregation.py`, 8,000 clusters of 239,888 vectors")
EXTRACTED = BENCH.format(
    "`ffmpeg` on synthetic H.264 of 640 x 360; for sources of 720 lines it takes twice as long"
)
WIDE = "assumption: 16:9, as most of Kinetics is; frames of 4:3 take three quarters of the disk"
PHOTO = "between a photograph (0.24) and noise of photographs' spectrum (0.18), ffmpeg -q:v 3"
# What a plan uses where nothing has been measured. Seconds are of one core, or of the GPU.
DEFAULTS: dict[str, Number] = {
    "seconds to start training": Number(5.5, MEASURE),
    "seconds to start a network": Number(3.8, MEASURE),
    "seconds to start a table": Number(1.9, MEASURE),
    "seconds to start anything else": Number(0.5, MEASURE),
    "seconds to write a frame of an embedded video": Number(1.35e-3, RUN),
    "bytes of a frame of an embedded video": Number(150, RUN),
    "seconds to extract a video": Number(0.04, MEASURE),
    "seconds to extract a megapixel": Number(0.015, EXTRACTED),
    "longer by shorter side of a frame": Number(16 / 9, WIDE),
    "bytes of a pixel at quality 3": Number(0.2, PHOTO),
    "seconds to index a video": Number(5.7e-5, INDEX),
    "seconds to find the flow of a frame": Number(1.9e-3, PAPER),
    "seconds to load a clip": Number(3e-4, PAPER),
    "seconds to load a frame": Number(1e-4, PAPER),
    "seconds to load a megapixel": Number(6e-3, PAPER),
    "operations a second in training, cpu": Number(40e9, PAPER),
    "operations a second in testing, cpu": Number(60e9, PAPER),
    "operations a second in training, narrow, cpu": Number(20e9, MEASURE),
    "operations a second in testing, narrow, cpu": Number(35e9, MEASURE),
    "operations a second in training, cuda": Number(15e12, ASSUMED),
    "operations a second in testing, cuda": Number(20e12, ASSUMED),
    "comparisons a second of k-means, cpu": Number(1.7e8, CLUSTERS),
    "comparisons a second of k-means, cuda": Number(1e10, ASSUMED),
    "comparisons a second with the bank, cpu": Number(5.5e7, MEASURE),
    "comparisons a second with the bank, cuda": Number(5e9, ASSUMED),
}


@dataclass
class Throughputs:
    """Numbers of one machine, measured or not.

    Attributes:
        device: "cpu" or "cuda", where networks run.
        machine: in words; empty if nothing was measured.
        cpus: CPUs of the machine; 0 if it is not known.
        measured: value by name; besides the names of `DEFAULTS` those of single networks
            and clips, which `model` names.
        planned: datasets of the configs that it was measured for.
        torch: its version.
        used: what `get` was asked for, and what it answered.
    """

    device: str
    machine: str = ""
    cpus: int = 0
    measured: dict[str, float] = field(default_factory=dict)
    planned: list[str] = field(default_factory=list)
    torch: str = field(default_factory=lambda: version("torch"))
    used: dict[str, Number] = field(default_factory=dict)

    def get(self, name: str, otherwise: Callable[[], float] | None = None) -> float:
        """The measured value, else what `otherwise` works out of others, else the default."""
        if name in self.measured:
            number = Number(self.measured[name], f"measured on {self.machine}")
        elif otherwise is not None:
            return otherwise()
        else:
            number = DEFAULTS[name]
        self.used[name] = number
        return number.value

    def elsewhere(self, device: str) -> "Throughputs":
        """Of a machine with another device and as many CPUs as jobs ask for: what this one's
        networks do says nothing of it, what its cores do is the best guess."""
        kept = {k: v for k, v in self.measured.items() if not k.startswith(NETWORKS)}
        return Throughputs(device, self.machine, measured=kept)


def save(throughputs: Throughputs, path: Path) -> None:
    """Write what was measured as JSON."""
    content = {**dataclasses.asdict(throughputs), "host": platform.node()}
    write_json({k: v for k, v in content.items() if k != "used"}, path)


def load(path: Path) -> Throughputs | None:
    """Read what was measured; None if nothing was, or on another machine or with another torch.

    Raises:
        VieError: the file is not such a one.
    """
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        host = content.pop("host")
        found = Throughputs(**content)
        numbers = {name: float(value) for name, value in found.measured.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise VieError(
            f"{path} cannot be read ({error}); delete it, or run with --measure to write it anew"
        ) from error
    here = host == platform.node() and found.torch == version("torch")
    return dataclasses.replace(found, measured=numbers) if here else None


def cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
