"""The workflow in the hands of others: another folder, a part of another workflow, a wheel."""

import os
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT
from tests.frames.test_excerpts import write

TABLE = "results/table_s1.csv"
DRY = ("-n", "-q", "rules", "--cores", "2")
INDEX = "resources/mine/train/index.parquet"


@pytest.mark.slow
def test_the_snakefile_that_the_catalog_looks_for(copy, tmp_path, snakemake, planned):
    shim = copy / "workflow" / "Snakefile"
    from_elsewhere = snakemake(tmp_path, *DRY, "-s", str(shim), TABLE)
    assert f"workflow specific profile {copy}/workflow/profiles/default" in from_elsewhere
    assert planned(from_elsewhere) == planned(snakemake(copy, *DRY, TABLE))
    said = snakemake(tmp_path, *DRY, "-s", str(shim), "results/table1.csv", fails=True)
    assert "did you mean results/table_1.csv" in said


def test_a_module_without_a_config_of_its_own(copy, tmp_path, snakemake, planned):
    (tmp_path / "Snakefile").write_text(
        f'module vie:\n    snakefile: "{copy}/workflow/Snakefile"\nuse rule * from vie as vie_*\n'
    )
    assert planned(snakemake(tmp_path, *DRY, TABLE))["vie_pretrain"] == 6


def test_braces_in_a_clones_path_are_refused_at_once(copy, tmp_path, snakemake):
    clone = tmp_path / "a{b}"
    clone.symlink_to(copy)
    said = snakemake(tmp_path, *DRY, "-s", str(clone / "Snakefile"), TABLE, fails=True)
    assert f"{clone}: rules cannot run in a folder whose path has {{ or }}" in said
    assert "Traceback" not in said


def own_videos(folder):
    """A config of a few videos in `folder`: an overlay."""
    for split in ("train", "val"):
        (folder / split / "a class").mkdir(parents=True)
        write(folder / split / "a class" / "x.mp4", n=8)
    shards = {"train": 1, "val": 1}
    own = {"layout": "folders", "videos": str(folder), "shards": shards, "min_frames": 3}
    return {"dataset": "mine", "datasets": {"mine": own}}


@pytest.fixture
def hosted(copy, tmp_path, monkeypatch):
    """The workflow as a repository that git finds under an address of GitHub, with a tag."""
    if not shutil.which("git"):
        pytest.skip("no git")
    repository = tmp_path / "hosted"
    shutil.copytree(copy, repository, symlinks=True)
    shutil.rmtree(repository / "vie")  # the installed one is used
    settings = {f"url.file://{repository}.insteadOf": "https://github.com/owner/vie"}
    settings |= {"user.name": "a", "user.email": "a@example.org", "init.defaultBranch": "main"}
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (key, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for words in ("init -q", "add .", "commit -qm all", "tag v1"):
        subprocess.run(["git", *words.split()], cwd=repository, check=True)


@pytest.mark.slow
def test_a_module_from_github_runs_with_the_installed_library(hosted, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "Snakefile").write_text(
        'configfile: "config.yaml"\n'
        'module vie:\n    snakefile: github("owner/vie", path="workflow/Snakefile", tag="v1")\n'
        '    config: config["vie"]\n'
        "use rule * from vie as vie_*\n"
        f"rule mine:\n    default_target: True\n    input: '{INDEX}'\n"
        "    output: 'mine'\n    shell: 'cp {input} {output}'\n"
    )
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["datasets"] |= own_videos(tmp_path / "videos")["datasets"]
    (mine / "config.yaml").write_text(yaml.safe_dump({"vie": config | {"dataset": "mine"}}))
    words = [sys.executable, "-m", "snakemake", "--cores", "1"]
    done = subprocess.run(words, cwd=mine, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (mine / "mine").read_bytes() == (mine / INDEX).read_bytes()
    assert not (mine / "results").exists()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A folder in which the project's wheel is installed, alone."""
    if not shutil.which("uv"):
        pytest.skip("no uv")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "-q", "--wheel", "-o", folder / "dist", ROOT], check=True)
    built = next((folder / "dist").glob("vie_workflow-*.whl"))
    target = ["--no-deps", "--target", folder / "installed", built]
    subprocess.run(["uv", "pip", "install", "-q", "--python", sys.executable, *target], check=True)
    return folder / "installed"


@pytest.mark.slow
def test_a_wheel_has_all_that_it_needs(wheel, tmp_path):
    """Commands, networks and the workflow itself, from an empty folder, without a clone."""

    def vie(*words, fails=False):
        environment = os.environ | {"PYTHONPATH": str(wheel)}
        command = [sys.executable, wheel / "bin" / "vie", *words]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, **both)
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    assert "vie extract" in vie("--help")
    assert "vie has no command 'train'" in vie("train", fails=True)
    assert "--stride-seconds" in vie("extract", "--help")
    video = write(tmp_path / "x.mp4", n=40)
    vie("extract", "evening/vie_slow", str(video), "-o", "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size > 0
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own_videos(tmp_path / "videos")))
    vie("run", "--cores", "1", "--configfile", "own.yaml", "--", INDEX)
    assert (tmp_path / INDEX).exists()
    dry = ("run", "-n", "--cores", "2", "--configfile", "experiments/smoke.yaml", "--", TABLE)
    assert "pretrain" in vie(*dry)
    notes = next(wheel.glob("vie_workflow-*.dist-info"))
    assert (notes / "licenses" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
