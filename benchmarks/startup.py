"""Seconds before anything is computed: imports, Snakemake's plan, a job's first step.

    uv run snakemake --cores 8 results/table_s1.csv   # the demo, whose files are read here
    uv run python benchmarks/startup.py

Each row is a process of its own. All rows take turns, round after round, so that a machine with
other work slows all of them. Medians over the rounds:

    seconds  from its start to its end
    CPU      processor time, user and system; steadier where others use the machine
    more     processor time beyond that of the row it is compared with, in the same round

"nothing to do" plans the demo's Table S1, which is there; "all to do" plans it in an empty folder.
"first step" is a pretraining job of the demo on the CPU, from Python's start to its first step of
training: with what Snakemake puts before a script, and the first look of the monitor.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
TABLE, DATA = "results/table_s1.csv", "resources/embedded"
FIRST_STEP = f"""
import os, sys
from pathlib import Path
from snakemake.script import Snakemake
from vie import pretrain
from vie.config.load import load_config
from vie.engine.run import Data, Run
pretrain.Pretraining.step = lambda *_: os._exit(0)
config, data, work = load_config("config.yaml"), Path("{DATA}"), Path(sys.argv[1])
pretrain.pretrain(
    config["recipes"]["vie_single"],
    "instance_recognition",
    Data(data / "train/index.parquet", data / "val/index.parquet", data / "classes.csv"),
    Run(work / "state", seed=0, name="", threads=config["threads"]["pretrain"], gpus=0),
    pretrain.PretrainOutputs(work / "end.pt", work / "end.jsonl"),
)
raise SystemExit("it took no step")
"""
SNAKEMAKE = ["-m", "snakemake"]
PLAN = [*SNAKEMAKE, "-n", "--quiet", "all", "--cores", "8"]
# Name of a row -> arguments of Python, and the row that it is compared with.
ROWS: dict[str, tuple[list[str], str]] = {
    "python": (["-c", ""], ""),
    "import torch": (["-c", "import torch"], "python"),
    "import torchvision": (["-c", "import torchvision"], "import torch"),
    "import torch._dynamo": (["-c", "import torch._dynamo"], "import torch"),
    "import vie.pretrain": (["-c", "import vie.pretrain"], "import torch"),
    "first step": (["-c", FIRST_STEP, "{empty}"], "import torch"),
    "snakemake --version": ([*SNAKEMAKE, "--version"], "python"),
    "nothing to do": ([*PLAN, TABLE], "snakemake --version"),
    "all to do": ([*PLAN, "--directory", "{empty}", TABLE], "snakemake --version"),
}


def measured(arguments: list[str]) -> tuple[float, float]:
    """(seconds, processor seconds) of a process of Python, which may write to a folder of its own.

    Raises:
        SystemExit: it failed.
    """
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, *(word.replace("{empty}", empty) for word in arguments)]
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        said = process.stderr.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{arguments} ended with {code}:\n{said}")
    return seconds, used.ru_utime + used.ru_stime


def main() -> None:
    """Print one line per row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    if not (ROOT / TABLE).exists():
        raise SystemExit(f"{TABLE} is missing: uv run snakemake --cores 8 {TABLE}")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ROWS}
    for number in range(rounds + 1):
        for name, (arguments, _) in ROWS.items():
            times = measured(arguments)
            if number:  # the first round fills the caches of the file system
                found[name].append(times)
    print(f"{'':24}{'seconds':>9}{'CPU':>8}{'more':>8}  than")
    for name, (_, other) in ROWS.items():
        seconds, cpu = (statistics.median(column) for column in zip(*found[name], strict=True))
        line = f"{name:24}{seconds:9.2f}{cpu:8.2f}"
        if other:
            pairs = zip(found[name], found[other], strict=True)
            line += f"{statistics.median(one[1] - two[1] for one, two in pairs):8.2f}  {other}"
        print(line)


if __name__ == "__main__":
    main()
