"""The workflow on a handful of videos, for campaigns: start it, stop it, compare what it made."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from vie.runtime import torch_files

ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "experiments" / "smoke.yaml", Path(__file__).with_name("small.yaml")
RESULTS = "results/smoke"
TABLES = ("table_1.csv", "table_2.csv", "retrieval.csv", "summary_smoke.csv")
FILES = ("map_vie_single.svg", "encoders/vie_single.pt", "features/vie_single.parquet")
TARGETS = [f"{RESULTS}/{name}" for name in (*TABLES, *FILES, "neighbours_vie_single.png")]
MADE = ("resources", "results")
UCF101 = "resources/smoke_stand_in_ucf101"
# {rule: what it makes, first of all a file that can be asked for, then folders of it}
PARTS = {
    "neighbours": (f"{RESULTS}/neighbours_vie_single.png",),
    "pretrain": (
        f"{RESULTS}/pretrain/vie_single/seed0/local_aggregation.pt",
        f"{RESULTS}/pretrain",
    ),
    "frames": (
        "resources/smoke/train/frames/0-of-1.tar",
        "resources/smoke/train/frames",
    ),
    "embedded_videos": (
        *("resources/smoke/annotations/train.csv", "resources/smoke/annotations"),
        "resources/smoke/videos",
    ),
    "classes": ("resources/smoke/classes.csv",),
    "manifest": ("resources/smoke/train/manifest.parquet",),
    "index": ("resources/smoke/train/index.parquet",),
    "embedded_actions": (f"{UCF101}/annotations", f"{UCF101}/videos"),
    "split_assignment": (f"{UCF101}/split1/split_assignment.csv",),
    "probe": (
        f"{RESULTS}/probe/vie_single/trained/seed0/predictions.parquet",
        f"{RESULTS}/probe",
    ),
    "finetune": (
        f"{RESULTS}/finetune/stand_in_ucf101/scale_crop/vie_single/trained/seed0/best.pt",
        f"{RESULTS}/finetune/stand_in_ucf101",
    ),
    "encoder": (f"{RESULTS}/encoders/vie_single.pt",),
    "features": (
        f"{RESULTS}/features/smoke/vie_single/trained/seed0.parquet",
        f"{RESULTS}/features/smoke",
    ),
    "features_of_recipe": (f"{RESULTS}/features/vie_single.parquet",),
    "table_1": (f"{RESULTS}/table_1.csv", f"{RESULTS}/table_1.png"),
    "finetuning_table": (f"{RESULTS}/table_2.csv", f"{RESULTS}/table_2.svg"),
    "retrieval": (f"{RESULTS}/retrieval.csv", f"{RESULTS}/retrieval_seeds.csv"),
    "summary": (f"{RESULTS}/summary_smoke.csv",),
    "feature_map": (f"{RESULTS}/map_vie_single.svg", f"{RESULTS}/map_vie_single.png"),
}
SHARDS = "smoke/train", "smoke/val", "smoke_stand_in_ucf101/all", "smoke_stand_in_hmdb51/all"
# Each of them can be asked for; together they need all that a run makes.
ASKED = [part[0] for part in PARTS.values()]
ASKED += [f"resources/{name}/frames/0-of-1.tar" for name in SHARDS]
SECONDS = 900  # the longest run that is waited for


def command(folder: Path, *arguments: str, targets: Sequence[str] = TARGETS) -> list[str]:
    """Snakemake in a folder of its own, with the rules of this clone."""
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    words += ["--directory", str(folder), "--cores", "2", "--nocolor", *arguments]
    words += ["--configfile", *map(str, OVERLAYS), "--"]
    return [*words, *targets]


def start(argv: list[str], log: Path) -> subprocess.Popen:
    """Start Snakemake in a session of its own; what it says goes to the end of `log`."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    streams = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    # In the background of a shell SIGINT is ignored, and would be by Snakemake.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with log.open("a") as out:
            session = {"start_new_session": True, "stdout": out, **streams}
            return subprocess.Popen(argv, cwd=ROOT, env=environment, **session)
    finally:
        signal.signal(signal.SIGINT, before)


def attempt(argv: list[str], log: Path) -> tuple[int, str]:
    """Run Snakemake to its end -> its exit status, what it said."""
    before = log.stat().st_size if log.exists() else 0
    code = start(argv, log).wait(SECONDS)
    return code, log.read_bytes()[before:].decode("utf-8", "replace")


def run(argv: list[str], log: Path) -> str:
    """Run Snakemake to its end, which must be a good one -> what it said."""
    code, said = attempt(argv, log)
    assert code == 0, f"exit status {code}: {said[-3000:]}"
    return said


def made(folder: Path) -> dict[str, str]:
    """{file: digest of what it holds}, of all that has to be the same in every run."""
    paths = sorted(one for part in MADE for one in (folder / part).rglob("*"))
    names = {str(path.relative_to(folder)): path for path in paths if path.is_file()}
    state = re.compile(r"(/|\.)state/|/\.")  # what trainings go on from, and hidden files
    return {name: digest_of(path) for name, path in names.items() if not state.search(name)}


def digest_of(path: Path) -> str:
    """Of what a file holds, which is the same in every run."""
    if path.suffix == ".pt":
        return torch_files.content_digest(torch_files.load(path))
    if path.suffix == ".jsonl":  # without the measured speed
        rows = map(json.loads, path.read_text().splitlines())
        content = str([{k: v for k, v in row.items() if k != "clips_per_second"} for row in rows])
        return hashlib.sha256(content.encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_same(folder: Path, alone: dict[str, str]) -> None:
    """All that was made has the bits of the run that was left alone, and nothing lies beside it."""
    found = made(folder)
    assert sorted(found) == sorted(alone), sorted(set(found) ^ set(alone))[:10]
    other = [name for name in alone if found[name] != alone[name]]
    assert not other, f"other content: {other[:10]}"
    assert_nothing_torn(folder)


def assert_nothing_torn(folder: Path) -> None:
    """No temporary file or folder lies among the results."""
    hidden = [path for part in MADE for path in (folder / part).rglob(".*")]
    torn = [str(path) for path in hidden if path.name != ".snakemake_timestamp"]
    assert not torn, f"left behind: {torn[:10]}"


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files and folders, which may be absent."""
    for name in names:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def copy_of(alone: Path, folder: Path) -> Path:
    """A copy of a finished run, links and times as they are."""
    subprocess.run(["cp", "-a", str(alone), str(folder)], check=True)
    return folder


def jobs_of(leader: int) -> list[int]:
    """Living processes that a Snakemake has started, however deep, and left behind."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session, *_ = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(session) == leader and state != "Z" and path.parent.name != str(leader):
            found.append(int(path.parent.name))
    return found


def send(number: signal.Signals, processes: Iterable[int]) -> None:
    for process in processes:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue
