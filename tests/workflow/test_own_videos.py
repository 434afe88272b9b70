"""Videos without labels, from a folder to an encoder, features, neighbours and exported files."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from vie.datasets.synthetic.render import CLASSES, render
from vie.datasets.synthetic.write_videos import encode

ROOT = Path(__file__).parents[2]
OVERLAY = Path("experiments") / "own_videos.yaml"


def with_path(copy, videos):
    """The overlay with another path, the one edit that the README asks for."""
    text = (ROOT / OVERLAY).read_text()
    changed, count = re.subn(r"videos: /data/videos\b", f"videos: {videos}", text)
    assert count == 1
    (copy / OVERLAY).write_text(changed)
    return ("--cores", "2", "--configfile", str(OVERLAY))


def names(folder, count=600):
    """Empty files with names of videos in nested folders."""
    for i in range(count):
        path = folder / f"day {i % 3}" / f"日本 {i}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(i))
    return folder


def test_without_a_named_file_encoders_and_pictures_are_made(copy, tmp_path, snakemake, planned):
    output = snakemake(copy, "-n", *with_path(copy, names(tmp_path)))
    jobs = planned(output)
    assert jobs["find"] == 1
    assert jobs["encoder"] == jobs["neighbours"] == jobs["feature_map"] == 5
    assert not {"classes", "manifest", "probe", "finetune", "retrieval"} & set(jobs)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["results/table_s1.csv", "results/table_1.csv"])
def test_tables_without_labels_are_refused_before_a_job(copy, tmp_path, snakemake, target):
    asked = with_path(copy, names(tmp_path))
    output = snakemake(copy, "-n", *asked, "--", target, fails=True)
    assert "the videos of mine have no labels" in output
    assert "docs/own-videos.md" in output


def test_a_folder_that_is_not_there_is_named(copy, snakemake):
    output = snakemake(copy, "-n", *with_path(copy, "/no/videos/here"), fails=True)
    assert "/no/videos/here: no such file or folder" in output
    assert "`datasets.mine.videos`" in output


def test_a_list_with_labels_gives_the_tables(copy, tmp_path, snakemake, planned):
    names(tmp_path)
    rows = [f"day {i % 3}/日本 {i}.mp4,class {i % 4}" for i in range(600)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    asked = with_path(copy, tmp_path / "list.csv")
    jobs = planned(snakemake(copy, "-n", *asked, "--", "results/table_s1.csv"))
    assert jobs["find"] == 1
    assert jobs["probe"] == 6  # three, and the same of the untrained network


def run(command, copy):
    done = subprocess.run(
        [sys.executable, *shlex.split(command)],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_readmes_commands_from_a_folder_to_files(copy, tmp_path, snakemake):
    videos = tmp_path / "my videos"
    for i in range(44):
        path = videos / f"trip {i % 5}" / f"-{i} ü.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(render(CLASSES[i % 8], 3, i), path)
    (videos / "broken.mov").write_text("no video")
    asked = with_path(copy, videos)
    snakemake(copy, *asked, "--", "results/mine/advice.yaml")
    advice = yaml.safe_load((copy / "results/mine/advice.yaml").read_text())
    (recipe,) = advice["tables"]["retrieval"]["evaluations"]
    # Its advice, but for the length of the training.
    schedule = {"instance_recognition": "4 epochs", "local_aggregation": "1 epochs"}
    start = {"instance_recognition": {"warm_up": "1 epochs"}}
    changed = {"schedule": schedule | {"lr_drops": ["4 epochs"]}, "objective": start}
    short = {"recipes": {recipe: changed}}
    (copy / "short.yaml").write_text(yaml.safe_dump(short))
    snakemake(copy, *asked, "results/mine/advice.yaml", "short.yaml")
    made = copy / "results" / "mine"
    for name in (f"encoders/{recipe}.pt", f"neighbours_{recipe}.html", f"map_{recipe}.png"):
        assert (made / name).stat().st_size > 1000
    rejected = [p.read_text() for p in copy.glob("resources/mine/*/rejected.csv")]
    assert "broken.mov" in "".join(rejected)
    # README's commands, with the names of this folder.
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^uv run python -m (vie\.(?:extract|search|export) .*)$", readme, re.M)
    assert len(commands) == 3
    for command in commands:
        command = command.replace("more_videos", shlex.quote(str(videos)))
        command = command.replace("a_video.mp4", shlex.quote(str(videos / "trip 0" / "-0 ü.mp4")))
        command = command.replace("/vie_slow.pt", f"/{recipe}.pt")
        output = run(f"-m {command}", copy)
        if "search" in command:  # it finds itself
            assert re.search(r"1\.000.*trip 0/-0 ü\.mp4", output), output
    assert (copy / "more.parquet").exists()
    assert "broken.mov" in (copy / "more.rejected.csv").read_text()
    assert (copy / f"{recipe}.onnx").exists()
