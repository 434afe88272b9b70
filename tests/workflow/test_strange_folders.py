"""The workflow in folders, and on files, of names that shells do not like."""

import csv
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.datasets.test_file_names import STRANGE
from tests.frames.test_excerpts import write


@pytest.mark.slow
def test_a_clone_and_its_environment_in_a_folder_with_blanks(copy, tmp_path):
    clone = tmp_path / "it's a $clone (1)"
    shutil.copytree(copy, clone)
    (clone / ".venv").symlink_to(sys.prefix)
    video = write(tmp_path / "x.mp4", n=8).read_bytes()
    videos = clone / "my videos"
    for number, name in enumerate(STRANGE):
        folder = videos / "train" / STRANGE[number % 2 * 6]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.mp4").write_bytes(video if number % 4 else b"")
    own = {"layout": "folders", "videos": "my videos", "shards": {"train": 1, "val": 1}}
    (clone / "own.yaml").write_text(
        yaml.safe_dump({"dataset": "mine", "ablations": [], "datasets": {"mine": own}})
    )
    index = "resources/mine/train/index.parquet"
    argv = [clone / ".venv" / "bin" / "python", "-m", "snakemake", "--cores", "1"]
    argv += ["--configfile", "own.yaml", "--", index]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(argv, cwd=clone, env=environment, check=False, **both)
    assert done.returncode == 0, done.stdout
    with (clone / index).with_name("rejected.csv").open(newline="") as file:
        rejected = [row["video"] for row in csv.DictReader(file)]
    assert len(set(rejected)) == len(rejected) == len(STRANGE[::4])
    argv.insert(3, "-n")
    again = subprocess.run(argv, cwd=clone, env=environment, check=False, **both)
    assert "Nothing to be done" in again.stdout
