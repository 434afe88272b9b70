"""Mutated configs: a sentence before the first job, or jobs that can run."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from tests.campaigns.config_mutations import ROOT, base, damage, mutate
from tests.campaigns.config_promises import everything
from vie.config.ablations import without_ablations
from vie.config.load import load_config, validate
from vie.config.reading import read_yaml, repeated_keys
from vie.config.settings import recipes_of, resolve_steps, stages
from vie.runtime.errors import VieError
from vie.workflow import resources, sizes
from vie.workflow.generated import check_generated
from vie.workflow.paths import Experiment
from vie.workflow.videos import most_videos

SECONDS = 30  # of computing, in which a config is accepted or refused
IN_WORDS = 20  # letters of the shortest sentence
REAL = 25  # of so many cases one is shown to Snakemake itself
JOBS = 20  # of so many right ones over smoke.yaml, one has its first jobs run
FEW, SHORT = 100, 600  # videos and clips of those


@pytest.mark.campaign(short=60, long=1000)
def test_mutated_configs(campaign, folder_of_workflow):
    """Each case is a right config with one to three changes, or with a damaged file."""

    def case(rng: random.Random, folder: Path) -> str:
        name, config = base(rng)
        done = [mutate(rng, config) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        raw = yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode()
        if rng.random() < 0.2:
            raw, kind = damage(rng, (ROOT / "experiments" / "smoke.yaml").read_text())
            name, done = "smoke", [f"file: {kind}"]
        path = folder / "mutated.yaml"
        path.write_bytes(raw)
        try:
            outcome = judged(path, rng, folder)
            if rng.randrange(REAL) == 0:
                seen_by_snakemake(path, outcome, folder_of_workflow)
            if outcome == "accepted" and name == "smoke" and rng.randrange(JOBS) == 0:
                first_jobs_run(path, folder_of_workflow)
        except Exception as error:
            raise AssertionError(f"{name}, {done}: {type(error).__name__}: {error}") from error
        return outcome

    campaign.run(case)


def judged(path, rng, folder):
    """The outcome for one file, without Snakemake's graph."""
    began = time.process_time()
    library = refused_by_library(path)
    try:
        config, overlay = {}, {}
        for file, into in ((ROOT / "config.yaml", config), (path, overlay)):
            update_config(into, load_configfile(file))
        update_config(config, overlay)
    except Exception as error:  # Snakemake's own words, before any line of ours
        assert library or not read_yaml(path), "Snakemake cannot read it, but load_config does"
        told = isinstance(error, WorkflowError)
        return "refused by Snakemake" if told else "refused by Snakemake with a traceback"
    try:
        validate(config, read_yaml(ROOT / "config.yaml"))
        check_generated(config)
        if twice := repeated_keys(path):
            raise VieError("\n".join(twice))
        graph(config)
    except VieError as error:
        in_words(error)
        outcome = "refused"
    else:
        everything(config, rng)
        outcome = "accepted"
    assert time.process_time() - began < SECONDS
    return outcome


def refused_by_library(path):
    """Whether `vie.load_config` refuses a file over config.yaml, which it does with a sentence."""
    try:
        load_config(ROOT / "config.yaml", path)
    except VieError as error:
        in_words(error)
        return True
    return False


def in_words(error):
    """A sentence that is short enough to be read, and not an exception's name alone."""
    lines = str(error).splitlines()
    assert lines
    assert len(lines[0]) >= IN_WORDS, error
    assert max(map(len, lines)) < 5000


def graph(config):
    """What Snakemake asks for each pretraining, probe and finetuning of the tables."""
    most, used = most_videos(config, config["dataset"], "train"), set()
    for table in config["tables"].values():
        for row in table["evaluations"]:
            one = config["evaluations"][row]
            used |= {*recipes_of(one)} if one["weights"] == "trained" else set()
    for name in sorted(used):
        sizes.check_graph(config, name, most)
    sizes.check_probes(config, "probe", most, most)
    if images := config.get("image_probe", {}).get("dataset"):
        generated = "generator" in config["datasets"][images]
        train = most_videos(config, images, "train") if generated else None
        sizes.check_probes(config, "image_probe", train, most)
    splits = sizes.single_splits(config["finetuning"]["targets"])
    for table in ("table_2", "table_3"):
        for row in config["tables"][table]["evaluations"]:
            for split in splits:
                weights = config["evaluations"][row]["weights"]
                sizes.check_row(config, split, (row, weights), most)
    memory(config, used)


def memory(config, used):
    """The memory that the same jobs ask for."""
    experiment, on_cpu, name = Experiment(config), config | {"gpus": 0}, config["dataset"]
    asked = {}
    for dataset, settings in config["datasets"].items():
        asked[f"datasets.{dataset}"] = resources.frames(settings, config["threads"]["frames"])
    for recipe in sorted(used):
        one, threads = config["recipes"][recipe], config["threads"]["pretrain"]
        if stages(one):
            asked[f"recipes.{recipe}"] = resources.pretrain(on_cpu, name, one, threads)
    for row, one in without_ablations(config["evaluations"]).items():
        recipes = [config["recipes"][recipe] for recipe in recipes_of(one)]
        settings = one["clip"], experiment.transform(row), config["threads"]["probe"]
        asked[f"evaluations.{row}"] = resources.probe(on_cpu, name, recipes, *settings)
    for what, mb in asked.items():
        resources.refuse_too_much(what, mb, mb, here=False)


def seen_by_snakemake(path, outcome, folder):
    """Snakemake's own dry run says the same, without a traceback of Python."""
    done = snakemake(folder, "-n", "--configfile", str(path), "--", "all")
    text = done.stdout[-3000:]
    if outcome == "accepted":  # data that is not there is a sentence, too
        ours = "MissingInputException" in text or "WorkflowError" in text or done.returncode == 0
    else:
        ours = done.returncode == 1
    assert ours, text
    if not outcome.startswith("refused by Snakemake"):
        assert "Traceback (most recent call last)" not in done.stdout, text


def first_jobs_run(path, folder):
    """The first stage of a network on some videos, all of it for real, if it is small."""
    config = load_config(ROOT / "config.yaml", path)
    name = next(name for name in config["recipes"] if stages(config["recipes"][name]))
    recipe, most = config["recipes"][name], most_videos(config, config["dataset"], "train")
    dataset = config["datasets"][config["dataset"]]
    stage, batch = stages(recipe)[0], recipe["optimiser"]["batch"]
    if not most or most[0] > FEW or max(dataset["shards"].values()) > 4:
        return
    clips = batch * resolve_steps(recipe["schedule"][stage], max(1, most[0] // batch))
    if clips > SHORT or recipe["encoder"]["width"] > 64 or recipe["geometry"]["size"] > 128:
        return
    for made in ("resources", "results"):
        shutil.rmtree(folder / made, ignore_errors=True)
    target = f"results/{config['experiment']}/pretrain/{name}/seed{config['seeds'][0]}/{stage}.pt"
    done = snakemake(folder, "--configfile", str(path), "--", target)
    assert done.returncode == 0 or "finite" in done.stdout, done.stdout[-3000:]


def snakemake(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="module")
def folder_of_workflow(tmp_path_factory):
    """A copy of the workflow to run in."""
    folder = tmp_path_factory.mktemp("workflow")
    for part in ("Snakefile", "config.yaml", "rules", "workflow_scripts", "envs", "profiles"):
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
    for part in ("schemas", "report", "vie", "experiments"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
